"""The catalogue's tables: records, the references between them, the event chain, where words lie. Text JSON only."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

records = Table(
    "records",
    metadata,
    Column("n", Integer, primary_key=True, autoincrement=True, comment="order of arrival"),
    Column("digest", String(80), nullable=False, unique=True),
    Column("noun", String(40), nullable=False),
    Column("name", Text, comment="what people call it, where it has a name"),
    Column("body", Text, nullable=False, comment="canonical JSON"),
    Index("records_by_name", "name"),
    Index("records_by_noun", "noun", "n"),
)

edges = Table(
    "edges",
    metadata,
    Column("src", String(80), ForeignKey("records.digest"), primary_key=True),
    Column("field", String(40), primary_key=True),
    Column("dst", String(80), primary_key=True),
    Index("edges_by_dst", "dst"),
    comment="derived from the records' Ref fields",
)

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(60), nullable=False),
    Column("about", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("recorded_at", String(27), nullable=False),
    Column("valid_at", String(27)),
    Column("data", Text),
    Column("payload", String(80)),
    Column("previous", String(80), nullable=False),
    Column("digest", String(80), nullable=False),
    Index("events_by_about", "about", "kind", "seq"),
    Index("events_by_kind", "kind", "seq"),
)

head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("digest", String(80), nullable=False),
)

contents = Table(
    "contents",
    metadata,
    Column("digest", String(80), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("segment", String(80), nullable=False),
    Column("offset", Integer, nullable=False),
    Column("length", Integer, nullable=False),
    Index("contents_by_segment", "kind", "segment", "offset"),
)
