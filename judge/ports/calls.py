"""Permits and commits. No call is made without a permit, and no answer is stored without a commit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from judge.domain.run import StopReason
from judge.domain.usage import Usage
from judge.domain.verdict import CallKey
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
        """Return which keys have an answer, which are being called, and an attempt for each that may be called now.

        All in one write transaction. A live attempt past its *until* is orphaned and booked as spent at what it
        reserved, and its key is granted again.
        """
        ...

    async def reserve_again(self, attempt: int, micros: int, calls: int = 1) -> bool:
        """Reserve *calls* further calls of a live attempt, and *micros* for its failed ones.

        Returns whether its run's budget allows that.
        """
        ...

    async def refusal(self, run: int, fence: Fence | None) -> StopReason | None:
        """Return why *run* would get no permit now, or None if it would; reads only."""
        ...

    async def answers(self, tenant: str, keys: Sequence[CallKey]) -> dict[CallKey, StoredAnswer]:
        """Return the answers of those *keys* that have one; reads only."""
        ...

    async def stored_keys(
        self, tenant: str, fingerprints: Collection[int], prompts: Collection[int], cache_tag: str
    ) -> NDArray[np.int64]:
        """Return the keys with these *fingerprints* and *prompts* that have an answer under *cache_tag*, int64[6, n].

        The six rows are fingerprint, prompt, turn, first, second and repeat.
        """
        ...

    async def commit(self, tenant: str, run: int | None, settled: Sequence[Settled]) -> None:
        """Store answers, parsed verdicts, presentations and attempts, and update the run's counts, cost and revision.

        All in one write transaction, which is safe to repeat. If a key already has an answer, that answer stays and
        the cost of the new one is booked as repeated.
        """
        ...

    async def orphan_attempts(self) -> int:
        """Book every live attempt outside a batch as spent, and return how many there were.

        The process that holds the store calls this when it starts.
        """
        ...

    async def set_cost(self, run: int, judge: int, cost_micros: int) -> bool:
        """Replace what the run's judge number *judge* cost, so that none of its calls is uncounted any more.

        Returns False and leaves the cost while calls of the run are live. Calls that nobody settled in time are booked
        as lost before.
        """
        ...

    async def usages(self, tenant: str, fingerprints: Collection[int], limit: int) -> list[Usage]:
        """Return the usage of at most *limit* stored calls of judges with these *fingerprints*."""
        ...
