"""Calls of JudgeService."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from judge.api.v1 import judge_service_pb2 as pb
from judge.api.v1 import judge_service_pb2_grpc, verdict_pb2
from judge_client.calls import duplex, pages, unary
from judge_client.connection import Connection
from judge_client.names import judge_name


class JudgeCalls(Connection):
    """Lists judges, previews prompts, and judges single comparisons."""

    @property
    def judges(self) -> judge_service_pb2_grpc.JudgeServiceAsyncStub:
        """The service's own stub."""
        return judge_service_pb2_grpc.JudgeServiceStub(self.channel)

    async def list_judges(self, page_size: int = 0) -> AsyncIterator[pb.Judge]:
        """Yield all judges, sorted by name. Pages are read lazily."""
        request = pb.ListJudgesRequest(page_size=page_size)
        async for page in pages(self.judges.ListJudges, request, self.timeout):
            for judge in page.judges:
                yield judge

    async def get_judge(self, judge: str) -> pb.Judge:
        """Return the judge with the variants of its rubric."""
        return (await unary(self.judges.GetJudge, pb.GetJudgeRequest(name=judge_name(judge)), self.timeout)).judge

    async def preview_prompt(self, judge: str, judge_input: pb.JudgeInput) -> pb.PromptPreview:
        """Return exactly what the judge would be sent. Nothing is sent."""
        request = pb.PreviewPromptRequest(judge=judge_name(judge), input=judge_input)
        return (await unary(self.judges.PreviewPrompt, request, self.timeout)).preview

    async def judge_comparison(
        self, judge: str, judge_input: pb.JudgeInput, *, cache_tag: str = "", repeat: int = 0
    ) -> verdict_pb2.Verdict:
        """Judge one comparison and return its verdict."""
        request = pb.JudgeComparisonRequest(
            judge=judge_name(judge), input=judge_input, cache_tag=cache_tag, repeat=repeat
        )
        return (await unary(self.judges.JudgeComparison, request, self.timeout)).verdict

    async def judge_comparisons(
        self, requests: AsyncIterable[pb.JudgeComparisonsRequest]
    ) -> AsyncIterator[pb.JudgeComparisonsResponse]:
        """Yield a verdict for each of *requests*, or why there is none, in the order in which they are ready.

        Each response carries the id of its request. Requests are read no faster than their verdicts are consumed.
        """
        async for response in duplex(self.judges.JudgeComparisons, requests):
            yield response
