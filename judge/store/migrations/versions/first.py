"""The first schema: it creates the tables as they were at the first release."""

from __future__ import annotations

from alembic import op

from judge.store.schema import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
