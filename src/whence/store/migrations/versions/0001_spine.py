"""The spine: records, edges, events, head, contents."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Text that both databases compare and sort by its bytes."""
    kind = sa.Text if length is None else sa.String
    return kind(length).with_variant(kind(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "records",
        sa.Column("n", BIG, primary_key=True, autoincrement=True),
        sa.Column("digest", text(80), nullable=False, unique=True),
        sa.Column("noun", text(40), nullable=False),
        sa.Column("name", text()),
        sa.Column("body", text(), nullable=False),
    )
    op.create_index("records_by_name", "records", ["name"])
    op.create_index("records_by_noun", "records", ["noun", "n"])
    op.create_table(
        "edges",
        sa.Column("src", text(80), sa.ForeignKey("records.digest"), primary_key=True),
        sa.Column("field", text(40), primary_key=True),
        sa.Column("dst", text(80), primary_key=True),
    )
    op.create_index("edges_by_dst", "edges", ["dst"])
    op.create_table(
        "events",
        sa.Column("seq", BIG, primary_key=True, autoincrement=False),
        sa.Column("kind", text(60), nullable=False),
        sa.Column("about", text(), nullable=False),
        sa.Column("actor", text(), nullable=False),
        sa.Column("recorded_at", text(27), nullable=False),
        sa.Column("valid_at", text(27)),
        sa.Column("data", text()),
        sa.Column("payload", text(80)),
        sa.Column("previous", text(80), nullable=False),
        sa.Column("digest", text(80), nullable=False),
    )
    op.create_index("events_by_about", "events", ["about", "kind", "seq"])
    op.create_index("events_by_kind", "events", ["kind", "seq"])
    head = op.create_table(
        "head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("digest", text(80), nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "digest": "sha256:" + "0" * 64}])
    op.create_table(
        "contents",
        sa.Column("digest", text(80), primary_key=True),
        sa.Column("kind", text(20), nullable=False),
        sa.Column("segment", text(80), nullable=False),
        sa.Column("offset", sa.Integer, nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
    )
    op.create_index("contents_by_segment", "contents", ["kind", "segment", "offset"])
