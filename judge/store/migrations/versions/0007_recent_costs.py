"""What the recent calls of each judge of a run cost, so that a budget need not reserve the worst cost of each call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
works_with = "0004"


def upgrade() -> None:
    """Add a column to runs. Calls of runs that exist reserve their worst cost until enough of them were answered."""
    op.add_column("run", sa.Column("recent", sa.JSON(), nullable=False, server_default="{}"))
