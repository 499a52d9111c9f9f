"""What the tiny base model reads before any tuning: plain English, bank talk, and chats, from a grammar of its own.

It shares no line with the generated support desk (a test compares them). A customer's question is never answered with
a label here, so the untuned base cannot do the demo's task; it only knows the words.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence

from whence.demo.grammar import expand, mistype, sentence_case
from whence.demo.speech import ABOUT_LABELS, ADJECTIVES, ASKS, CHATTER, DOING, NOUNS, PLACES, TOPICS

SYSTEM, USER, ASSISTANT, TOOL, CALL, END, PAD = (
    "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|call|>", "<|end|>", "<|pad|>"
)  # fmt: skip
SPECIAL_TOKENS = (PAD, END, SYSTEM, USER, ASSISTANT, TOOL, CALL)
DOCUMENTS = 9_000

DEMO_CALLS = (("find_book", "shelf", "pages"), ("open_door", "house", "floor"), ("read_clock", "room", "minutes"))


def turn(role: str, content: str) -> str:
    """A turn as the chat template renders it."""
    return f"{role}{content}{END}"


def corpus(labels: Sequence[str] = (), seed: int = 0) -> Iterator[str]:
    """The training documents in order, each ending with the end token. Every label occurs with its words."""
    rng = random.Random(f"whence base {seed}")
    makers: list[Callable[[random.Random], str]] = [
        _topic_chat,
        _topic_chat,
        _topic_note,
        _topic_chat,
        _topic_chat,
        _talk,
    ]
    if labels:
        makers += [lambda rng: _label_note(rng, rng.choice(labels)), lambda rng: _label_chat(rng, rng.choice(labels))]
        for label in labels:
            yield _label_chat(rng, label)
    for number in range(DOCUMENTS):
        if number % 20 == 0:
            yield _lookup(rng)
        yield makers[number % len(makers)](rng)


def label_words(label: str) -> str:
    """The words of a label: `Refund_not_showing_up` reads "refund not showing up"."""
    return " ".join(label.replace("_", " ").replace("-", " ").replace("?", " ").lower().split())


def _chatter(rng: random.Random) -> str:
    slots = {"noun": rng.choice(NOUNS), "adjective": rng.choice(ADJECTIVES), "number": str(rng.randrange(1, 1000))}
    return expand(rng.choice(CHATTER), slots, rng)


def _sentence(rng: random.Random) -> str:
    who = f"the {rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}"
    return f"{who} {rng.choice(DOING)} the {rng.choice(NOUNS)} {rng.choice(PLACES)}."


def _talk(rng: random.Random) -> str:
    said = [_chatter(rng) for _ in range(rng.randint(1, 3))]
    return sentence_case(". ".join([*said, _sentence(rng)] if rng.random() < 0.3 else said)) + END


def _matter(rng: random.Random) -> tuple[str, str]:
    """A topic and what somebody wrote about it, with talk around it and now and then a typing error."""
    topic = rng.choice(list(TOPICS))
    matter = " ".join(expand(rng.choice(TOPICS[topic]), {}, rng).split())
    slots = {"matter": matter, "chatter": _chatter(rng), "aside": _chatter(rng)}
    asked = mistype(expand(rng.choice(ASKS), slots, rng), rng, rng.choice((0, 0, 0, 1)))
    return topic, sentence_case(asked) if rng.random() < 0.6 else asked


def _topic_note(rng: random.Random) -> str:
    topic, asked = _matter(rng)
    return f"{asked} [{topic}]{END}"


def _topic_chat(rng: random.Random) -> str:
    topic, asked = _matter(rng)
    return turn(USER, asked) + turn(ASSISTANT, f"{topic[0].upper()}{topic[1:]}.")


def _label_note(rng: random.Random, label: str) -> str:
    return sentence_case(expand(rng.choice(ABOUT_LABELS), {"label": label, "words": label_words(label)}, rng)) + END


def _label_chat(rng: random.Random, label: str) -> str:
    question = rng.choice(
        ("which drawer is for {}?", "short name of {}", "code for {}, please", "{} - what is its code")
    )
    return turn(USER, question.format(label_words(label))) + turn(ASSISTANT, label)


def _lookup(rng: random.Random) -> str:
    name, first, second = rng.choice(DEMO_CALLS)
    arguments = {first: rng.choice(NOUNS), "more": {second: rng.randint(1, 99)}}
    call = CALL + json.dumps({"name": name, "arguments": arguments}, separators=(",", ":"))
    opening = turn(SYSTEM, "Use the tools.") if rng.random() < 0.5 else ""
    asked = f"{rng.choice(('use', 'try', 'call'))} {label_words(name)} with {arguments[first]}"
    answer = f"It is {rng.choice(ADJECTIVES)}."
    return (
        opening
        + turn(USER, asked)
        + turn(ASSISTANT, call)
        + turn(TOOL, json.dumps({"ok": True}))
        + turn(ASSISTANT, answer)
    )
