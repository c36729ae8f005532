"""Permits and commits: the only way to make a call, and the only way to store its answer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from judge.domain.run import StopReason
from judge.domain.verdict import CallKey, Usage
from judge.ports.records import (
    Fence,
    Permit,
    PermitRequest,
    Settled,
    StoredAnswer,
)


class CallStore(Protocol):
    """Permits, answers and commits."""

    async def permit(self, tenant: str, request: PermitRequest) -> Permit:
        """In one write transaction: what exists, what is being called, and an attempt for what may be called now.

        A live attempt past its *until* is orphaned, booked as spent at its worst cost, and its key granted anew.
        """
        ...

    async def refusal(self, run: int, fence: Fence | None) -> StopReason | None:
        """Return why *run* would get no permit now, or None if it would; reads only."""
        ...

    async def answers(self, tenant: str, keys: Sequence[CallKey]) -> dict[CallKey, StoredAnswer]:
        """Those of *keys* that have an answer; reads only."""
        ...

    async def stored_keys(
        self, tenant: str, fingerprints: Collection[int], prompts: Collection[int], cache_tag: str
    ) -> NDArray[np.int64]:
        """The keys with these *fingerprints* and *prompts* that have an answer in that *cache_tag*, int64[6, n].

        Their columns are fingerprint, prompt, turn, first, second and repeat.
        """
        ...

    async def commit(self, tenant: str, run: int | None, settled: Sequence[Settled]) -> None:
        """In one write transaction: answers, readings, showings, attempts, the run's counts, cost and revision.

        Safe to repeat. Where another answer came first under a key, that one stays and the cost is booked as repeated.
        """
        ...

    async def orphan_attempts(self) -> int:
        """Book every live attempt outside a batch as spent: for the process that holds the store, when it starts."""
        ...

    async def usages(self, tenant: str, fingerprints: Collection[int], limit: int) -> list[Usage]:
        """What at most *limit* stored calls of these fingerprints used."""
        ...
