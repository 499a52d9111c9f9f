"""The words and phrasings of the base model's corpus, kept apart from those of the generated support desk."""

from whence.demo.grammar import lines, phrases, words

NOUNS = words(
    "bread river window letter garden teacher bridge lamp train paper kitchen dog winter song market boat door clock "
    "table hill shop ticket book street cup horse cloud farm key phone watch hotel island office nurse driver"
)
ADJECTIVES = words("old small green quiet wide cold heavy bright early late cheap broken empty happy strange slow new")
DOING = words("sees finds opens sells carries needs follows keeps sends moves holds checks leaves watches takes gives")
PLACES = phrases("in the town|near the sea|at the station|under the roof|behind the school|by the road|after lunch")

TOPICS: dict[str, tuple[str, ...]] = {
    "lost or stolen card": lines("""
        [lost|stolen|missing] [card|bank card|debit card]
        card [was stolen|disappeared|vanished|got lost|left behind|can't be found]
        thief took the [wallet|purse|bag] with the cards
        report a card [stolen|missing|lost]
        [freeze|block|cancel|stop] the card at once"""),
    "lost phone": lines("""
        [phone|mobile] [lost|stolen|missing|was taken]
        no longer have my [phone|mobile|handset]"""),
    "card delivery": lines("""
        card [not arrived|hasn't come|never arrived|still in the post|did not turn up]
        waiting for [delivery of the card|the new card|the replacement card]
        [track|trace] the card [delivery|in the mail|in the post]
        when [will|does] [the|a] [new|replacement] card [arrive|come|get here]
        how [long|many days] until cards are [delivered|posted|shipped|sent out]"""),
    "card order": lines("""
        [order|get|want|request] [a|another|an extra|a spare|a second|a real] [physical |plastic |]card
        [apply for|receive] [visa|mastercard] cards
        which card brands [exist|can be chosen]
        card for my [daughter|husband|wife|family]"""),
    "card activation": lines("""
        [activate|start using|enable|link|connect|add|reactivate] [a|the|my new] card [in the app|]
        steps for card [activation|linking]"""),
    "card expiry": lines("""
        card [expires|is about to expire|runs out|will end] [soon|next month|this year]
        expiry date [|near|passed]"""),
    "virtual card": lines("""
        [virtual|disposable|one-time] card [not working|limits|declined|number]
        [get|make|create|open] [virtual|disposable|temporary] cards
        how many disposable cards [per day|are allowed]"""),
    "card not working": lines("""
        card [broken|does not work|stopped working|is not working|won't work|damaged]
        contactless [broken|fails|not working|payment problem]
        the chip [is broken|cannot be read]"""),
    "declined payment": lines("""
        payment [declined|refused|rejected|failed|not accepted|turned down|knocked back]
        card [declined|refused|rejected] in [shops|a store|a restaurant|the till]
        the [terminal|machine|till] [said no|refused the card]
        could not [pay|buy|complete the purchase]"""),
    "pending payment": lines("""
        payment [pending|still processing|waiting|not completed]
        purchase shows as pending [on the statement|in the app]
        how long are [payments|purchases] pending"""),
    "reverted payment": lines("""
        payment [reverted|was returned|went back|got cancelled|reversed]
        [money|funds] of a purchase came back to the account"""),
    "unknown payment": lines("""
        payment [not recognised|nobody made|unfamiliar|suspicious|not mine]
        [strange|unknown|unexpected|suspicious] [transaction|purchase|direct debit|withdrawal]
        did not [make|authorise|set up] [this|that] [payment|direct debit|withdrawal|transaction]
        [fraud|hacked|someone else] used the [account|card details]
        card [compromised|copied|used by someone else]"""),
    "double charge": lines("""
        charged [twice|two times|double|more than once|multiple times]
        [duplicate|double|repeated] [charge|payment|transaction]
        the same [payment|purchase] [appears|shows|was taken] twice"""),
    "extra charge": lines("""
        [extra|hidden|additional|small|strange] [charge|fee|pound] [on the statement|on the bill|shown]
        why [was a fee|is there a charge|did you charge me] on [a payment|this purchase]
        fee for [paying by card|card payments]"""),
    "refund": lines("""
        refund [missing|not showing|late|not received|hasn't arrived]
        [want|request|ask for|need] [a refund|my money back]
        shop [returned|promised|sent back] the money
        [returned|sent back|cancelled] [goods|item|order] and no [credit|money|refund]"""),
    "transfer": lines("""
        transfer [pending|slow|not received|not arrived|failed|declined|rejected|stuck|delayed]
        [cancel|stop|undo|take back] [a|the|my] transfer [to the wrong account|]
        how long [do transfers|does a transfer] take [from china|from europe|abroad|]
        money sent to [a friend|someone|the wrong person] [not there|did not arrive]
        [recipient|beneficiary|receiver|payee] [has not got|did not get|not allowed|cannot be added]
        fee [on|for] [a transfer|sending money]
        [send|move|transfer] money [into|between|to] [my|an|another] account
        balance [not updated|the same|wrong] after a [bank transfer|transfer]"""),
    "receiving money": lines("""
        [receive|get|accept] [money|salary|wages|payments] [from others|in another currency|into the account]
        [salary|wages] paid in [pounds|euros|dollars]"""),
    "top up": lines("""
        top up [failed|pending|reverted|cancelled|not showing|didn't work|limit|fee|charged]
        topping up [by card|by bank transfer|with cash|by cheque|with apple pay|automatically]
        [automatic|auto] top-up [|when the balance is low]
        [maximum|limit|how much] [for|can i] top up
        verification [code|of the card] for a top up
        added money [but it is gone|and it was returned|does not show]
        charge [for topping up|on my top-up|for using a european card]"""),
    "cheque or cash deposit": lines("""
        [cheque|cash|deposit] [not showing|missing|not credited|paid in]
        balance not updated after [a cheque|cash|a deposit]
        [deposit|pay in] [cash|a cheque]"""),
    "cash machine": lines("""
        atm [withdrawal|cash|machine] [pending|declined|refused|failed|charge|fee|not recognised]
        [swallowed|ate|kept|retained] [my|the] card [at the atm|]
        got the wrong [amount|sum] of cash [from the machine|]
        which [atms|cash machines] [accept|take|can i use with] the card
        fee for [cash|withdrawing|taking out money]
        exchange rate wrong [for cash|at the atm|for a withdrawal] abroad"""),
    "exchange rate": lines("""
        exchange rate [wrong|bad|today|too low|for a payment|differs|applied]
        [exchange|convert|swap|change] [currency|pounds|euros|dollars|foreign money] [in the app|]
        fee [for|on] [exchanging|foreign currency|conversion|spending abroad]
        which [currencies|fiat currency|money] [are supported|can i hold|do you exchange]
        charged extra [abroad|on holiday|in another country|for a foreign currency]"""),
    "countries": lines("""
        which countries [have support now|do you work in|can i use it]
        available [outside|in] [europe|the uk|america|asia]
        card accepted [abroad|everywhere|where]"""),
    "PIN": lines("""
        pin [blocked|locked|forgotten|wrong|unblock|reset]
        [change|reset|choose|unlock|see|find] [the|my|a new] pin
        [entered|typed] the wrong [pin|code] [too many times|three times]"""),
    "passcode": lines("""
        [passcode|password|login] [forgotten|reset|not working|lost]
        cannot [log in|get into the app|access the app]"""),
    "identity check": lines("""
        [verify|prove|confirm|check] [identity|id|who i am]
        identity [verification|check] [failed|needed|not working|unable|why|documents]
        [source of funds|where money comes from] [verify|check|proof]
        [documents|passport|papers] needed [for verification|to verify]"""),
    "personal details": lines("""
        [change|update|edit|correct] [address|name|phone number|details|personal details|email]
        [moved|moving] [house|home|flat|to another town]
        [postcode|surname|street] is [wrong|new|different]
        got married and [changed|have a new] name"""),
    "account closure": lines("""
        [close|shut|terminate|delete|end|wind up] [the|my|an] account
        [leaving|unhappy with|stop using|no longer want] the bank"""),
    "account for children": lines("""
        [age limit|how old|minimum age|youngest age] for an account
        account for [children|my son|a teenager|kids]"""),
    "statement": lines("""
        [copy of|download|print|send|missing|paper] [a|my|the] statement
        proof of [income|balance|transactions] [for a landlord|for tax|for a visa]
        list of transactions [last month|for the year]"""),
    "mobile wallet": lines("""
        [apple pay|google pay|apple watch|mobile wallet] [not working|set up|top up|problem|connect]
        [pay|top up] with [the phone|apple pay|google pay]"""),
}  # fmt: skip

ASKS = lines("""
    {matter}
    {matter}, {chatter}
    {matter}. {chatter}
    {matter}. {chatter}. {aside}
    {chatter}. {matter}
    {chatter}, {matter}
    [my problem is|it is about|i write because of] {matter}. {chatter}
    [someone|a customer] [asks|says|writes]: {matter}
    [why|how|what|when]: {matter}
    i [have|had|got|think|mean] {matter} and {chatter}
""")
CHATTER = lines("""
    the [weather|traffic|coffee|queue|website] was [bad|good|fine|slow] [today|again|yesterday]
    i [would like|want|need|wish] [an answer|some help|to know|to speak with someone|to be told more]
    it is [my|our] [first|second|third] [time|question|account|letter]
    [please|do] [explain|answer|look|help|call me|reply|get back to me] [when you can|as soon as possible]
    i [tried|checked|called|waited|asked|looked] [before|already|again|twice|yesterday|last week|this morning]
    [they|we|you|somebody] [have|had|has] not [shown|told|given|sent] me [anything|the reason|what to do] [yet|since]
    there [is|was|should be] [something|nothing] wrong with [this|that|it|what i did|my account]
    [could|would|should|can] [you|i|they] [make|take|use|get|find] [it|them|this|one] [with|from|for|at|by|on] [me|home]
    i am [just|still|only|really|not] [trying|going|waiting|hoping] to [see|know|get|pay|go|travel|leave]
    [my|your|our] [wife|husband|brother|sister|friend|parents] [was|is|were] [there|here|with me|away|waiting]
    [does|did|will] it [cost|take|matter|happen|show] [more|much|long|again|like that]
    [thanks|thank you|cheers|regards|best wishes|kind thoughts] [and good day|for your help|for looking|for reading]
    it [went|came|happened|started] [on|before|after|over] [monday|tuesday|friday|saturday|the weekend|the holiday]
    [hello|hi|hey|dear all|good day|sorry], [um|so|well|a quick one|one more question|here i am again]
    [someone|nobody|everybody] [at work|in the branch|on the phone] [said|knew|thought] [so|otherwise|it was right]
    i [bought|paid for|spent|ordered] [some|two|many] [shoes|books|tickets|things] [in a shop|online|at the station]
    [why|how|where|when|what] [do|can|should|did] [i|we|you] [do|find|have|want|change|send|get] [that|this|it|them]
    it has been [two|three|ten|many] [days|weeks|months|hours] [now|already|since then]
    [my number|the amount|the code|it] [is|was|ends with] [{number}|£{number}|{number}.50|{number} pounds]
    we [were|have been|moved] in [London|Paris|Spain|Germany|the north] [last month|in May|in autumn|for a while]
    the [{adjective}] {noun} is [mine|there|not there any more|gone]
""")
ABOUT_LABELS = lines("""
    {label} stands for {words}.
    the short name of {words} is {label}.
    [questions|letters|notes] about {words} go in the drawer named {label}.
    {words} has the code {label}.
    drawer {label}: {words}.
    people [say|write] {words} [and|or] mean {words}; the sign reads {label}.
    {label}
""")
