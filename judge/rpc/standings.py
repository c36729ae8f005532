"""Interim leaderboards of a run that is being watched."""

from __future__ import annotations

import math

from judge.api.v1 import leaderboard_pb2
from judge.domain.errors import Busy, NotFound, Precondition
from judge.domain.run import Run
from judge.domain.source import Source, SourceKind
from judge.ports.clock import Clock
from judge.ports.store import Store
from judge.ranking.compute import Fits
from judge.ranking.options import RankOptions
from judge.ranking.rank import build_leaderboard
from judge.rpc.encode_leaderboard import encode_leaderboard
from judge.votes.sources import votes_of

REST = 3.0
"""Leaderboards are kept for this many times as long as they took to compute, so they take a quarter of the time."""


class Standings:
    """The interim leaderboards of a run's judges, recomputed from time to time."""

    def __init__(self, store: Store, fits: Fits, clock: Clock, tenant: str) -> None:
        self._store, self._fits, self._clock, self._tenant = store, fits, clock, tenant
        self._leaderboards: list[leaderboard_pb2.Leaderboard] = []
        self._next = -math.inf

    async def of(self, run: Run) -> list[leaderboard_pb2.Leaderboard]:
        """Return one leaderboard for each judge that has verdicts; for a run that has ended, the final ones."""
        begun = self._clock.monotonic()
        if run.state.ended or begun >= self._next:
            leaderboards = [await self._leaderboard(run, judge.name) for judge in run.judges]
            self._leaderboards = [leaderboard for leaderboard in leaderboards if leaderboard is not None]
            now = self._clock.monotonic()
            self._next = now + REST * (now - begun)
        return self._leaderboards

    async def _leaderboard(self, run: Run, judge: str) -> leaderboard_pb2.Leaderboard | None:
        source, options = Source(SourceKind.RUN, name=judge, run=run.run_id), RankOptions()
        try:
            votes = await votes_of(self._store, self._tenant, run.spec.dataset, source, options.taking)
            leaderboard = await self._fits.run(lambda: build_leaderboard(votes, options))
        except (NotFound, Precondition, Busy):
            # Nothing is judged yet, or the one thread that computes rankings is busy.
            return None
        return encode_leaderboard(leaderboard)
