"""RunService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from judge.api.v1 import run_service_pb2 as pb
from judge.api.v1 import run_service_pb2_grpc, verdict_pb2
from judge.domain.errors import InvalidInput
from judge.domain.names import resource_id
from judge.domain.run import PairPolicy
from judge.domain.verdict import Verdict
from judge.planning.inputs import build_plan
from judge.planning.plan import Plan
from judge.planning.rounds import Rounds, load_rounds
from judge.ports.clock import Clock
from judge.ports.records import VerdictQuery
from judge.ports.store import Store
from judge.ranking.compute import Fits
from judge.rpc import decode, encode
from judge.rpc.datasets import TENANT
from judge.rpc.pages import batches, first_page
from judge.rpc.plans import plan_batches
from judge.rpc.standings import Standings
from judge.runs.lifecycle import RunLifecycle
from judge.runs.reparse import reparse
from judge.runs.watch import Watcher

NEWEST = 0
SPEC_BYTES = 1024 * 1024
"""The most bytes in the specification of a run, which is part of every message about it."""
STREAM_ROWS = 1000
ALL_POSITIONS = 2**31 - 1
"""A position after every other."""


class RunServicer(run_service_pb2_grpc.RunServiceServicer):
    """Implements RunService."""

    def __init__(self, store: Store, runs: RunLifecycle, watcher: Watcher, fits: Fits, clock: Clock) -> None:
        self._store, self._runs, self._watcher, self._fits, self._clock = store, runs, watcher, fits, clock

    async def EstimateRun(self, request: pb.EstimateRunRequest, context: Any) -> pb.EstimateRunResponse:
        """Estimate a run."""
        return pb.EstimateRunResponse(
            estimate=encode.estimate(await self._runs.estimate(TENANT, decode.run_spec(request.run)))
        )

    async def ReparseRun(self, request: pb.ReparseRunRequest, context: Any) -> pb.ReparseRunResponse:
        """Parse a run's stored replies with another parser."""
        result = await reparse(self._store, TENANT, await self._store.run(TENANT, _id(request.name)), request.parser)
        return pb.ReparseRunResponse(read=result.read, changed=result.changed, unreadable=result.unreadable)

    async def CreateRun(self, request: pb.CreateRunRequest, context: Any) -> pb.CreateRunResponse:
        """Create a run, or return the one that was created with the same request id."""
        spec = decode.run_spec(request.run)
        body = encode.run_spec(spec).SerializeToString(deterministic=True)
        if len(body) > SPEC_BYTES:
            message = f"the run has {len(body):,} bytes; the maximum is {SPEC_BYTES:,} (1 MiB). Name fewer things in it"
            raise InvalidInput("run", message, reason="RUN_TOO_LARGE")
        run = await self._runs.create(TENANT, spec, request.request_id, body)
        return pb.CreateRunResponse(run=encode.run(run, TENANT))

    async def GetRun(self, request: pb.GetRunRequest, context: Any) -> pb.GetRunResponse:
        """Return a run."""
        full = request.view == pb.RUN_VIEW_FULL
        return pb.GetRunResponse(run=encode.run(await self._store.run(TENANT, _id(request.name)), TENANT, full=full))

    async def ListRuns(self, request: pb.ListRunsRequest, context: Any) -> pb.ListRunsResponse:
        """List runs, newest first."""
        size = decode.page_size(request.page_size)
        runs = await self._store.runs(
            TENANT, decode.run_query(request), decode.page_token(request.page_token, NEWEST), size + 1
        )
        page = first_page(encode.run(run, TENANT) for run in runs[:size])
        more = str(runs[len(page) - 1].row) if len(runs) > len(page) else ""
        return pb.ListRunsResponse(runs=page, next_page_token=more)

    async def WatchRun(self, request: pb.WatchRunRequest, context: Any) -> AsyncIterator[pb.WatchRunResponse]:
        """Stream complete snapshots until the run ends."""
        standings = Standings(store=self._store, fits=self._fits, clock=self._clock, tenant=TENANT)
        async for run, rate in self._watcher.watch(TENANT, _id(request.name), request.after_revision):
            leaderboards = await standings.of(run) if request.standings else []
            yield pb.WatchRunResponse(run=encode.run(run, TENANT, rate), interim=leaderboards)

    async def CancelRun(self, request: pb.CancelRunRequest, context: Any) -> pb.CancelRunResponse:
        """Cancel a run."""
        return pb.CancelRunResponse(run=encode.run(await self._runs.cancel(TENANT, _id(request.name)), TENANT))

    async def DeleteRun(self, request: pb.DeleteRunRequest, context: Any) -> pb.DeleteRunResponse:
        """Delete a run that has ended."""
        await self._store.delete_run(TENANT, _id(request.name))
        return pb.DeleteRunResponse()

    async def ResumeRun(self, request: pb.ResumeRunRequest, context: Any) -> pb.ResumeRunResponse:
        """Continue a run."""
        budget = decode.budget(request.budget) if request.HasField("budget") else None
        run = await self._runs.resume(TENANT, _id(request.name), budget)
        return pb.ResumeRunResponse(run=encode.run(run, TENANT))

    async def SetRunCost(self, request: pb.SetRunCostRequest, context: Any) -> pb.SetRunCostResponse:
        """Replace what a judge cost in a run."""
        judge = resource_id("judges", "judge", request.judge) if request.judge else ""
        run = await self._runs.set_cost(TENANT, _id(request.name), judge, request.cost_micros)
        return pb.SetRunCostResponse(run=encode.run(run, TENANT))

    async def ListVerdicts(self, request: pb.ListVerdictsRequest, context: Any) -> pb.ListVerdictsResponse:
        """List verdicts by their position in the plan."""
        run = await self._store.run(TENANT, _id(request.parent, "parent"))
        size = decode.page_size(request.page_size)
        query = decode.verdict_query(request.filter)
        after = decode.page_token(request.page_token, -1)
        verdicts = await self._store.verdicts(run.row, query, after=after, limit=size)
        full = request.view == verdict_pb2.VERDICT_VIEW_FULL
        page = first_page(encode.verdict(verdict, run.run_id, full=full) for verdict in verdicts)
        last = page[-1].position if page else after
        more = page and (len(page) < len(verdicts) or await self._store.verdicts(run.row, query, after=last, limit=1))
        return pb.ListVerdictsResponse(verdicts=page, next_page_token=str(last) if more else "")

    async def StreamVerdicts(
        self,
        request: pb.StreamVerdictsRequest,
        context: Any,
    ) -> AsyncIterator[pb.StreamVerdictsResponse]:
        run = await self._store.run(TENANT, _id(request.parent, "parent"))
        query = decode.verdict_query(request.filter)
        after = decode.page_token(request.page_token, 0)
        full = request.view == verdict_pb2.VERDICT_VIEW_FULL
        snapshots = self._watcher.watch(TENANT, run.run_id, 0) if request.follow else None
        while True:
            if snapshots is not None:
                run, _ = await anext(snapshots, (run, 0.0))
            async for verdicts, whole in self._by_revision(run.row, query, after):
                for batch, after in _batches(verdicts, run.run_id, whole=whole, full=full):
                    # The token is that of the last revision that was sent completely.
                    yield pb.StreamVerdictsResponse(verdicts=batch, page_token=str(after))
            if request.follow:
                # Show that the stream is alive even while there are no new verdicts.
                yield pb.StreamVerdictsResponse(page_token=str(after))
            if snapshots is None or run.state.ended:
                return

    async def _by_revision(
        self, run: int, query: VerdictQuery, after: int
    ) -> AsyncIterator[tuple[list[Verdict], bool]]:
        """Yield pages of verdicts after revision *after*, and whether the last revision of a page is complete."""
        place = after, ALL_POSITIONS
        while page := await self._store.verdicts_by_revision(run, query, after=place, limit=STREAM_ROWS):
            place = page[-1].revision, page[-1].position
            following = await self._store.verdicts_by_revision(run, query, after=place, limit=1)
            yield page, not following or following[0].revision > page[-1].revision

    async def ReadPlan(
        self,
        request: pb.ReadPlanRequest,
        context: Any,
    ) -> AsyncIterator[pb.ReadPlanResponse]:
        run = await self._store.run(TENANT, _id(request.name))
        planned: Plan | Rounds
        if run.spec.pairing.policy is PairPolicy.ADAPTIVE:
            planned = await load_rounds(self._store, TENANT, run)
        else:
            planned = await build_plan(self._store, TENANT, run.spec, run.dataset_revision)
        index = await self._store.dataset_index(TENANT, run.spec.dataset, run.dataset_revision)
        for batch in plan_batches(index, planned):
            yield batch


def _batches(
    verdicts: list[Verdict], run_id: str, *, whole: bool, full: bool
) -> Iterator[tuple[list[verdict_pb2.Verdict], int]]:
    """Yield batches of *verdicts*, each with the last revision that is complete with it.

    *whole* says whether the last revision of *verdicts* is.
    """
    revisions = [verdict.revision for verdict in verdicts]
    complete = revisions[0] - 1
    n_rows = 0
    for batch in batches(encode.verdict(verdict, run_id, full=full) for verdict in verdicts):
        n_rows += len(batch)
        ended = whole if n_rows == len(verdicts) else revisions[n_rows] > revisions[n_rows - 1]
        complete = max(complete, revisions[n_rows - 1] - (not ended))
        yield batch, complete


def _id(name: str, field: str = "name") -> str:
    return resource_id("runs", field, name)
