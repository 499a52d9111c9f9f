"""What customers of the invented bank write about: intents, phrasings, and the small talk around them.

Every line was written for this demo. Slots are filled by `generate.draw_slots`.
"""

from whence.demo.grammar import lines, phrases, words

FRAMES: dict[str, tuple[str, ...]] = {
    "lost_card": lines("""
        i [have lost|seem to have lost|lost] my [|debit |credit |bank ]card [{when}|at {merchant}|somewhere in {city}]
        my [wallet|purse|handbag] [was stolen|got nicked|was taken] {when} and my [|debit |credit ]card was in it
        [can't|cannot] find my card anywhere, [used it at {merchant}|had it in {city} {when}], please [freeze|stop] it
        i [left|dropped] my card [at {merchant}|on the train to {city}|in a taxi {when}] and need it [blocked|frozen]
        please [block|freeze|cancel] my card, it [went missing|was stolen] [{when}|in {city}]
        someone [has taken|stole|ran off with] my card [{when}|in {city}], what do i do
        my card has [disappeared|vanished|gone missing] and i want [it stopped|to report it] before anyone uses it
        how do i report a [stolen|missing|lost] card, it [went|disappeared] {when}
        the card ending {last4} is [lost|missing|stolen], [can i get a replacement|please send another one]
        i need to [tell you about|report] a card that [fell out of my pocket|was taken from my bag] {when}
        misplaced my card {when}, [can you put a hold on it|is there a way to freeze it until it turns up]
        my [son|daughter|partner|flatmate] [lost|mislaid] my card in {city}, can you stop it being used
    """),
    "card_declined": lines("""
        my card [was|got|has been] [declined|refused|rejected] at {merchant} {when}
        {merchant} [would not|wouldn't|did not] accept my card even though there is [plenty of|enough] money in there
        why [does|is] my card [keep getting declined|being refused] when i [try to pay|shop] [at {merchant}|online]
        tried to pay {amount} at {merchant} and [the machine said no|it was declined|the payment was refused]
        [the till|the terminal|the website] [rejected|refused|declined] my card [twice|three times|again] {when}
        my card [doesn't work|won't work|isn't working] [at {merchant}|in {country}|online|in shops] any more
        contactless [stopped working|is refused] and the chip [was declined|didn't go through either] at {merchant}
        i was embarrassed at {merchant}, my card [would not go through|got turned down] for {amount}
        payment of {amount} [keeps failing|was turned down], is [something wrong with|there a block on] my card
        every time i use card {last4} it gets [refused|declined|knocked back]
        the cash machine in {city} [refused|rejected|would not take] my card
        can you [check|see] why {merchant} could not take payment from my card {when}
    """),
    "card_not_arrived": lines("""
        my new card [has not|hasn't|still hasn't] [arrived|come|turned up], i ordered it {ago}
        where is my [new|replacement] card, it was [sent|ordered|promised] {ago}
        i have been waiting [{days}|since {month}] for my [new|replacement|debit] card [to arrive|in the post]
        how long does a [new|replacement] card take to [come|get to {city}|be delivered]
        still no sign of the [replacement|new] card [you posted|that was ordered] {ago}
        you said the card would [be here|arrive] {when} and [nothing has come|the post brought nothing]
        can you [track|trace|follow up] the delivery of my [new|replacement] card
        the [envelope|letter] with my [new|first] card never [came|arrived|reached me] in {city}
        when [will|should] i [expect|get|receive] the [new|replacement] card i ordered {ago}
        was my card ever [posted|sent out|dispatched], i opened the account {ago}
        it's been {days} and the [postman|post] has not brought my card
        my old card expires soon and the [new|next] one [isn't here|has not come] yet
    """),
    "pin_reset": lines("""
        i [forgot|have forgotten|can't remember|cannot recall] [my|the] pin [|number ][for my card|for card {last4}]
        how [do|can] i [change|reset|get a reminder of] my pin
        [my pin is|the pin has been] [blocked|locked], i [typed it wrong|got it wrong] [three times|too often]
        i need a new pin [|number ]for [my card|the card ending {last4}|my debit card]
        typed the wrong pin at {merchant} and now it [is locked|won't let me try again]
        can you [send|text|post] me my pin [|again|please], i [lost the letter|never got one]
        is there a way to [see|view|look up] my pin [in the app|online]
        [want|would like|wish] to choose a different pin, [someone saw mine|mine is too easy|i keep mixing it up]
        the [pin|pin code] for my card has gone clean out of my head
        my [mother|father|husband|wife] [saw|knows] my pin so i'd like [to change it|another one]
        how many [tries|attempts] do i get before the pin [is blocked|locks], i've used two
        please unlock my pin, i [mistyped it|entered it wrongly] in {city}
    """),
    "charged_twice": lines("""
        i [was|have been|got] [charged|billed] twice [by|at] {merchant} for the same [thing|purchase|order]
        {merchant} took {amount} [twice|two times] {when}
        there are two [identical|equal] payments of {amount} to {merchant} on my account
        the same [payment|transaction] [shows|appears|is listed] [twice|two times] on my statement, {amount} each
        why [did|has] {merchant} [taken|take|charged me] {amount} two times
        i paid once at {merchant} but [the money went out twice|two payments left my account]
        [double|duplicate] [charge|payment] [of {amount}|from {merchant}] {when}
        my account shows {amount} [going out|leaving] [twice|two times] [on one day|within a minute], i bought one thing
        please [return|give back] the second {amount} that {merchant} took by mistake
        the card machine at {merchant} [failed first|froze] so they ran it again and now i have paid double
        can you cancel one of the two charges from {merchant}, [they are the same|it is a duplicate]
        billed {amount} and then {amount} again by {merchant}
    """),
    "unknown_payment": lines("""
        there is a payment [of {amount}|to {merchant}] on my [account|statement] [i don't recognise|that i did not make]
        [who|what] is {merchant} and why [have they taken|did they take] {amount} from me
        i [have never|have not] [bought anything|shopped|spent money] at {merchant}
        someone [used|is using] my card [details|number] to buy [things|something] [from|at] {merchant}
        i [don't recognise|don't know|cannot explain] [a|the] [payment|transaction|charge] of {amount} {when}
        {amount} [went out|left my account|was taken] {when} and it wasn't me
        i think [i've been a victim of fraud|someone hacked my account], {amount} went to {merchant}
        a [strange|odd|suspicious] [payment|transaction] of {amount} [appeared|showed up] {when}
        i was asleep when {amount} was spent in {country}, [i have never been there|that was not me]
        what is this {amount} to {merchant}, [neither my wife nor i|nobody here] made it
        want to dispute a payment i never [made|agreed to|authorised], {amount} {when}
        cash was taken out in {city} {when} and i [wasn't there|still have the card with me]
    """),
    "transfer_pending": lines("""
        my transfer [of {amount}|to {payee}] is still [pending|processing|not through]
        i sent {amount} to {payee} {when} and [they have|the bank there has] not [received|got|had] it
        how long does a [bank transfer|transfer] [take|need] to [reach|get to] {payee}
        the money i [sent|transferred|moved] to {payee} [hasn't arrived|has not shown up|is nowhere to be seen]
        when will {payee} [get|see] the {amount} i sent {when}
        [transfer|money transfer] made {when} says pending, is [it stuck|something wrong]
        my [rent|deposit|wages] transfer of {amount} has not [cleared|gone through|landed] {days} later
        why is it taking {days} for my transfer to {payee} to [clear|arrive|complete]
        i moved {amount} [between my accounts|to my savings] {when} and it is [in limbo|still not there]
        {payee} is waiting for {amount} from me, the app says [it is on its way|processing]
        did my transfer to {payee} go through or is it [held up|delayed|stuck]
        the payment to my [landlord|builder|sister|solicitor] has been [queued|pending] since {month}
    """),
    "refund_missing": lines("""
        {merchant} [promised|said they sent|issued] a refund [{ago}|of {amount}] and i [don't see it|have not got it]
        where is my refund [from {merchant}|of {amount}]
        i [returned|sent back|took back] [shoes|a coat|a kettle] to {merchant} and the [refund|money] hasn't come back
        the refund from {merchant} [is not|isn't] [on my account|showing|there] after {days}
        how long [do refunds|does a refund] take to [show up|reach my account], {merchant} sent it {ago}
        still waiting for {amount} back from {merchant} [for a cancelled order|after i returned things]
        {merchant} [cancelled|called off] my [order|booking|trip] {ago} but the money was never [returned|refunded]
        i was told i would be refunded {amount} [within {days}|by now] and nothing has [arrived|happened]
        my refund [has not|hasn't] [turned up|appeared|been credited]
        [can you see|please check whether] a refund of {amount} is [coming|on the way] from {merchant}
        they say they've refunded me, my balance says [otherwise|they haven't]
        a credit of {amount} from {merchant} should be there by now, i took the item back {ago}
    """),
    "foreign_fee": lines("""
        why [was i|have i been] charged [a fee|extra] for [using my card|paying] in {country}
        what [do you charge|are the fees|does it cost] for [paying|taking out cash|using my card] [abroad|in {country}]
        there is a [foreign|currency|conversion] fee of {amount} [on my statement|on my holiday spending]
        i [paid|drew cash] in {country} and you added {amount} on top
        the exchange rate you [gave me|used] in {country} was [awful|worse than the one i saw|not what was advertised]
        is there a [fee|charge] [for|when] [using the card|buying things] in {country}
        i'm [going|travelling|flying] to {country}, will [my card cost extra|i pay fees] there
        you took {amount} as a [non-sterling|currency] charge, i thought [it was free|there were none]
        how is the rate worked out when i pay in [euros|dollars|yen|kroner]
        a cash machine in {country} cost me {amount} extra, is that your [fee|charge]
        my hotel in {country} came out [dearer|more expensive] after [conversion|you converted it], why
        which [rate|charge] applies when i spend in {country}
    """),
    "change_address": lines("""
        i [have moved|moved|am moving] [house|flat] [|to {city}], please [update|change] my address
        how do i [change|update|correct] my [address|postal address|home address]
        my new address is {street}, {city}
        please send [my letters|everything|post] to {street}, {city} from now on
        [we've|i've] moved from {city} and you still have the old address
        you have [the wrong|an old] address for me, it should be {street}
        can i [change|update] where i live [in the app|online|by phone]
        i am leaving {city} [soon|next week|in {month}], where do i tell you my new [address|postcode]
        my [postcode|house number|street] is [wrong|spelt wrong] on your letters
        need to register {street} as my home [address|]
        since the move to {city} your letters go to my [old flat|previous house|parents' place]
        what [proof|papers] do you need so that i can [change|update] my address to {city}
    """),
    "close_account": lines("""
        i [want|would like|wish|need] to close my [|current |savings |joint ]account
        how [do|can] i close [my|the] [|current |savings |joint ]account
        please [close|shut] [my account|everything i have with you], i am [moving to another bank|leaving for {country}]
        i [no longer|do not] [need|want|use] this account, [please end it|can you shut it down]
        i am [switching|moving] to another bank and want to [leave|end things here]
        [can i|is it possible to] [cancel|close|end] my account [in the app|online|by post]
        what happens to [my money|the last {amount}] when i close the account
        close the account [of my late father|i opened {ago}|with card {last4}] please
        i'm not happy with you any more so [shut my account|i am leaving]
        do you charge anything for closing an account [early|]
        i'd like to stop being a customer [as of now|]
        we [separated|split up] and want the joint account [ended|closed|shut]
    """),
    "statement_copy": lines("""
        i need [a copy of|] my [statement|bank statement|statements] for {month}
        how [do|can] i [download|get|print] my statement [for {month}|]
        please [send|email|post] me [my|the] statements [from {month}|of the last three months]
        my [landlord|accountant|letting agent|solicitor] [wants|needs|asked for] [three months of|] bank statements
        where [do|can] i find [old|last year's|my {month}] statements in the app
        can you print a statement showing [my salary|the {amount} from {merchant}]
        i want paper statements [again|instead of online ones]
        the statement for {month} [is missing|will not open|won't download]
        could i have a [pdf|stamped copy|certificate] of my [balance|transactions] for {month}
        i need a list of all transactions in {month} for [my taxes|a visa|the mortgage]
        for a [visa|loan|tenancy] application i need proof of [income|my account] since {month}
        the tax office wants to see [what went in and out|my transactions] in {month}
    """),
}

INTENTS: tuple[str, ...] = tuple(FRAMES)

VALUES: dict[str, tuple[str, ...]] = {
    "merchant": phrases(
        "Hobb & Daughters|Larkfield Foods|Penny Tor Books|Greenlow Garden Centre|Bright & Vale|Castleby Motors|Nimbus "
        "Cycles|Oakmere Hotel|the Kettle Yard|Tidewater Ferries|Marlow Street Pharmacy|Fennel & Fig|Quickstep Shoes|"
        "Sandbeck Petrol|Ivydale Electricals|Roost Furniture|Northbeck Rail|Pallister Tyres|the Old Dairy|"
        "Zephyr Tickets"
    ),
    "city": words("Leeds Bristol Cardiff Dundee Norwich York Exeter Derby Swansea Preston Bath Perth Luton Hull"),
    "country": words(
        "France Spain Portugal Norway Japan Canada Greece Turkey Poland Italy Denmark Morocco Iceland Croatia"
    ),
    "when": phrases(
        "yesterday|this morning|last night|on Monday|on Tuesday|on Thursday|on Friday|on Saturday|last week|two days "
        "ago|over the weekend|on the 3rd|on the 14th|on the 27th|earlier today"
    ),
    "ago": phrases("a week ago|ten days ago|two weeks ago|three weeks ago|a month ago|last month|in {month}"),
    "days": phrases("three days|five days|a week|eight days|two weeks|nearly three weeks|a month"),
    "month": words("January February March April May June July August September October November December"),
    "payee": phrases("Aidan|Bronwyn|my brother|my landlord|Tomasz|Mrs Okafor|Leila|the builder|Hamish|my mum"),
    "street": phrases(
        "{number} Alder Row|{number} Station Road|Flat 2, {number} Mill Lane|{number} Quarry Hill|{number} Harbour View"
        "|{number} St Anne's Close|{number}b Elm Terrace"
    ),
}

FIRST_NAMES = words(
    "Aisha Alan Beth Callum Carys Chidi Dafydd Deepa Elena Ewan Farah Fiona George Grace Hana Harvey Imogen Ivan Jamal "
    "Jean Karim Kirsty Liam Lucia Maeve Marek Nadia Neil Olga Owen Priya Quentin Rhys Rosa Sanjay Sian Tariq Tessa Uma "
    "Victor Wanda Yusuf Zoe"
)
SURNAMES = words(
    "Abbott Adeyemi Bains Barlow Chandra Craig Davies Dudek Evans Farrell Gill Hargreaves Hussain Iqbal Jarvis Kaur "
    "Kowalski Lloyd Lowe MacLean Mensah Nolan Okoro Patel Pritchard Quinn Reid Rossi Shaw Silva Thorne Underhill "
    "Vaughan Walsh Yilmaz"
)

CONTEXT = lines("""
    i have been with you for [six|nine|twelve|over twenty] years
    the app [just sends me round in circles|is no help]
    i already [looked in the app|read your help pages|asked the branch in {city}]
    i am [at work|away|on a train] and can't [ring|come to the branch]
    it is [rather urgent|quite urgent|not urgent but annoying]
    i am [quite worried|a bit lost here|getting annoyed]
    the [man|woman|person] on the phone could not help
    you were very quick when my [new card came|address changed|pin was reset] last year
    this has nothing to do with the [refund|transfer|card] i asked about {ago}
    i [paid|was] at {merchant} {when}, if that matters
""")
CLOSERS = lines("""
    thanks
    thank you
    please help
    can you sort it out
    what should i do
    please advise
    cheers
    hope you can help
""")
OPENERS: dict[str, tuple[str, ...]] = {
    "chat": lines("""
        hi,
        hello,
        hey
        hi there,
        hiya,
        quick question,
        morning,
    """),
    "phone": lines("""
        yeah hello, um,
        hello, er,
        right, so,
        good afternoon,
        yes hi, so basically
        hello, sorry to bother you,
        um,
    """),
    "email": lines("""
        Dear team,
        Hello,
        Dear Sir or Madam,
        Good morning,
        To whom it may concern,
    """),
}
VAGUE = lines("""
    [hi|hello|hey], [is anyone there|can somebody help me|i need some help]
    [hello|hi there], [got|i have] a [problem|question|query] [about my account|for you|please]
    [can|could] you [look into something|help me] [for me|please|with my account]
    [good morning|good evening], [are you a real person|is this the right place for questions]
    [something is not right here|i am not sure who to ask|need help please]
""")
CLARIFY = lines("""
    Of course. What has happened?
    Hello, happy to help. What is it about?
    Certainly. Could you tell me a little more?
    I'm sorry to hear that. What would you like us to do?
""")
SYSTEM = "You work on a bank's support desk. Find out what the customer needs and name the topic."
