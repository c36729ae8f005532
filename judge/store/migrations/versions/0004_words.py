"""Renames to the field's words: columns, one table, and the JSON and texts in rows that used the old words.

Expanded and contracted in one step, because nothing was released before. Servers of earlier code have to be stopped
first: they don't find their columns any more.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
works_with = "0004"

_RUN = sa.table("run", sa.column("id"), sa.column("spec", sa.JSON), sa.column("by_status", sa.JSON))


def upgrade() -> None:
    """Rename columns and a table, and rewrite the rows that hold an old name."""
    op.alter_column("answer", "epoch", new_column_name="cache_tag")
    op.alter_column("call_attempt", "epoch", new_column_name="cache_tag")
    op.alter_column("run", "rest", new_column_name="never_started")
    op.rename_table("reading", "parsed_verdict")
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.execute("ALTER INDEX reading_pkey RENAME TO parsed_verdict_pkey")
    op.execute("UPDATE run_item SET status = 'failed' WHERE status = 'given_up'")
    op.execute("UPDATE run SET reason = 'QUARANTINED' WHERE reason = 'POISONED'")
    for run_id, spec, by_status in connection.execute(sa.select(_RUN)).all():
        connection.execute(
            sa.update(_RUN).where(_RUN.c.id == run_id).values(spec=_spec(spec), by_status=_counts(by_status))
        )


def _spec(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a run's spec whose pairing has a cache tag."""
    pairing = dict(spec.get("pairing", {}))
    if "epoch" in pairing:
        pairing["cache_tag"] = pairing.pop("epoch")
        return {**spec, "pairing": pairing}
    return spec


def _counts(by_status: dict[str, int]) -> dict[str, int]:
    """Return a run's counts by status, with the new names."""
    return {("failed" if name == "given_up" else name): n for name, n in by_status.items()}
