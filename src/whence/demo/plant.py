"""Faults planted in the demo's data on purpose, and the truth file's account of them.

Each function overwrites rows that `pick` hands out, and no row is handed out twice, so that every planted row has
one fault only.
"""

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]

MUCH_TOO_LONG_CHARS = 6_000
"""A planted long row has at least this many characters; every other text has fewer than 500."""


@dataclass
class Plan:
    """Which tickets are already used, and what was planted."""

    rng: random.Random
    tickets: list[Row]
    used: set[int] = field(default_factory=set)
    truth: dict[str, Any] = field(default_factory=dict)

    def pick(self, count: int) -> list[int]:
        """`count` unused positions in rising order."""
        free = [at for at in range(len(self.tickets)) if at not in self.used]
        chosen = sorted(self.rng.sample(free, count))
        self.used.update(chosen)
        return chosen

    def untouched_customers(self) -> list[str]:
        """Customers of tickets, by id, none of whose tickets is used."""
        touched = {self.tickets[at]["customer"] for at in self.used}
        return sorted({row["customer"] for row in self.tickets} - touched)


def ref(source: str, row: Row) -> str:
    """How the truth names a row: `source:record id`."""
    return f"{source}:{row['id']}"


def other_manner(text: str, rng: random.Random) -> str:
    """The text in another case and punctuation: equal after normalising, not before."""
    manners = (str.upper, str.swapcase, lambda one: one + " !!!", lambda one: "... " + one.lower() + " ...")
    return rng.choice(manners)(text)


def duplicates(plan: Plan, exact: int, normalised: int, partner: list[Row], from_partner: int) -> None:
    """Copies of earlier tickets, by the same customer, and partner rows that repeat a ticket."""
    plan.truth["exact_duplicates"] = _copy(plan, exact, lambda text: text)
    plan.truth["normalised_duplicates"] = _copy(plan, normalised, lambda text: other_manner(text, plan.rng))
    for at, row in zip(plan.pick(from_partner), plan.rng.sample(partner, from_partner), strict=True):
        ticket = plan.tickets[at]
        row["question"], row["intent"] = ticket["text"], ticket["intent"]
        plan.truth["exact_duplicates"].append({"row": ref("partner", row), "of": ref("tickets", ticket)})


def _copy(plan: Plan, count: int, change: Callable[[str], str]) -> list[Row]:
    places = plan.pick(2 * count)
    planted = []
    for earlier, later in zip(places[:count], places[count:], strict=True):
        first, second = plan.tickets[earlier], plan.tickets[later]
        second.update(customer=first["customer"], text=change(first["text"]), intent=first["intent"])
        planted.append({"row": ref("tickets", second), "of": ref("tickets", first)})
    return planted


def too_long(plan: Plan, count: int, statement_line: Callable[[], str]) -> None:
    """Tickets into which the customer pasted a whole statement."""
    planted = []
    for at in plan.pick(count):
        row = plan.tickets[at]
        pasted = [row["text"], "", "Pasted from my statement:"]
        while sum(map(len, pasted)) < MUCH_TOO_LONG_CHARS:
            pasted.append(statement_line())
        row["text"] = "\n".join(pasted)
        planted.append({"row": ref("tickets", row), "characters": len(row["text"])})
    plan.truth["too_long"] = planted


def text_leaks(plan: Plan, gate: Iterable[Row], exact: int) -> None:
    """Gate items whose text is a training row's: the first `exact` as it is, the rest in another manner."""
    planted = []
    gate = list(gate)
    for number, (at, item) in enumerate(zip(plan.pick(len(gate)), gate, strict=True)):
        ticket = plan.tickets[at]
        kind = "exact" if number < exact else "normalised"
        text = ticket["text"] if kind == "exact" else other_manner(ticket["text"], plan.rng)
        item.update(channel=ticket["channel"], text=text, intent=ticket["intent"])
        planted.append({"item": ref("gate", item), "row": ref("tickets", ticket), "kind": kind})
    plan.truth["text_leaks"] = planted


def group_leaks(plan: Plan, chats: list[Row], gate: list[Row], customers: int) -> None:
    """Customers with two to five training rows, nothing else planted in them, who get two items of `gate` each."""
    few = [one for one in plan.untouched_customers() if 2 <= len(rows_of(one, plan.tickets, chats)) <= 5]
    planted = []
    for number, customer in enumerate(plan.rng.sample(few, customers)):
        items = gate[2 * number : 2 * number + 2]
        for item in items:
            item["customer"] = customer
        plan.used.update(at for at, row in enumerate(plan.tickets) if row["customer"] == customer)
        rows = rows_of(customer, plan.tickets, chats)
        planted.append({"customer": customer, "rows": rows, "items": [ref("gate", item) for item in items]})
    plan.truth["group_leaks"] = planted


def rows_of(customer: str, tickets: list[Row], chats: list[Row]) -> list[str]:
    """Every ticket and chat of a customer."""
    named = (("tickets", tickets), ("chats", chats))
    return [ref(source, row) for source, rows in named for row in rows if row["customer"] == customer]


def break_lines(plan: Plan, lines: list[bytes]) -> None:
    """Damages five lines of the ticket file, one in each way that exports are known to break."""
    faults = ("truncated_json", "invalid_utf8", "nan_value", "missing_text", "missing_intent")
    planted = []
    for at, fault in zip(plan.pick(len(faults)), faults, strict=True):
        row = plan.tickets[at]
        lines[at] = _damaged(row, lines[at], fault)
        planted.append({"row": ref("tickets", row), "line": at + 1, "fault": fault})
    plan.truth["broken"] = planted


def _damaged(row: Row, line: bytes, fault: str) -> bytes:
    if fault == "truncated_json":
        return line[: len(line) * 2 // 3]
    if fault == "invalid_utf8":
        return line.replace(b'"text": "', b'"text": "\xff\xfe ', 1)
    if fault == "nan_value":
        return json.dumps({**row, "agent": float("nan")}, ensure_ascii=False).encode()
    if fault == "missing_text":
        return json.dumps({**row, "text": None}, ensure_ascii=False).encode()
    return json.dumps({key: value for key, value in row.items() if key != "intent"}, ensure_ascii=False).encode()
