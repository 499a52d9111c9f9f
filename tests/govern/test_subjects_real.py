"""Whom rows of real conversations name: against the truth that structured fields give, and where there is none."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from whence.govern import Identifier, Mentions, identify, search, waiting
from whence.store import Store, verify

pytestmark = pytest.mark.real_data
Take = Callable[..., Any]


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def full_name(user: Any) -> str:
    return f"{user['name']['first_name']} {user['name']['last_name']}"


@pytest.mark.parametrize("tags", [True, False])
def test_customers_whom_transcripts_and_tasks_name(store: Store, take: Take, real_data: Path, tags: bool) -> None:
    """500 customers of tau_bench with name, address, orders and payment methods; 69 transcripts, untagged, and 500
    tasks, tagged with the user of the task or not. The truth is a search in clear for what users.json and orders.json
    say."""
    retail = real_data / "tau_bench" / "retail"
    users, orders = (json.loads((retail / f"{name}.json").read_text()) for name in ("users", "orders"))
    few, tasks = (
        lines(real_data / "tau_bench" / "few_shot_MockRetailDomainEnv.jsonl"),
        lines(retail / "tasks_train.jsonl"),
    )
    take([{"text": one["messages_display"]} for one in few], "few")
    take(
        [{"prompt": t["instruction"], "completion": json.dumps(t["actions"]), "who": t["user_id"]} for t in tasks],
        "tasks",
        **({"subject": "who"} if tags else {}),
    )
    texts = [one["messages_display"] for one in few] + [t["instruction"] + json.dumps(t["actions"]) for t in tasks]
    sharp: dict[str, list[tuple[str, str]]] = {name: [("email", user["email"])] for name, user in users.items()}
    for number, order in orders.items():
        sharp[order["user_id"]].append(("order", number))
    for name, user in users.items():
        sharp[name] += [("account", method) for method in user["payment_methods"]] + [("account", name)]
    said = [Identifier(subject=n, kind=k, value=v) for n, held in sharp.items() for k, v in held]  # type: ignore[arg-type]
    said += [Identifier(subject=name, kind="name", value=full_name(user)) for name, user in users.items()]
    nobody = Identifier(subject="nobody_here_0001", kind="email", value="nobody.here0001@example.com")
    identify(store, [*said, nobody])
    search(store)

    known, people = Mentions(store), {name: store.keys.pseudonym(name) for name in users}
    tagged = {name: set(known.tagged(p)) for name, p in people.items()}
    found = {name: set(known.named(p)) | tagged[name] for name, p in people.items()}
    truth = {
        name: {n for n, text in enumerate(texts) if any(value in text for _, value in held)} | tagged[name]
        for name, held in sharp.items()
    }
    right = sum(len(found[name] & truth[name]) for name in users)
    assert (sum(map(len, found.values())), sum(map(len, truth.values())), right) == (568, 568, 568)
    assert sum(map(len, tagged.values())) == (500 if tags else 0)
    assert len({row for rows in found.values() for row in rows if row < len(few)}) == 68
    control = store.keys.pseudonym("nobody_here_0001")
    assert not known.rows(control) | known.waiting(control)

    # names: in full, and still those of others
    names = Counter(full_name(user) for user in users.values())
    assert sum(count for count in names.values() if count > 1) == 221
    hits = [(name, n) for name, user in users.items() for n, text in enumerate(texts)
            if n >= len(few) and full_name(user).lower() in text.lower()]  # fmt: skip
    assert (len(hits), sum(tasks[n - len(few)]["user_id"] == name for name, n in hits)) == (794, 500)
    assert all(set(one.why) == {"weak"} for one in waiting(store))
    assert len(waiting(store)) == 332
    assert verify(store) == []


SLOTS = {"name": "name", "ssn": "other", "card_number": "account", "account_number": "account"}


def typed(row: Any) -> list[tuple[str, str]]:
    """(slot, words) of a row as its annotators marked them."""
    words, out = row["text"].split(), list[tuple[str, str]]()
    last = "O"
    for word, slot in zip(words, row["slots"], strict=False):
        if slot in SLOTS:
            out = [*out[:-1], (slot, f"{out[-1][1]} {word}")] if slot == last else [*out, (slot, word)]
        last = slot
    return out


def test_what_people_type_into_a_banks_chat(store: Store, take: Take, real_data: Path) -> None:
    """MultiDoGO finance: what a conversation's first row says of its customer is looked for in its later rows that say
    it again. Misspelled, shortened and mangled by its publishers ("123 e 15" was a card number)."""
    rows = lines(real_data / "multidogo" / "finance_turn_level.jsonl")
    take([{"id": str(n), "text": row["text"]} for n, row in enumerate(rows)], "bank", id="id")
    first: dict[tuple[str, str], tuple[str, int]] = {}
    later: dict[tuple[str, str], list[int]] = defaultdict(list)
    for n, row in enumerate(rows):
        for slot, words in typed(row):
            key = (row["conversation"], slot)
            if key not in first:
                first[key] = words, n
            elif first[key][1] != n:
                later[key].append(n)
    identify(
        store,
        [
            Identifier(subject=conversation, kind=SLOTS[slot], value=words)  # type: ignore[arg-type]
            for (conversation, slot), (words, _) in first.items()
            if len(words) > 1
        ],
    )
    search(store)
    known = Mentions(store)
    numbered = store.records_at("bank", list(map(str, range(len(rows)))))
    at = {int(record): ordinals[0] for record, ordinals in numbered.items()}
    line = {ordinal: number for number, ordinal in at.items()}
    people = {conversation: store.keys.pseudonym(conversation) for conversation, _ in first}
    counts: dict[str, Counter[str]] = {slot: Counter() for slot in SLOTS}
    for (conversation, slot), numbers in later.items():
        for n in numbers:
            named = at[n] in known.named(people[conversation])
            counts[slot][
                "named" if named else "to review" if at[n] in known.waiting(people[conversation]) else "no"
            ] += 1
    assert counts == {
        "name": {"named": 4, "to review": 53, "no": 74},
        "ssn": {"named": 5, "to review": 50, "no": 206},
        "card_number": {"named": 5, "to review": 15, "no": 114},
        "account_number": {"named": 4, "to review": 65, "no": 138},
    }

    mine = {pseudonym: conversation for conversation, pseudonym in people.items()}
    hits = [(c, line[row]) for c, p in people.items() for row in known.named(p)]
    assert (len(hits), sum(rows[n]["conversation"] != c for c, n in hits)) == (560, 0)
    maybe = waiting(store)
    assert len(maybe) == 36_305
    others = sum(rows[line[one.row]]["conversation"] != mine[one.subject] for one in maybe)
    assert others == 30_986
    full = [words for (_, slot), (words, _) in first.items() if slot == "name" and " " in words]
    assert (len(full), len(set(full))) == (1358, 1221)
