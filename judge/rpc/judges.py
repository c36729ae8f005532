"""JudgeService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from judge.api.v1 import judge_service_pb2 as pb
from judge.api.v1 import judge_service_pb2_grpc
from judge.domain.errors import CallFailed, InvalidInput, JudgeError
from judge.domain.judge import JudgeCard
from judge.domain.names import resource_id
from judge.domain.outcome import ItemState, Order
from judge.domain.verdict import Comparison, PresentationNames
from judge.execution.judges import Judges
from judge.execution.single import Single, SingleRequest
from judge.ports.store import Store
from judge.rpc import decode, encode
from judge.rpc.datasets import TENANT
from judge.rpc.pages import first_page
from judge.runs.lifecycle import RunLifecycle

STREAMED_CALLS = 64
"""The number of comparisons of one stream that are judged at the same time."""


class JudgeServicer(judge_service_pb2_grpc.JudgeServiceServicer):
    """Implements JudgeService."""

    def __init__(self, store: Store, judges: Judges, runs: RunLifecycle, single: Single) -> None:
        self._store, self._judges, self._runs, self._single = store, judges, runs, single

    async def ListJudges(self, request: pb.ListJudgesRequest, context: Any) -> pb.ListJudgesResponse:
        """List the configured and the recorded judges by name."""
        recorded = {d.name: JudgeCard(d) for d in await self._store.judge_definitions(TENANT)}
        cards = {**recorded, **self._judges.cards()}
        size = decode.page_size(request.page_size)
        names = [name for name in sorted(cards) if name > request.page_token]
        page = first_page(encode.judge(cards[name]) for name in names[:size])
        more = names[len(page) - 1] if len(names) > len(page) else ""
        return pb.ListJudgesResponse(judges=page, next_page_token=more)

    async def GetJudge(self, request: pb.GetJudgeRequest, context: Any) -> pb.GetJudgeResponse:
        """Return a judge with its rubric."""
        return pb.GetJudgeResponse(judge=encode.judge(await self._card(request.name, "name"), whole=True))

    async def PreviewPrompt(self, request: pb.PreviewPromptRequest, context: Any) -> pb.PreviewPromptResponse:
        """Return exactly what would be sent, without sending it."""
        card = await self._card(request.judge, "judge")
        if not card.definition.rubric.variants:
            raise InvalidInput("judge", f"judge {card.definition.name!r} is recorded, so nothing is ever sent to it")
        single = await self._single_request(request.input)
        rendered = await self._single.preview(card, single)
        stored = await self._single.stored(TENANT, card, single)
        return pb.PreviewPromptResponse(preview=encode.preview(rendered, stored=stored))

    async def JudgeComparison(self, request: pb.JudgeComparisonRequest, context: Any) -> pb.JudgeComparisonResponse:
        """Judge one comparison now."""
        card = await self._card(request.judge, "judge")
        single = await self._single_request(request.input)
        decode.check_cache_tag("cache_tag", request.cache_tag)
        verdict = await self._single.judge(TENANT, card, single, request.cache_tag, request.repeat)
        return pb.JudgeComparisonResponse(verdict=encode.verdict(verdict))

    async def JudgeComparisons(
        self,
        request_iterator: AsyncIterator[pb.JudgeComparisonsRequest],
        context: Any,
    ) -> AsyncIterator[pb.JudgeComparisonsResponse]:
        """Judge a stream of comparisons, reading requests only as fast as the caller reads verdicts."""
        requests = aiter(request_iterator)
        next_request: asyncio.Future[pb.JudgeComparisonsRequest | None] | None = None
        judging: set[asyncio.Future[pb.JudgeComparisonsResponse]] = set()
        ended = False
        try:
            while not ended or judging:
                if next_request is None and not ended and len(judging) < STREAMED_CALLS:
                    next_request = asyncio.ensure_future(anext(requests, None))
                await asyncio.wait(_all(judging, next_request), return_when=asyncio.FIRST_COMPLETED)
                if next_request is not None and next_request.done():
                    request, next_request = next_request.result(), None
                    ended = request is None
                    if request is not None:
                        judging.add(asyncio.ensure_future(self._streamed(request)))
                for finished in [task for task in judging if task.done()]:
                    judging.discard(finished)
                    yield finished.result()
        finally:
            for task in _all(judging, next_request):
                task.cancel()

    async def _streamed(self, request: pb.JudgeComparisonsRequest) -> pb.JudgeComparisonsResponse:
        """Judge one comparison of a stream. An error becomes its response and does not end the stream."""
        try:
            reply = await self.JudgeComparison(request.comparison, None)
        except CallFailed as failed:
            state = ItemState.__members__.get(failed.reason, failed.state)
            return pb.JudgeComparisonsResponse(id=request.id, state=state.value, message=failed.message)  # type: ignore[arg-type]  # the wire has the same numbers
        except JudgeError as wrong:
            rejected = ItemState.REJECTED.value
            message = f"{wrong.reason}: {wrong.message}"
            return pb.JudgeComparisonsResponse(id=request.id, state=rejected, message=message)  # type: ignore[arg-type]  # as above
        return pb.JudgeComparisonsResponse(id=request.id, verdict=reply.verdict)

    async def _card(self, name: str, field: str) -> JudgeCard:
        return await self._runs.card(TENANT, resource_id("judges", field, name))

    async def _single_request(self, judge_input: pb.JudgeInput) -> SingleRequest:
        if judge_input.dataset:
            shown = judge_input.presentation
            names = PresentationNames(
                prompt_id=shown.prompt_id,
                turn=shown.turn or 1,
                left=shown.left,
                right=shown.right,
                order=decode.optional_enum(Order, shown.order, "presentation.order") or Order.LEFT_FIRST,
                left_sample=shown.left_sample,
                right_sample=shown.right_sample,
            )
            return await self._single.of_dataset(TENANT, resource_id("datasets", "dataset", judge_input.dataset), names)
        prompt, left, right = decode.inline(judge_input.texts)
        order = decode.optional_enum(Order, judge_input.texts.order, "texts.order") or Order.LEFT_FIRST
        texts = Comparison(
            prompt=prompt,
            left=left,
            right=right,
            category=judge_input.texts.category,
            reference=tuple(judge_input.texts.reference),
        )
        return self._single.of_texts(texts, order)


def _all(judging: set[asyncio.Future[Any]], next_request: asyncio.Future[Any] | None) -> set[asyncio.Future[Any]]:
    return judging if next_request is None else {*judging, next_request}
