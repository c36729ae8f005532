"""Why a presentation has no verdict, in the provider's words."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
works_with = "0004"


def upgrade() -> None:
    """Add a column to presentations. Those that exist have no reason."""
    op.add_column("run_item", sa.Column("reason", sa.String(), nullable=False, server_default=""))
