"""RunService."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import grpc

from judge.api.v1 import run_service_pb2 as pb
from judge.api.v1 import run_service_pb2_grpc, verdict_pb2
from judge_client.calls import pages, stream, unary
from judge_client.connection import Connection
from judge_client.errors import JudgeClientError
from judge_client.names import dataset_name, run_name

ENDED = frozenset((pb.RUN_STATE_CANCELLED, pb.RUN_STATE_DONE, pb.RUN_STATE_FAILED))
"""States that a run does not leave by itself."""
RECONNECTS = 5
"""How often in a row a watch is taken up again without having seen anything new."""

PAUSE = 0.2
"""Seconds before a watch is first taken up again."""


class RunCalls(Connection):
    """Creates, watches, stops and reads runs."""

    @property
    def runs(self) -> run_service_pb2_grpc.RunServiceAsyncStub:
        """The service's own stub."""
        return run_service_pb2_grpc.RunServiceStub(self.channel)

    async def create_run(self, spec: pb.RunSpec, request_id: str | None = None) -> pb.Run:
        """The run, new or created before with the same *request_id*; a random one unless given."""
        request = pb.CreateRunRequest(run=spec, request_id=uuid.uuid4().hex if request_id is None else request_id)
        return (await unary(self.runs.CreateRun, request, self.timeout)).run

    async def get_run(self, run: str, view: pb.RunView.ValueType = pb.RUN_VIEW_BASIC) -> pb.Run:
        """The run as it is now; in view FULL with its judges' definitions."""
        return (await unary(self.runs.GetRun, pb.GetRunRequest(name=run_name(run), view=view), self.timeout)).run

    async def read_plan(self, run: str) -> AsyncIterator[pb.ReadPlanResponse]:
        """The showings of the run's plan, in batches, each with the plan's hash; an adaptive one's rounds first."""
        async for batch in stream(self.runs.ReadPlan, pb.ReadPlanRequest(name=run_name(run))):
            yield batch

    async def list_runs(self, dataset: str = "", page_size: int = 0) -> AsyncIterator[pb.Run]:
        """All runs, or those over *dataset*, newest first, page by page."""
        request = pb.ListRunsRequest(page_size=page_size, dataset=dataset_name(dataset))
        async for page in pages(self.runs.ListRuns, request, self.timeout):
            for run in page.runs:
                yield run

    async def watch_run(
        self, run: str, *, after_revision: int = 0, reconnects: int = RECONNECTS, pause: float = PAUSE
    ) -> AsyncIterator[pb.Run]:
        """Snapshots until the run ends.

        A lost connection is taken up from the last revision *reconnects* times, *pause* seconds later and each time
        twice as long.
        """
        request = pb.WatchRunRequest(name=run_name(run), after_revision=after_revision)
        async with aclosing(self._watched(request, reconnects, pause)) as snapshots:
            async for snapshot in snapshots:
                yield snapshot.run

    def watch_standings(
        self, run: str, *, reconnects: int = RECONNECTS, pause: float = PAUSE
    ) -> AsyncIterator[pb.WatchRunResponse]:
        """Snapshots until the run ends, each with a leaderboard for every judge that has verdicts by then."""
        return self._watched(pb.WatchRunRequest(name=run_name(run), standings=True), reconnects, pause)

    async def _watched(
        self, request: pb.WatchRunRequest, reconnects: int, pause: float
    ) -> AsyncGenerator[pb.WatchRunResponse]:
        left = reconnects
        while True:
            try:
                async with aclosing(stream(self.runs.WatchRun, request)) as snapshots:  # type: ignore[type-var]  # it is a generator
                    async for snapshot in snapshots:
                        request.after_revision, left = snapshot.run.revision, reconnects
                        yield snapshot
            except JudgeClientError as error:
                if error.code is not grpc.StatusCode.UNAVAILABLE or not left:
                    raise
                await asyncio.sleep(pause * 2 ** (reconnects - left))
                left -= 1
            else:
                return

    async def wait_run(self, run: str) -> pb.Run:
        """The run, ended."""
        async for snapshot in self.watch_run(run):
            if snapshot.state in ENDED:
                return snapshot
        return await self.get_run(run)

    async def cancel_run(self, run: str) -> pb.Run:
        """Stops the run; what is judged stays readable."""
        return (await unary(self.runs.CancelRun, pb.CancelRunRequest(name=run_name(run)), self.timeout)).run

    async def resume_run(self, run: str, budget: pb.Budget | None = None) -> pb.Run:
        """Goes on with the run, under a new *budget* if one is given."""
        request = pb.ResumeRunRequest(name=run_name(run), budget=budget)
        return (await unary(self.runs.ResumeRun, request, self.timeout)).run

    async def estimate_run(self, spec: pb.RunSpec) -> pb.RunEstimate:
        """What a run of *spec* would take; nothing is spent."""
        return (await unary(self.runs.EstimateRun, pb.EstimateRunRequest(run=spec), self.timeout)).estimate

    async def reparse_run(self, run: str, parser: str = "") -> pb.ReparseRunResponse:
        """Reads the run's replies with another *parser*, or with the judges' own in its present version."""
        return await unary(self.runs.ReparseRun, pb.ReparseRunRequest(name=run_name(run), parser=parser), self.timeout)

    async def list_verdicts(
        self,
        run: str,
        where: verdict_pb2.VerdictFilter | None = None,
        view: verdict_pb2.VerdictView.ValueType = verdict_pb2.VERDICT_VIEW_BASIC,
        page_size: int = 0,
    ) -> AsyncIterator[verdict_pb2.Verdict]:
        """The run's verdicts by their place in its plan, page by page."""
        request = pb.ListVerdictsRequest(parent=run_name(run), page_size=page_size, filter=where, view=view)
        async for page in pages(self.runs.ListVerdicts, request, self.timeout):
            for verdict in page.verdicts:
                yield verdict

    async def stream_verdicts(
        self,
        run: str,
        where: verdict_pb2.VerdictFilter | None = None,
        view: verdict_pb2.VerdictView.ValueType = verdict_pb2.VERDICT_VIEW_BASIC,
        *,
        follow: bool = False,
        page_token: str = "",
    ) -> AsyncIterator[pb.StreamVerdictsResponse]:
        """Batches of verdicts in the order they were stored, each with a token to go on from."""
        request = pb.StreamVerdictsRequest(
            parent=run_name(run), page_token=page_token, filter=where, view=view, follow=follow
        )
        async for batch in stream(self.runs.StreamVerdicts, request):
            yield batch
