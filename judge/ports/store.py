"""The store's port: one Protocol, and every store passes the same contract suite.

Laws: a batch or a commit is stored completely or not at all. A key has at most one answer. A call is made only with a
permit. Every change to a run raises its revision, and each of its rows has the revision it came with. A write that
does not fit on the disk raises StoreFull and changes nothing.
"""

from __future__ import annotations

from typing import Protocol

from judge.ports.calls import CallStore
from judge.ports.dataset_rows import RowReader
from judge.ports.datasets import DatasetRows
from judge.ports.provider_batches import BatchStore
from judge.ports.run_rows import RunRows
from judge.ports.shards import ShardStore
from judge.ports.tokens import TokenStore
from judge.ports.uploads import UploadStore
from judge.ports.verdicts import VerdictStore


class DatasetStore(DatasetRows, UploadStore, RowReader, Protocol):
    """The part of the store about datasets."""


class RunStore(RunRows, ShardStore, CallStore, BatchStore, VerdictStore, Protocol):
    """The part of the store about runs, calls and verdicts."""


class Store(DatasetStore, RunStore, TokenStore, Protocol):
    """The whole store."""

    async def check(self) -> None:
        """Return if the store can be used. Raises StoreAway if it is not reachable or its schema is not known."""
        ...

    async def close(self) -> None:
        """Finish writes in progress and close the store."""
        ...
