"""The catalogue's tables: records, the references between them, the event chain, where words lie. Text JSON only."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.types import TypeEngine

metadata = MetaData()

BIG = BigInteger().with_variant(Integer(), "sqlite")


def text(length: int | None = None) -> TypeEngine[str]:
    """Text that both databases compare and sort by its bytes."""
    kind = Text if length is None else String
    return kind(length).with_variant(kind(length, collation="C"), "postgresql")


records = Table(
    "records",
    metadata,
    Column("n", BIG, primary_key=True, autoincrement=True, comment="order of arrival"),
    Column("digest", text(80), nullable=False, unique=True),
    Column("noun", text(40), nullable=False),
    Column("name", text(), comment="what people call it, where it has a name"),
    Column("body", text(), nullable=False, comment="canonical JSON"),
    Index("records_by_name", "name"),
    Index("records_by_noun", "noun", "n"),
)

edges = Table(
    "edges",
    metadata,
    Column("src", text(80), ForeignKey("records.digest"), primary_key=True),
    Column("field", text(40), primary_key=True),
    Column("dst", text(80), primary_key=True),
    Index("edges_by_dst", "dst"),
    comment="derived from the records' Ref fields",
)

events = Table(
    "events",
    metadata,
    Column("seq", BIG, primary_key=True, autoincrement=False),
    Column("kind", text(60), nullable=False),
    Column("about", text(), nullable=False),
    Column("actor", text(), nullable=False),
    Column("recorded_at", text(27), nullable=False),
    Column("valid_at", text(27)),
    Column("data", text()),
    Column("payload", text(80)),
    Column("previous", text(80), nullable=False),
    Column("digest", text(80), nullable=False),
    Index("events_by_about", "about", "kind", "seq"),
    Index("events_by_kind", "kind", "seq"),
)

head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("seq", BIG, nullable=False),
    Column("digest", text(80), nullable=False),
)

contents = Table(
    "contents",
    metadata,
    Column("digest", text(80), primary_key=True),
    Column("kind", text(20), nullable=False),
    Column("segment", text(80), nullable=False),
    Column("offset", Integer, nullable=False),
    Column("length", Integer, nullable=False),
    Index("contents_by_segment", "kind", "segment", "offset"),
)
