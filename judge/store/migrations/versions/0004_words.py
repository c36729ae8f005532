"""The field's words: renamed columns and one table, and the JSON and text in rows that used the old ones.

Expanded and contracted in one step, because nothing was released before. Servers of earlier code have to be stopped
first: they don't find their columns any more. Rows are changed before columns, because a renamed table is locked.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
works_with = "0004"

_RUN = sa.table("run", sa.column("spec"), sa.column("by_status"))


def upgrade() -> None:
    """Rewrite the rows that hold an old name, and rename columns and one table."""
    connection = op.get_bind()
    postgresql = connection.dialect.name == "postgresql"
    op.execute("UPDATE run_item SET status = 'failed' WHERE status = 'given_up'")
    op.execute("UPDATE run SET reason = 'QUARANTINED' WHERE reason = 'POISONED'")
    # In JSON, a quote inside a text is escaped, so that only a name has a quote on either side.
    for column, old, new in (("spec", '"epoch":', '"cache_tag":'), ("by_status", '"given_up":', '"failed":')):
        body = sa.cast(_RUN.c[column], sa.Text)
        changed = sa.func.replace(body, old, new)
        values = {column: sa.cast(changed, sa.JSON) if postgresql else changed}
        connection.execute(sa.update(_RUN).where(body.contains(old, autoescape=True)).values(values))
    op.alter_column("answer", "epoch", new_column_name="cache_tag")
    op.alter_column("call_attempt", "epoch", new_column_name="cache_tag")
    op.alter_column("run", "rest", new_column_name="never_started")
    op.rename_table("reading", "parsed_verdict")
    if postgresql:
        op.execute("ALTER INDEX reading_pkey RENAME TO parsed_verdict_pkey")
