"""How many images a prompt or an output has, so that a run whose judge takes none is refused without reading texts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
works_with = "0004"


def upgrade() -> None:
    """Count images. Rows that exist have none: their turns are texts."""
    some = sa.text("images > 0")
    for table in ("prompt", "output"):
        op.add_column(table, sa.Column("images", sa.Integer(), nullable=False, server_default="0"))
        op.create_index(f"ix_{table}_images", table, ["dataset_id"], sqlite_where=some, postgresql_where=some)
