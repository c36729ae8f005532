"""Calls of RunService."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing

import grpc

from judge.api.v1 import run_service_pb2 as pb
from judge.api.v1 import run_service_pb2_grpc, verdict_pb2
from judge_client.calls import pages, stream, unary
from judge_client.connection import Connection
from judge_client.errors import CONNECTION_REFUSED, JudgeClientError
from judge_client.names import dataset_name, judge_name, run_name

ENDED = frozenset((pb.RUN_STATE_CANCELLED, pb.RUN_STATE_DONE, pb.RUN_STATE_FAILED))
"""The states in which a run has ended."""
RECONNECTS = 5
"""How often in a row a lost watch is resumed without a new snapshot."""
PAUSE = 0.2
"""Seconds before a lost watch is resumed for the first time; each further wait is twice as long."""


class RunCalls(Connection):
    """Creates, watches, stops, and reads runs."""

    @property
    def runs(self) -> run_service_pb2_grpc.RunServiceAsyncStub:
        """The service's own stub."""
        return run_service_pb2_grpc.RunServiceStub(self.channel)

    async def create_run(self, spec: pb.RunSpec, request_id: str | None = None) -> pb.Run:
        """Create a run, or return the one that was created with the same *request_id*. By default, the id is random."""
        request = pb.CreateRunRequest(run=spec, request_id=uuid.uuid4().hex if request_id is None else request_id)
        return (await unary(self.runs.CreateRun, request, self.timeout)).run

    async def get_run(self, run: str, view: pb.RunView.ValueType = pb.RUN_VIEW_BASIC) -> pb.Run:
        """Return the run as it is now. View FULL adds the definitions of its judges."""
        return (await unary(self.runs.GetRun, pb.GetRunRequest(name=run_name(run), view=view), self.timeout)).run

    async def read_plan(self, run: str) -> AsyncIterator[pb.ReadPlanResponse]:
        """Yield the presentations of the run's plan in batches, each with the plan's hash.

        The rounds of an adaptive run come first.
        """
        async for batch in stream(self.runs.ReadPlan, pb.ReadPlanRequest(name=run_name(run))):
            yield batch

    async def list_runs(
        self,
        dataset: str = "",
        page_size: int = 0,
        *,
        metadata: Mapping[str, str] | None = None,
        states: Sequence[pb.RunState.ValueType] = (),
    ) -> AsyncIterator[pb.Run]:
        """Yield all runs, or those over *dataset*, with *metadata* and in *states*, newest first.

        Pages are read lazily.
        """
        request = pb.ListRunsRequest(
            page_size=page_size, dataset=dataset_name(dataset), metadata=metadata, states=states
        )
        async for page in pages(self.runs.ListRuns, request, self.timeout):
            for run in page.runs:
                yield run

    async def watch_run(
        self, run: str, *, after_revision: int = 0, reconnects: int = RECONNECTS, pause: float = PAUSE
    ) -> AsyncIterator[pb.Run]:
        """Yield snapshots of the run until it ends.

        A lost connection is resumed from the last revision up to *reconnects* times in a row, after *pause* seconds at
        first and twice as long each further time.
        """
        request = pb.WatchRunRequest(name=run_name(run), after_revision=after_revision)
        async with aclosing(self._watch(request, reconnects, pause)) as snapshots:
            async for snapshot in snapshots:
                yield snapshot.run

    def watch_standings(
        self, run: str, *, reconnects: int = RECONNECTS, pause: float = PAUSE
    ) -> AsyncIterator[pb.WatchRunResponse]:
        """Yield snapshots until the run ends, each with a leaderboard for every judge that has verdicts by then."""
        return self._watch(pb.WatchRunRequest(name=run_name(run), standings=True), reconnects, pause)

    async def _watch(
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
                if error.code is not grpc.StatusCode.UNAVAILABLE or error.reason == CONNECTION_REFUSED or not left:
                    raise
                await asyncio.sleep(pause * 2 ** (reconnects - left))
                left -= 1
            else:
                return

    async def wait_run(self, run: str) -> pb.Run:
        """Wait until the run has ended, and return it."""
        async for snapshot in self.watch_run(run):
            if snapshot.state in ENDED:
                return snapshot
        return await self.get_run(run)

    async def cancel_run(self, run: str) -> pb.Run:
        """Stop the run. Its verdicts so far stay readable."""
        return (await unary(self.runs.CancelRun, pb.CancelRunRequest(name=run_name(run)), self.timeout)).run

    async def delete_run(self, run: str) -> None:
        """Delete a run that has ended. Its replies stay stored, so another run reuses them."""
        await unary(self.runs.DeleteRun, pb.DeleteRunRequest(name=run_name(run)), self.timeout)

    async def resume_run(self, run: str, budget: pb.Budget | None = None) -> pb.Run:
        """Resume the run, under a new *budget* if one is given."""
        request = pb.ResumeRunRequest(name=run_name(run), budget=budget)
        return (await unary(self.runs.ResumeRun, request, self.timeout)).run

    async def set_run_cost(self, run: str, cost_micros: int, judge: str = "") -> pb.Run:
        """Replace what *judge* cost in the run by what its provider billed. With one judge, its name may be empty."""
        request = pb.SetRunCostRequest(name=run_name(run), judge=judge_name(judge), cost_micros=cost_micros)
        return (await unary(self.runs.SetRunCost, request, self.timeout)).run

    async def estimate_run(self, spec: pb.RunSpec) -> pb.RunEstimate:
        """Estimate the calls, tokens, and cost of a run. Nothing is spent."""
        return (await unary(self.runs.EstimateRun, pb.EstimateRunRequest(run=spec), self.timeout)).estimate

    async def reparse_run(self, run: str, parser: str = "") -> pb.ReparseRunResponse:
        """Parse the run's replies again with *parser*, by default with the judges' own. No calls are made."""
        return await unary(self.runs.ReparseRun, pb.ReparseRunRequest(name=run_name(run), parser=parser), self.timeout)

    async def list_verdicts(
        self,
        run: str,
        verdict_filter: verdict_pb2.VerdictFilter | None = None,
        view: verdict_pb2.VerdictView.ValueType = verdict_pb2.VERDICT_VIEW_BASIC,
        page_size: int = 0,
    ) -> AsyncIterator[verdict_pb2.Verdict]:
        """Yield the run's verdicts in the order of its plan. Pages are read lazily."""
        async for page in self.verdict_pages(run, verdict_filter, view, page_size):
            for verdict in page.verdicts:
                yield verdict

    async def verdict_pages(
        self,
        run: str,
        verdict_filter: verdict_pb2.VerdictFilter | None = None,
        view: verdict_pb2.VerdictView.ValueType = verdict_pb2.VERDICT_VIEW_BASIC,
        page_size: int = 0,
        page_token: str = "",
    ) -> AsyncIterator[pb.ListVerdictsResponse]:
        """Yield the run's verdicts page by page, in the order of its plan.

        With *page_token*, the `next_page_token` of an earlier page, they continue after that page.
        """
        request = pb.ListVerdictsRequest(
            parent=run_name(run), page_size=page_size, page_token=page_token, filter=verdict_filter, view=view
        )
        async for page in pages(self.runs.ListVerdicts, request, self.timeout):
            yield page

    async def get_verdict(self, run: str, position: int) -> verdict_pb2.Verdict | None:
        """Return the verdict at a *position* of the run's plan, with its raw text, or None if there is none yet."""
        after = str(position - 1) if position else ""
        full = verdict_pb2.VERDICT_VIEW_FULL
        request = pb.ListVerdictsRequest(parent=run_name(run), page_size=1, page_token=after, view=full)
        page = await unary(self.runs.ListVerdicts, request, self.timeout)
        return next((verdict for verdict in page.verdicts if verdict.position == position), None)

    async def stream_verdicts(
        self,
        run: str,
        verdict_filter: verdict_pb2.VerdictFilter | None = None,
        view: verdict_pb2.VerdictView.ValueType = verdict_pb2.VERDICT_VIEW_BASIC,
        *,
        follow: bool = False,
        page_token: str = "",
    ) -> AsyncIterator[pb.StreamVerdictsResponse]:
        """Yield batches of verdicts in the order in which they were stored, each with a token to continue from.

        With *follow*, further batches come until the run ends.
        """
        request = pb.StreamVerdictsRequest(
            parent=run_name(run), page_token=page_token, filter=verdict_filter, view=view, follow=follow
        )
        async for batch in stream(self.runs.StreamVerdicts, request):
            yield batch
