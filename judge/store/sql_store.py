"""The store of one database, put together from its parts."""

from __future__ import annotations

from judge.ports.clock import Clock
from judge.store.clock import StoreClock
from judge.store.commits import Commits
from judge.store.connections import Connections
from judge.store.dataset_index import DatasetIndexes
from judge.store.datasets import Datasets
from judge.store.deletion import Deletion
from judge.store.parsed_verdicts import ParsedVerdicts
from judge.store.permits import Permits
from judge.store.postgresql import PostgresqlConnections, is_postgresql
from judge.store.provider_batches import ProviderBatches
from judge.store.run_costs import RunCosts
from judge.store.runs import SqlRuns
from judge.store.shards import Shards
from judge.store.sqlite import SqliteConnections
from judge.store.stored_keys import StoredKeys
from judge.store.tokens import Tokens
from judge.store.uploads import Uploads
from judge.store.verdict_columns import VerdictTables


class SqlStore(
    Datasets,
    DatasetIndexes,
    Uploads,
    Deletion,
    SqlRuns,
    RunCosts,
    Shards,
    Permits,
    ProviderBatches,
    Commits,
    ParsedVerdicts,
    StoredKeys,
    VerdictTables,
    Tokens,
):
    """A store in one database."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._db, self._clock = connections, clock
        self._time = StoreClock(connections, clock)

    @classmethod
    def open(cls, url: str, *, clock: Clock) -> SqlStore:
        """Open the store at *url*. A file is migrated; a PostgreSQL database must be migrated already."""
        return cls(PostgresqlConnections(url) if is_postgresql(url) else SqliteConnections(url), clock)

    async def check(self) -> None:
        """Return if the database answers and this release works with its schema. Raises StoreAway otherwise."""
        await self._db.check()

    async def close(self) -> None:
        """Finish writes in progress and close the store."""
        await self._db.close()
