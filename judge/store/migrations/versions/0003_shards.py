"""For several processes that work on one run: fences of shards, the store's own clock, and shared rate limits.

A shard counts the attempts that were lost with their process, and how much of it was settled when the last one began.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
works_with = "0003"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add two tables, counts of shards, and the shard of attempts. Existing attempts belong to no shard."""
    op.add_column("call_attempt", sa.Column("shard", ID, nullable=True))
    op.add_column("run_shard", sa.Column("lost", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("run_shard", sa.Column("settled", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "store_clock",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("source", sa.Float(), nullable=False),
        sa.Column("elapsed", sa.Float(), nullable=False),
    )
    op.create_table(
        "account",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("calls_at", sa.Float(), nullable=False),
        sa.Column("tokens_at", sa.Float(), nullable=False),
    )
    # Attempts of before were good until some hour of the wall's clock. Whoever held them is gone: this file was closed.
    op.execute("UPDATE call_attempt SET until = 0 WHERE state = 'live' AND batch_id IS NULL")
    op.execute("UPDATE call_attempt SET until = 1e18 WHERE state = 'live' AND batch_id IS NOT NULL")
