"""What a caller notes about a run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
works_with = "0004"


def upgrade() -> None:
    """Add a column to runs. Those that exist have no metadata."""
    op.add_column("run", sa.Column("metadata", sa.JSON(), nullable=False, server_default="{}"))
