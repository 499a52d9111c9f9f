"""Answers that violate a criterion, made from answers that do not.

A checker is worth something where it fails every answer that violates the statement, so the statement, its examples
and its counterexamples say which those are; the checker is never asked. What the statement is about is read from it
(`claim`), what makes the difference from the examples. In order:

- case: an example and a counterexample differ in case alone. Some of the letters that differ, and all of an example.
- a limit ("at most 60 words") that every example keeps and a counterexample breaks: example words over and under it.
- structure: every example is a JSON object or list. Cut off, wrapped in prose; without a member that a counterexample
  lacks or the statement quotes; with a value of a counterexample.
- closed set ("one of", "only the label"): more than the label, two of them, half of one, none.
- negation: the counterexample only adds "not". Other ways to say no, in the same place.
- requires, forbids, or both: words that every counterexample lacks are taken out of examples, whole sentences of
  counterexamples with words that no example has are put in. What the statement itself quotes, or says in figures, is
  all that is touched where a pair shows it, so that a checker that looks at anything else lets such a mutant pass.
  Where the sentence does not plainly forbid or require, both is done at once.

Each is a violation as far as the pair is one: two answers that differ in everything say little of what matters, and
then a checker of something else that they differ in may kill all. A counterexample that differs in one thing is worth
more. Mutation testing is after R. A. DeMillo, R. J. Lipton and F. G. Sayward, Computer 11(4), 1978, p. 34.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, product

from whence.evaluate.checkers import holds, words
from whence.evaluate.vague import quoted, unquoted
from whence.records import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutants:
    """What was made of the examples of a criterion."""

    how: str
    """how statement and examples were read"""
    violating: tuple[str, ...]
    """answers that a checker must fail"""
    harmless: tuple[str, ...]
    """changed examples that it must pass"""


Pairs = tuple[Sequence[str], Sequence[str]]
"""(examples, counterexamples)."""
Made = tuple[str, Iterable[str], Iterable[str]]
"""(how it was read, violating, harmless)."""


def mutants(statement: str, good: Sequence[str], bad: Sequence[str]) -> Mutants:
    """Mutants of examples; none where examples and counterexamples say the same words."""
    ways: tuple[Callable[[str, Pairs], Made | None], ...] = (_case, _limit, _structure, _closed, _negation, _words)
    how, violating, harmless = next(made for way in ways if (made := way(statement, (good, bad))))
    same = set(good) if how == "case" else {_plain(answer) for answer in good}
    spared = [f"\n{answer}  \n" for answer in good] + [one for one in harmless if one.strip()]
    return Mutants(
        how=how,
        violating=tuple(
            one
            for one in dict.fromkeys(violating)
            if one not in bad and (one if how == "case" else _plain(one)) not in same
        ),
        harmless=tuple(dict.fromkeys(spared)),
    )


# -- case --------------------------------------------------------------------------------------------------------------

CASES: tuple[Callable[[str], str], ...] = (str.lower, str.upper)


def _case(statement: str, pairs: Pairs) -> Made | None:
    made = list[str]()
    for e, c in product(*pairs):
        if e == c or e.lower() != c.lower() or len(e) != len(c):
            continue
        at = [i for i, (a, b) in enumerate(zip(e, c, strict=True)) if a != b]
        for some in (*(at[:k] for k in range(1, len(at))), *(at[k:] for k in range(1, len(at))), *([i] for i in at)):
            made.append("".join(c[i] if i in some else letter for i, letter in enumerate(e)))
        for turn in CASES:
            if all(turn(e)[i] == c[i] for i in at):
                made += [turned for one in pairs[0] if (turned := turn(one)) != one]
    return ("case", made, []) if made else None


# -- limits ------------------------------------------------------------------------------------------------------------

NUMBERS = dict(
    zip(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), range(1, 11), strict=True)
)
UNITS: dict[str, Callable[[str], int]] = {
    "word": words,
    "sentence": lambda text: len(sentences(text)),
    "line": lambda text: len([line for line in text.splitlines() if line.strip()]),
    "character": len,
}
Bound = int | None
_N = rf"(\d+|{'|'.join(NUMBERS)})"
_UNIT = rf"\s+(?:\w+\s+)?({'|'.join(UNITS)})s?\b"
_MOST = r"at most|no more than|not more than|up to|maximum of|no longer than|within|not exceed(?:ing)?"
_LEAST = r"at least|no fewer than|no less than|not less than|minimum of"
_LIMITS = (
    (rf"(?:{_MOST})\s+{_N}{_UNIT}", 0, None),
    (rf"(?:fewer than|less than|under|below|shorter than)\s+{_N}{_UNIT}", -1, None),
    (rf"{_N}{_UNIT}\s+(?:or (?:fewer|less)|at most|maximum)", 0, None),
    (rf"(?:{_LEAST})\s+{_N}{_UNIT}", None, 0),
    (rf"(?<!no )(?<!not )(?:more than|over|above|longer than)\s+{_N}{_UNIT}", None, 1),
    (rf"{_N}{_UNIT}\s+(?:or more|at least|minimum)", None, 0),
    (rf"{_N}\s+or\s+(?:fewer|less){_UNIT}", 0, None),
    (rf"{_N}(?:\+|\s+or\s+more){_UNIT}", None, 0),
    (rf"exactly\s+{_N}{_UNIT}", 0, 0),
)
"""Pattern of (number, unit) → what to add to the number for the most and the least; None: no such limit."""


def limits(statement: str) -> list[tuple[str, Bound, Bound]]:
    """(unit, most, least) of each limit that a sentence names."""
    found = list[tuple[str, Bound, Bound]]()
    for hit in re.finditer(rf"{_N}\s+(?:to|and)\s+{_N}{_UNIT}", statement, re.IGNORECASE):
        found.append((hit[3].lower(), _number(hit[2]), _number(hit[1])))
    for pattern, most, least in _LIMITS:
        for hit in re.finditer(pattern, statement, re.IGNORECASE):
            n = _number(hit[1])
            found.append((hit[2].lower(), None if most is None else n + most, None if least is None else n + least))
    return found


def _number(text: str) -> int:
    return int(text) if text.isdigit() else NUMBERS[text.lower()]


def _limit(statement: str, pairs: Pairs) -> Made | None:
    """Nothing is made where a number of words is named and not understood, or not kept by an example."""
    good, bad = pairs
    for unit, most, least in limits(statement):
        count = UNITS[unit]

        def kept(text: str, count: Callable[[str], int] = count, most: Bound = most, least: Bound = least) -> bool:
            n = count(text)
            return (most is None or n <= most) and (least is None or n >= least)

        how = " and ".join(f"at {side} {n}" for side, n in (("most", most), ("least", least)) if n is not None)
        if not all(map(kept, good)):
            return f"an example does not keep to {how} {unit}s", [], []
        if not all(map(kept, bad)):
            made = [one for e in good for n in _around(most, least) for one in _of_length(e, unit, n)]
            spared = [_shorter(e) for e in good] + [f"{e} {sentences(e)[-1]}" for e in good if sentences(e)]
            return f"{how} {unit}s", [one for one in made if not kept(one)], [one for one in spared if kept(one)]
    for unit, count in UNITS.items():
        if re.search(rf"\d.*\b{unit}s?\b|\b{unit}s?\b.*\d", statement, re.IGNORECASE) and not limits(statement):
            counts = [list(map(count, side)) for side in pairs]
            if max(counts[0]) < min(counts[1]) or min(counts[0]) > max(counts[1]):
                return f"a number of {unit}s, not understood", [], []
    return None


def _around(most: int | None, least: int | None) -> list[int]:
    over = [] if most is None else [most + 1, most + 2, *(most * share // 10 + 1 for share in (11, 12, 15, 20, 30, 50))]
    under = [] if least is None else [least - 1, least - 2, *(least * share // 10 for share in (0, 2, 5, 7, 9))]
    return sorted({n for n in over + under if n >= 0})


def _of_length(text: str, unit: str, n: int) -> Iterator[str]:
    """The text again and again, up to so many units; parted by blanks, and by new lines."""
    parts = {"word": text.split(), "line": text.splitlines(), "character": list(text)}.get(unit, sentences(text))
    some = list(islice(cycle(parts), n)) if parts else []
    if unit in ("word", "sentence"):
        yield from (" ".join(some), "\n".join(some))
    else:
        yield ("\n" if unit == "line" else "").join(some)


def _shorter(text: str) -> str:
    parts = sentences(text)
    return " ".join(parts[:-1]) if len(parts) > 1 else " ".join(text.split()[:-1])


# -- structure, and closed sets ----------------------------------------------------------------------------------------


def _structure(statement: str, pairs: Pairs) -> Made | None:
    values = [_json(e) for e in pairs[0]]
    if not all(isinstance(value, dict | list) and value for value in values):
        return None
    others = [value for c in pairs[1] if isinstance(value := _json(c), dict)]
    named = quoted(statement) if claim(statement) == "requires" and not _OR.search(statement) else []
    made = [json.dumps(one, ensure_ascii=False) for value in values for one in _changed(value, others, named)]
    if not others or re.search(r"\bjson\b", statement, re.IGNORECASE):
        for e in map(str.strip, pairs[0]):
            made += [e[: len(e) * share // 4] for share in (0, 1, 2, 3)] + [e[:-1], e[1:], e + e]
            made += [f"Here it is: {e}", f"{e}\nIs there anything else?", e.replace('"', "'")]
    spared = [json.dumps(value, ensure_ascii=False, indent=k) for value in values for k in (None, 4)]
    return "structure", made, spared


def _json(text: str) -> Json:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _changed(value: Json, others: Sequence[dict[str, Json]], named: Sequence[str]) -> Iterator[Json]:
    """An object without one of the members that it must have, or with another value as a counterexample has it."""
    for key in value if isinstance(value, dict) else ():
        if key in named or any(key not in other for other in others):
            rest = {k: v for k, v in value.items() if k != key}
            yield from (rest, {**rest, f"{key}_": value[key]})
        yield from ({**value, key: other[key]} for other in others if other.get(key, value[key]) != value[key])


_OR = re.compile(r"\b(?:or|may|optional(?:ly)?)\b", re.IGNORECASE)
_CLOSED = re.compile(
    r"\b(?:one of|exactly one|nothing (?:else|but)|a single word|labels?|only the|categor(?:y|ies))\b", re.I
)


def _closed(statement: str, pairs: Pairs) -> Made | None:
    good = pairs[0]
    if not _CLOSED.search(statement) or any(words(e) > 5 or "\n" in e.strip() for e in good):
        return None
    made = ["", *(f"{a} {b}" for a, b in product(good, repeat=2))]
    for e in map(str.strip, good):
        made += [
            f"I think it is {e}",
            f"{e}, I think",
            f"not {e}",
            e[::-1],
            e[:-1],
            e[1:],
            e[: len(e) // 2],
            f"{e}{e[-1]}",
        ]
    named = {_plain(one) for one in quoted(statement)} | set(_tokens(statement))
    return "closed set", [one for one in made if _plain(one) not in named], []


# -- negation ----------------------------------------------------------------------------------------------------------

_NOT = re.compile(r"(?:not|never|no|cannot|\w+n['’]t)", re.IGNORECASE)


def _negation(statement: str, pairs: Pairs) -> Made | None:
    """A counterexample is an example and "not" behind one of its words."""
    made = []
    for e, c in product(*pairs):
        of, to = _WORD.findall(e), _WORD.findall(c)
        at = next((i for i, (a, b) in enumerate(zip(of, to, strict=False)) if a != b), -1)
        if at >= 1 and _NOT.fullmatch(to[at]) and to[:at] + to[at + 1 :] == of:
            verb = of[at - 1]
        elif (
            at >= 0
            and _NOT.fullmatch(to[at])
            and of[at + 1 :] == to[at + 1 :]
            and to[at].lower().startswith(of[at].lower()[:2])
        ):
            verb = of[at]
        else:
            continue
        ways = [f"{verb} {no}" for no in ("not", "NOT", "never", "no longer", "by no means", "in no case")]
        made += [*(re.sub(rf"\b{re.escape(verb)}\b", way, g, count=1) for g in pairs[0] for way in ways)]
    return ("negation", made, []) if made else None


# -- what is said ------------------------------------------------------------------------------------------------------

_WORD = re.compile(r"\w+(?:[-'’.,:/@]\w+)*")
_END = re.compile(r"(?<=[.!?])\s+|\n+")
_FIRST = re.compile(r"^\s*(?:when|if|where|while|for|in|on|after|before|unless|once)\b[^,]*,\s*", re.IGNORECASE)
_NEGATED = re.compile(
    r"\b(?:not|never|no|none|nothing|nobody|neither|cannot|without|\w+n['’]t"
    r"|avoids?|omits?|excludes?|free of|refrains? from)\b",
    re.I,
)
_TWICE = re.compile(r"\b(?:do not|don['’]t|does not|must not|never)\s+(?:forget|fail)s?\s+to\b", re.IGNORECASE)
_TURNS = re.compile(
    r"\b(?:that|which|who|whose|when|where|if|unless|while|because|and|but|or|not only)\b", re.IGNORECASE
)
_LIKE = re.compile(r"\b(?:such as|like|e\.g|for example|in the form|of the form|format)\b", re.IGNORECASE)
_COUNT = re.compile(rf"\b(?:exactly|only|once|single|at most|no more than|{'|'.join(NUMBERS)})\b", re.IGNORECASE)


def claim(statement: str) -> str:
    """Whether a sentence plainly ``requires`` or ``forbids`` something to be said; else ``both``."""
    main = _TWICE.sub("", _FIRST.sub("", statement))
    no = _NEGATED.search(unquoted(main))
    if no is None:
        return "requires"
    return "both" if _TURNS.search(main[: no.start()]) or main[no.start() :].startswith("not only") else "forbids"


def sentences(text: str) -> list[str]:
    """Sentences and lines of a text."""
    return [part for part in _END.split(text.strip()) if part]


def _tokens(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _literals(statement: str) -> list[str]:
    """What a statement says word for word: quotes, and words with a figure in them that counts nothing."""
    bare = re.sub(rf"(?:{_MOST}|{_LEAST}|more than|fewer than|less than|exactly)\s+\d+", " ", unquoted(statement))
    return [*quoted(statement), *(word for word in _WORD.findall(bare) if any(map(str.isdigit, word)))]


def _words(statement: str, pairs: Pairs) -> Made:
    """Whatever is left: an answer violates by what it says or does not say."""
    good, bad = pairs
    said, unsaid = ({word for text in side for word in _tokens(text)} for side in pairs)
    how = claim(statement)
    if said == unsaid:
        return "the same words", [], []
    fixed = [one for one in _literals(statement) if _WORD.search(one)]
    lost = [one for one in fixed if all(holds(one, e) for e in good) and not any(holds(one, c) for c in bad)]
    more = [one for one in fixed if any(holds(one, c) for c in bad) and not any(holds(one, e) for e in good)]
    if more and how == "forbids" and not re.search(r"\b(?:unless|except|without)\b", statement):
        more = [one for one in quoted(statement) if not any(holds(one, e) for e in good)] or more
    pieces = more or [" ".join(p for p in sentences(c) if set(_tokens(p)) - said) for c in bad]
    pieces = [piece for piece in pieces if piece]
    left = {e: _without(e, lost or sorted(set(_tokens(e)) - unsaid)) for e in good}
    made = list[str]()
    if how == "requires":
        made = [one for e in good for one in (*_less(e, left[e], unsaid), *_numbers(statement, e, lost))]
        made += [*_echoes(bad), ""]
    elif how == "forbids":
        made = [one for e, piece in product(good, pieces) for one in _more(e, piece)]
    else:
        made = [one for e, piece in product(good, pieces or [""]) for one in _more(left[e], piece)] + list(_echoes(bad))
    spared = []
    if how == "forbids":
        spared = [f"{a} {b}" for a, b in product(good, repeat=2)]
    elif how == "requires" and not _COUNT.search(statement) and not quoted(statement):
        spared = [f"{e} {sentences(e)[-1]}" for e in good if len(sentences(e)) > 1]
    shown = lost if how == "requires" else more
    return " ".join([how, *map(repr, shown)]), made, spared


def _without(text: str, lost: Sequence[str]) -> list[str]:
    """The text in pieces, between the words and phrases that are taken out."""
    if not lost:
        return [text]
    found = sorted(map(str, lost), key=len, reverse=True)
    out = "|".join(r"\s+".join(map(re.escape, one.split())) for one in found)
    return re.split(rf"(?<!\w)(?:{out})(?!\w)", text, flags=re.IGNORECASE)


def _less(whole: str, left: Sequence[str], unsaid: set[str]) -> Iterator[str]:
    """An answer without what is required: taken out, cut off there, other words in its place, its sentences gone."""
    if len(left) < 2:
        return
    bare, others = " ".join("".join(left).split()), [w for w in dict.fromkeys(_tokens(whole)) if w in unsaid]
    fill = [*islice(cycle(others or sorted(unsaid)), len(left) - 1), ""]
    yield from (bare, bare.upper(), f"{bare} {bare}", "…".join(left), left[0])
    yield "".join(part + word for part, word in zip(left, fill, strict=True))
    yield " ".join(part for part in sentences(whole) if part in "".join(left))


def _numbers(statement: str, text: str, lost: Sequence[str]) -> Iterator[str]:
    """Another number in the place of one that the statement names."""
    for one in lost if not _LIKE.search(statement) else ():
        for number in re.findall(r"(?<![\w.,-])\d+(?![\w,-])", one):
            for other in (int(number) + 1, int(number) * 10, int(number) + 17, max(int(number) - 1, 0)):
                yield re.sub(rf"(?<!\w){number}(?!\w)", str(other), text)


def _echoes(bad: Sequence[str]) -> Iterator[str]:
    """A counterexample in other forms."""
    for c in bad:
        parts = sentences(c)
        yield from (c, f"{c} {c}", c.upper(), c.lower(), "\n\n".join(parts), " ".join(reversed(parts)))


def _more(before: str | Sequence[str], piece: str) -> Iterator[str]:
    """An answer with something put in: behind, before and between its sentences, in other letters, alone."""
    text = before if isinstance(before, str) else " ".join("".join(before).split())
    parts = sentences(text)
    yield from (f"{text} {piece}", f"{piece} {text}", f"{text}\n\n{piece}", f"{text} {piece} {piece}", piece)
    yield from (f"{text} {turn(piece)}" for turn in (str.upper, str.lower, str.title))
    yield f"{text} {'  '.join(piece.split())}"
    yield from (" ".join([*parts[:i], piece, *parts[i:]]) for i in range(1, len(parts)))
    yield f"{' '.join(text.split()[:1])} {piece}"
