"""For judging at a provider: batches, spending by judge, and the strength of a preference."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
works_with = "0002"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add columns, with defaults that describe existing rows."""
    op.add_column("reading", sa.Column("strength", sa.Float(), nullable=True))
    op.add_column("run", sa.Column("spent", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("call_attempt", sa.Column("judge", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("call_attempt", sa.Column("batch_id", ID, nullable=True))
    op.create_index("ix_call_attempt_batch", "call_attempt", ["batch_id"])
    op.add_column("provider_batch", sa.Column("judge", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("provider_batch", sa.Column("mark", sa.String(), nullable=False, server_default=""))
    op.add_column("provider_batch", sa.Column("positions", sa.JSON(), nullable=False, server_default="[]"))
    op.create_index("ix_provider_batch_run", "provider_batch", ["run_id", "judge"])
