"""A project with ten requirements: six that can be falsified, four that two people read in two ways."""

from __future__ import annotations

import json
from pathlib import Path

HEAD = """\
[project]
name = "desk"
owner = "ada@example.org"

[[sources]]
name = "rows"
path = "rows.jsonl"
kind = "licensed"
licence = "CC-BY-4.0"
consent_basis = "not-personal"

[base]
path = "org/model"

[[suites]]
name = "dev"
role = "dev"
path = "items.jsonl"

[[suites]]
name = "gate"
role = "gate"
path = "items.jsonl"
scorer = "label"
map = { slices = ["topic"] }

"""
CLEAR = {
    "deadline": """\
text = "Customers learn when an item must be back."
owner = "bob@example.org"

[[requirements.criteria]]
id = "deadline.days"
statement = "An answer about returns names the deadline of 14 days."
slice = "topic=returns"
check = "contains"
value = "14 days"
threshold = 0.95
n = 220
example = "You have 14 days to send it back. Keep the receipt."
counterexample = "Send it back whenever you like."
""",
    "promises": """\
text = "Nobody is promised money."

[[requirements.criteria]]
id = "promises.none"
statement = "No answer promises or guarantees a refund."
slice = "*"
check = "not_contains"
value = ["promise", "promised", "guarantee", "guaranteed"]
threshold = 1.0
example = "The team looks at it and writes to you by Friday."
counterexample = ["I guarantee that you get your money back.", "A refund is guaranteed."]
""",
    "length": """\
text = "Answers fit on the screen of a telephone."

[[requirements.criteria]]
id = "length.words"
statement = "An answer has at most 12 words."
slice = "*"
check = "max_words"
value = 12
threshold = 0.95
example = "Your card is on its way. It arrives on Friday."
counterexample = "Your card is on its way and it arrives on Friday, and we thank you for all of your patience."
""",
    "ticket": """\
text = "Staff find the ticket again."

[[requirements.criteria]]
id = "ticket.fields"
statement = "An answer about a ticket is a JSON object with the fields `ticket` and `status`."
slice = "topic=tickets"
check = "json_schema"
value = { type = "object", required = ["ticket", "status"], properties = { ticket = { type = "integer" } } }
threshold = 0.95
example = '{"ticket": 12, "status": "open"}'
counterexample = ['{"status": "open"}', '{"ticket": "12", "status": "open"}', "Ticket 12 is open."]
""",
    "sorted": """\
text = "Questions are sorted by what they are about."

[[requirements.criteria]]
id = "sorted.label"
statement = "The answer is one of the labels card, fee and transfer, and nothing else."
slice = "topic=sorting"
check = "label"
value = ["card", "fee", "transfer"]
threshold = 0.95
example = ["card", "fee"]
counterexample = "I would say card."
""",
    "telephone": """\
text = "Someone who lost a card can call."

[[requirements.criteria]]
id = "telephone.number"
statement = "An answer about a lost card gives a telephone number."
slice = "topic=lost"
check = "regex"
value = '(?s).*\\b\\d{3}-\\d{4}\\b.*'
threshold = 0.95
example = ["Please call 555-0100 at once.", "The number is 555-0199. Have your name at hand."]
counterexample = ["Please call us at once.", "The number is on your card. Have your name at hand."]
""",
}
VAGUE = {
    "kindness": 'text = "Answers are friendly."\n',
    "help": """\
text = "Answers are helpful and appropriate."

[[requirements.criteria]]
id = "help.some"
statement = "The answer is of help."
threshold = 0.9
""",
    "speed": 'text = "The customer hears from us as soon as possible."\n',
    "brevity": """\
text = "Answers do not ramble."

[[requirements.criteria]]
id = "brevity.short"
statement = "An answer is short."
slice = "*"
check = "max_words"
value = 12
threshold = 0.9
example = "Yes."
counterexample = "No."
""",
}
"""Two without a criterion, one with half of one, one with a whole one that says nothing more."""


def written(folder: Path, requirements: dict[str, str], head: str = HEAD) -> Path:
    """The project in a folder: 1,000 items in four slices."""
    topics = ("returns", "tickets", "sorting", "lost")
    items = [{"id": f"q{i}", "input": f"question {i}", "expected": "card", "topic": topics[i % 4]} for i in range(1000)]
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (folder / "rows.jsonl").write_text('{"id": "1", "text": "hello"}\n')
    parts = [f'[[requirements]]\nid = "{name}"\n{text}\n' for name, text in requirements.items()]
    (folder / "whence.toml").write_text(head + "".join(parts))
    return folder
