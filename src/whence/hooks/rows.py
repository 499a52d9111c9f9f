"""What a trainer is about to read, as rows: the columns it was made from where they are still there, else its tokens
read back as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from whence.records import Json

BATCH_ROWS = 512
IGNORED = -100
"""The label of a token that is read and not learnt."""
SHAPES = (
    ("prompt", "chosen", "rejected"),
    ("chosen", "rejected"),
    ("prompt", "completion", "label"),
    ("prompt", "completion"),
    ("messages",),
)
"""Columns that make a row, in the order in which TRL's trainers look for them."""
TOKENS = ("input_ids", "labels", "completion_mask", "assistant_masks", "seq_lengths")
PAIRS = (
    ("prompt", ("prompt_ids", "prompt_input_ids")),
    ("chosen", ("chosen_ids", "chosen_input_ids")),
    ("rejected", ("rejected_ids", "rejected_input_ids")),
    ("completion", ("completion_ids",)),
)
"""Member of a row → the columns of tokens that DPO, KTO, ORPO and reward trainers make of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """How a trainer was told to read its rows."""

    tokenizer: Any
    """of transformers, or None"""
    max_length: int | None
    """tokens; longer rows are cut"""
    text_field: str
    """the column of plain text"""
    packed: bool
    """whether one record holds several rows"""


def fed_rows(dataset: Any, feed: Feed) -> Iterator[Json]:
    """The rows of a prepared data set, each a JSON object:

    id: its number, and its place in a packed record; record: its number in the data set; row: members as `whence.data`
    reads them; plain: the other columns of plain values; decoded: whether the row was read back from tokens; open:
    whether it may begin and end inside of one; tokens, learnt, cut: as far as the data set holds tokens.
    """
    first = 0
    for table in _tables(dataset):
        names = set(table.column_names)
        shapes = (*SHAPES, (feed.text_field,), ("prompt",))
        if "label" in names and not kinds.is_boolean(table.schema.field("label").type):
            shapes = shapes[:2] + shapes[3:]  # a class, not a rating
        raw = next((shape for shape in shapes if names.issuperset(shape)), ())
        pairs = {member: next((c for c in columns if c in names), None) for member, columns in PAIRS}
        tokens = {name: table[name].to_pylist() for name in TOKENS if name in names}
        tokens |= {member: table[column].to_pylist() for member, column in pairs.items() if column}
        plain = [f.name for f in table.schema if _is_plain(f.type) and f.name not in raw]
        columns = table.select([*raw, *plain]).to_pylist() if raw or plain else [{}] * table.num_rows
        for i, held in enumerate(columns):
            mine, number = {name: column[i] for name, column in tokens.items()}, first + i
            same = {"record": number, "plain": {name: held[name] for name in plain}}
            if raw:
                row = {("text" if n == feed.text_field else n): _uncovered(held[n], feed) for n in raw}
                yield {"id": f"{number}", "row": _once(row), "decoded": False, **same, **_counted(mine, feed)}
                continue
            for place, piece in enumerate(_pieces(mine)):
                row = _decoded(piece, held.get("label"), feed)
                name = f"{number}.{place}" if feed.packed else f"{number}"
                ends = {"open": True} if feed.packed and not mine.get("seq_lengths") else {}
                yield {"id": name, "row": row, "decoded": True, **same, **ends, **_counted(piece, feed)}
        first += table.num_rows


def _tables(dataset: Any) -> Iterator[pa.Table]:
    """The data set's columns as they are stored, whatever view of them the trainer takes."""
    if hasattr(dataset, "with_format"):
        plain = dataset.with_format("arrow")
        for start in range(0, len(dataset), BATCH_ROWS):
            yield plain[start : start + BATCH_ROWS]
        return
    for start in range(0, len(dataset), BATCH_ROWS):
        items = [dataset[i] for i in range(start, min(start + BATCH_ROWS, len(dataset)))]
        yield pa.Table.from_pylist(
            [{k: v.tolist() if hasattr(v, "tolist") else v for k, v in x.items()} for x in items]
        )


def _is_plain(kind: pa.DataType) -> bool:
    return kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_integer(kind) or kinds.is_boolean(kind)


def _once(row: Json) -> Json:
    """The row with its prompt said once: the reward trainer puts it before both answers and leaves it where it was."""
    given, answers = row.get("prompt"), [row.get("chosen"), row.get("rejected")]
    if not given or not all(type(one) is type(given) and one[: len(given)] == given for one in answers):
        return row
    return row | {name: row[name][len(given) :] for name in ("chosen", "rejected")}


def _uncovered(value: Json, feed: Feed) -> Json:
    """The text as it was given: trainers put the end token behind plain text."""
    end = getattr(feed.tokenizer, "eos_token", None)
    return value.removesuffix(end) if isinstance(value, str) and end else value


def _counted(tokens: Json, feed: Feed) -> Json:
    """Tokens read and learnt, and whether the row reached the greatest length."""
    most = feed.max_length
    if "input_ids" in tokens:
        read, learnt = len(tokens["input_ids"]), sum(_learnt(tokens))
        return {"tokens": read, "learnt": learnt, "cut": most is not None and read >= most and not feed.packed}
    sides = [len(tokens[name]) for name in ("chosen", "rejected", "completion") if tokens.get(name) is not None]
    if not sides:
        return {}
    prompt = len(tokens.get("prompt") or ())
    room = [side if most is None else max(0, min(side, most - prompt)) for side in sides]
    return {
        "tokens": prompt * len(sides) + sum(room),
        "learnt": sum(room),
        "cut": most is not None and prompt + max(sides) >= most,
    }


def _learnt(tokens: Json) -> Sequence[bool]:
    """Which tokens of a record are learnt."""
    if tokens.get("labels") is not None:
        return [label != IGNORED for label in tokens["labels"]]
    masks = [tokens[name] for name in ("completion_mask", "assistant_masks") if tokens.get(name) is not None]
    return [all(bits) for bits in zip(*masks, strict=True)] if masks else [True] * len(tokens["input_ids"])


def _pieces(tokens: Json) -> Iterator[Json]:
    """A record of tokens, or the rows that were packed into it as far as it says where they end."""
    lengths = tokens.get("seq_lengths")
    if not lengths:
        yield tokens
        return
    start = 0
    for length in lengths:
        yield {k: v[start : start + length] for k, v in tokens.items() if k in TOKENS[:4] and v is not None}
        start += length


def _decoded(tokens: Json, label: bool | None, feed: Feed) -> Json:
    """Members of a row from its tokens."""
    if "input_ids" not in tokens:
        said = {name: _text(ids, feed) for name, ids in tokens.items() if ids is not None}
        return said | ({"label": label} if label is not None else {})
    ids, learnt = tokens["input_ids"], _learnt(tokens)
    given = next((i for i, yes in enumerate(learnt) if yes), 0)
    if given and all(learnt[given:]):
        return {"prompt": _text(ids[:given], feed), "completion": _text(ids[given:], feed)}
    return {"text": _text(ids, feed)}


def _text(ids: Sequence[int], feed: Feed) -> str:
    if feed.tokenizer is None:
        raise ValueError("the trainer has tokens and no tokenizer to read them back with")
    return str(feed.tokenizer.decode(ids, skip_special_tokens=True))
