"""Access tokens, by the hashes of what clients present."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
works_with = "0004"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add the table. Releases that do not know it require no tokens."""
    op.create_table(
        "token",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("create_time", sa.Float(), nullable=False),
        sa.Column("expire_time", sa.Float()),
        sa.Column("revoke_time", sa.Float()),
        sa.Column("last_use_time", sa.Float()),
        sa.Column("revision", _ID, nullable=False),
        sa.UniqueConstraint("tenant_id", "name"),
        sa.UniqueConstraint("hash"),
        sa.UniqueConstraint("revision"),
        sqlite_autoincrement=True,
    )
