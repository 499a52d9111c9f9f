"""The spine: records, edges, events, head, contents."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "records",
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("digest", sa.String(80), nullable=False, unique=True),
        sa.Column("noun", sa.String(40), nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("records_by_name", "records", ["name"])
    op.create_index("records_by_noun", "records", ["noun", "n"])
    op.create_table(
        "edges",
        sa.Column("src", sa.String(80), sa.ForeignKey("records.digest"), primary_key=True),
        sa.Column("field", sa.String(40), primary_key=True),
        sa.Column("dst", sa.String(80), primary_key=True),
    )
    op.create_index("edges_by_dst", "edges", ["dst"])
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(60), nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.String(27), nullable=False),
        sa.Column("valid_at", sa.String(27)),
        sa.Column("data", sa.Text),
        sa.Column("payload", sa.String(80)),
        sa.Column("previous", sa.String(80), nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
    )
    op.create_index("events_by_about", "events", ["about", "kind", "seq"])
    op.create_index("events_by_kind", "events", ["kind", "seq"])
    head = op.create_table(
        "head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "digest": "sha256:" + "0" * 64}])
    op.create_table(
        "contents",
        sa.Column("digest", sa.String(80), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("segment", sa.String(80), nullable=False),
        sa.Column("offset", sa.Integer, nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
    )
    op.create_index("contents_by_segment", "contents", ["kind", "segment", "offset"])
