"""The people of the invented support desk and the messages they write."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from whence.demo.grammar import expand, mistype, sentence_case, tidy
from whence.demo.lexicon import CLOSERS, CONTEXT, FIRST_NAMES, FRAMES, INTENTS, OPENERS, SURNAMES, VALUES
from whence.text import normalise

CHANNELS: tuple[str, ...] = ("chat", "email", "phone")
CHANNEL_SHARES = (0.6, 0.25, 0.15)
OPENING = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
"""When the first ticket could arrive; tickets are spread over the 240 days that follow."""


@dataclass(frozen=True)
class Message:
    """One customer message and what it was made from."""

    text: str
    intent: str
    slots: dict[str, str]


def draw_slots(rng: random.Random) -> dict[str, str]:
    """A value for each slot of the lexicon's templates."""
    slots = {"number": str(rng.randint(1, 180)), "last4": f"{rng.randrange(10_000):04d}"}
    pounds, pence = (
        rng.choice((rng.randint(2, 60), rng.randint(20, 900))),
        rng.choice((0, 0, 50, 99, rng.randrange(100))),
    )
    slots["amount"] = f"£{pounds}.{pence:02d}" if pence else rng.choice((f"£{pounds}", f"{pounds} pounds"))
    for name in ("month", "merchant", "city", "country", "when", "ago", "days", "payee", "street"):
        slots[name] = rng.choice(VALUES[name]).format_map(slots)
    return slots


class Desk:
    """Writes messages of which no two are the same after normalising.

    customers: ids in order of how often they write; the first writes most (weights 1 / (rank + 12)).
    """

    def __init__(self, seed: int, customers: int) -> None:
        self.rng = random.Random(f"whence demo {seed}")
        self._seen: set[str] = set()
        ids = [f"c-{number:04d}" for number in range(1, customers + 1)]
        self.rng.shuffle(ids)
        self.customers: list[str] = ids
        self._names = {one: f"{self.rng.choice(FIRST_NAMES)} {self.rng.choice(SURNAMES)}" for one in sorted(ids)}

    def customer(self, among: Sequence[str]) -> str:
        """A customer drawn with weights that fall with the rank, as a few customers write much and most write once."""
        return self.rng.choices(among, [1 / (rank + 12) for rank in range(len(among))])[0]

    def channel(self) -> str:
        return self.rng.choices(CHANNELS, CHANNEL_SHARES)[0]

    def intents(self, count: int) -> list[str]:
        """`count` intents in random order, each about equally often."""
        dealt = [INTENTS[at % len(INTENTS)] for at in range(count)]
        self.rng.shuffle(dealt)
        return dealt

    def times(self, count: int) -> list[datetime]:
        """`count` moments in rising order, whole minutes, between 08:00 and 20:00 UTC."""
        minutes = (self.rng.randrange(240) * 1440 + self.rng.randrange(720) for _ in range(count))
        return [OPENING + timedelta(minutes=minute) for minute in sorted(minutes)]

    def message(self, intent: str, channel: str, customer: str) -> Message:
        """A message in the manner of its channel."""
        return self._unseen(intent, draw_slots, lambda plain, slots: self._dress(plain, slots, channel, customer))

    def question(self, intent: str) -> Message:
        """A tidy message without greeting, as a data vendor would deliver."""
        return self._unseen(intent, draw_slots, lambda plain, slots: tidy(plain))

    def paraphrase(self, intent: str, slots: dict[str, str]) -> Message:
        """The same matter in other words, in the tidy manner of a machine."""
        polite = ("", "", "could you help me. ", "i am writing because of this: ", "a question: ")
        return self._unseen(intent, lambda _: slots, lambda plain, _: tidy(self.rng.choice(polite) + plain))

    def _unseen(
        self,
        intent: str,
        draw: Callable[[random.Random], dict[str, str]],
        dress: Callable[[str, dict[str, str]], str],
    ) -> Message:
        for _ in range(1000):
            slots = draw(self.rng)
            text = dress(expand(self.rng.choice(FRAMES[intent]), slots, self.rng), slots)
            if (key := normalise(text)) not in self._seen:
                self._seen.add(key)
                return Message(text, intent, slots)
        raise RuntimeError(f"the lexicon has no further text for {intent}: add frames or slot values")

    def _dress(self, plain: str, slots: dict[str, str], channel: str, customer: str) -> str:
        rng = self.rng
        aside = expand(rng.choice(CONTEXT), slots, rng) if rng.random() < 0.3 else ""
        parts = [aside, plain] if rng.random() < 0.3 else [plain, aside]
        body = ". ".join(part for part in parts if part)
        if channel == "email":
            sign_off = rng.choice(("Kind regards", "Best wishes", "Regards", "Yours"))
            return f"{rng.choice(OPENERS['email'])}\n\n{tidy(body)}\n\n{sign_off},\n{self._names[customer]}"
        if rng.random() < 0.5:
            body = f"{rng.choice(OPENERS[channel])} {body}"
        if channel == "phone":
            return tidy(body.replace("i ", "i, er, i ", 1) if rng.random() < 0.15 else body)
        if rng.random() < 0.3:
            body = f"{body}{rng.choice((',', '.'))} {rng.choice(CLOSERS)}"
        body = mistype(body, rng, rng.choice((0, 0, 0, 1, 1, 2)))
        return rng.choice((str.lower, sentence_case, tidy))(body)
