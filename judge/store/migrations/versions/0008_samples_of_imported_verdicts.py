"""Which sample of a contestant's outputs an imported verdict is on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
works_with = "0004"
_IDENTITY = ("dataset_id", "judge", "prompt_id", "turn", "first", "second", "repeat")
_SAMPLES = ("first_sample", "second_sample")


def upgrade() -> None:
    """Add the samples to imported verdicts and to what identifies them. Those that exist are on sample 0."""
    for name in _SAMPLES:
        op.add_column("recorded", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.drop_index("uq_recorded_now", "recorded")
    now = sa.text("removed IS NULL")
    op.create_index(
        "uq_recorded_now",
        "recorded",
        [*_IDENTITY, *_SAMPLES],
        unique=True,
        sqlite_where=now,
        postgresql_where=now,
    )
