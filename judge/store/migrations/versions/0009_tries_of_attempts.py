"""How many further calls an attempt has made, each of which takes from a budget of calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
works_with = "0004"


def upgrade() -> None:
    """Add the number of further calls to attempts. Those that exist have none that are known."""
    op.add_column("call_attempt", sa.Column("further_calls", sa.Integer(), nullable=False, server_default="0"))
