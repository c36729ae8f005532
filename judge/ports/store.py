"""Where it is kept. One Protocol; the same contract suite runs over every store.

Laws: a batch or a commit is whole or absent; an answer exists once per key; a call is made only under a permit; a run's
revision grows with every change to it, and its rows carry the revision they came with. A write for which there is no
room raises StoreFull and changes nothing.
"""

from __future__ import annotations

from typing import Protocol

from judge.ports.calls import CallStore
from judge.ports.dataset_rows import RowReader
from judge.ports.datasets import DatasetRows
from judge.ports.provider_batches import BatchStore
from judge.ports.run_rows import RunRows
from judge.ports.shards import ShardStore
from judge.ports.uploads import UploadStore
from judge.ports.verdicts import VerdictStore


class DatasetStore(DatasetRows, UploadStore, RowReader, Protocol):
    """Everything about datasets."""


class RunStore(RunRows, ShardStore, CallStore, BatchStore, VerdictStore, Protocol):
    """Everything about runs, calls and verdicts."""


class Store(DatasetStore, RunStore, Protocol):
    """Everything that is kept."""

    async def check(self) -> None:
        """Return if the store can be worked with; StoreAway if it is not reachable or its schema is not known."""
        ...

    async def close(self) -> None:
        """Finish what is being written and let go."""
        ...
