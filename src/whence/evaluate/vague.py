"""Words that two readers of a requirement take for two things.

What to look for is after the rules of requirements engineering: vague terms, escape clauses and open ends (INCOSE,
Guide to Writing Requirements, R7 to R9), subjective language, ambiguous adverbs and adjectives, comparatives and
loopholes (ISO/IEC/IEEE 29148:2018, 5.2.7), with words that people use of answers. The lists are ours. Totals ("all",
"never") are not among them: over a named population with a threshold they can be counted.
"""

from __future__ import annotations

import re

MANNER = """
acceptable accurate adaptable adequate appealing appropriate attractive authentic bad balanced beautiful biased big
brief careful caring casual cautious clean clear coherent comfortable compact compassionate compelling competent
comprehensive concise confident confusing considerate consistent constructive convenient convincing courteous creative
crisp decent detailed difficult diplomatic easy effective efficient effortless elegant empathetic empathic engaging
enjoyable ethical excellent fair fast fitting flexible fluent formal friendly funny generous gentle good graceful
great harmful harmless helpful high-quality honest human-like impartial important informal informative insightful
intelligent interesting intuitive irrelevant kind lengthy lively logical long meaningful modern natural neat neutral
nice normal objectionable offensive optimal patient personable plain pleasant polished polite poor practical precise
professional proper quick readable realistic reasonable reassuring relevant reliable respectful robust rude
satisfactory satisfied satisfying seamless secure sensible sensitive serious short similar simple sloppy slow smart
smooth sound special stylish subjective succinct suitable supportive sympathetic tactful tasteful terse thorough
thoughtful timely tolerable toxic transparent trustworthy understandable understanding useful user-friendly valuable
verbose vivid warm welcoming well-written wordy
"""
"""How something is, in somebody's eyes."""
AMOUNT = """
almost approximate considerable enough excessive few frequent general generally large less little lots low many
maximal mild minimal minor moderate most much multiple near nearly negligible normally numerous occasional often
partial partly plenty quite rare rather regular rough several significant slight small some sometimes somewhat
substantial sufficient too typical unusual usual various very
"""
"""How much, or how often, without a number."""
TIME = "asap eventually immediate prompt rapid recent soon swift instantly lately"
"""When, without a clock."""
GRADE = "best better worse worst easier finest higher lower superior inferior state-of-the-art cutting-edge"
"""More or most of something, compared with nothing."""
PHRASES = """
a bit, a couple of, a lot of, a number of, and so on, and the like, as a minimum, as applicable, as appropriate, as
far as possible, as little as possible, as much as possible, as necessary, as needed, as required, as soon as
possible, best practice, best practices, common sense, easy to use, etc, high quality, human like, if applicable, if
appropriate, if necessary, if needed, if possible, if practical, in a timely manner, including but not limited to,
kind of, make sense, makes sense, not be limited to, not limited to, on brand, on time, on-brand, sort of, to the
extent possible, to the point, too many, too much, user friendly, well written, when appropriate, when necessary, when
possible, whenever possible, where applicable, where appropriate, where feasible, where necessary, where possible,
wherever possible
"""
"""Loopholes, open ends and sayings."""
FIXED = """
any kind, as long as, at least, at most, consistent with, fewer than, how few, how little, how long, how many, how
much, how often, in good faith, kind regards, kinds of, less than, lower case, natural language, no fewer than, no
less than, no longer, no more than, or fewer, or less, plain text, similar to, small talk, special character, special
characters, special offer, special offers, the kind of, the same kind, this kind, what kind, which kind
"""
"""Where such a word means something else, or a number follows."""
_ENDS = ("", "ly", "er", "est", "ness")


def _forms(word: str) -> set[str]:
    """A word with the endings that it may carry, and its opposite."""
    stem = word[:-1] + "i" if word.endswith("y") and word[-2] not in "aeiou" else word.removesuffix("e")
    with_ends = {stem + end for end in _ENDS[1:]} | {word + end for end in _ENDS}
    with_ends |= {word[:-1] + "y"} if word.endswith("le") else set()
    with_ends |= {word + word[-1] + end for end in ("er", "est") if re.search(r"[^aeiou][aeiou][bdgmnpt]$", word)}
    return with_ends | {prefix + form for form in with_ends for prefix in ("un", "in", "im", "ir", "dis", "over")}


_WORDS = {form for group in (MANNER, AMOUNT, TIME) for word in group.split() for form in _forms(word)}
_WORDS.update(GRADE.split())
_QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|„[^“”\n]*[“”]|«[^»\n]*»|`[^`\n]*`|(?<!\w)'[^'\n]+'(?!\w)")
_FIXED, _PHRASES = (
    re.compile(rf"(?<![\w-])(?:{'|'.join(' '.join(some.split()).split(', '))})(?![\w-])", re.IGNORECASE)
    for some in (FIXED, PHRASES)
)
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_COUNTED = re.compile(r"\s+than\s+(?:\d|one\b|two\b|three\b|four\b|five\b|ten\b)", re.IGNORECASE)


def quoted(sentence: str) -> list[str]:
    """What stands in quotes: names and words to be said, not what is said of them."""
    return [hit.group()[1:-1] for hit in _QUOTED.finditer(sentence)]


def unquoted(sentence: str) -> str:
    """The sentence, blank where it quotes."""
    return _QUOTED.sub(lambda hit: " " * len(hit.group()), sentence)


def vague(sentence: str) -> list[str]:
    """Its undefined words, in lower case, each once, in order. What stands in quotes is never vague; nor is a
    comparative that a number follows ("shorter than 60 words")."""
    text = _FIXED.sub(lambda hit: " " * len(hit.group()), unquoted(sentence))
    hits = list(_PHRASES.finditer(text))
    rest = _PHRASES.sub(lambda hit: " " * len(hit.group()), text)
    hits += [w for w in _WORD.finditer(rest) if w.group().lower() in _WORDS and not _COUNTED.match(rest, w.end())]
    return list(dict.fromkeys(hit.group().lower() for hit in sorted(hits, key=lambda hit: hit.start())))
