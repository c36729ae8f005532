"""JudgeService."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from judge.api.v1 import judge_service_pb2 as pb
from judge.api.v1 import judge_service_pb2_grpc
from judge.domain.errors import InvalidInput, NotBuilt
from judge.domain.judge import JudgeCard
from judge.domain.names import resource_id
from judge.domain.outcome import Order
from judge.domain.verdict import Comparison, ShowingNames
from judge.ports.store import Store
from judge.rpc import decode, encode
from judge.rpc.datasets import TENANT
from judge.runs.judges import Judges
from judge.runs.lifecycle import Runs
from judge.runs.single import Asked, Single


class JudgeServicer(judge_service_pb2_grpc.JudgeServiceServicer):
    """Decodes, asks one judge, encodes."""

    def __init__(self, store: Store, judges: Judges, runs: Runs, single: Single) -> None:
        self._store, self._judges, self._runs, self._single = store, judges, runs, single

    async def ListJudges(self, request: pb.ListJudgesRequest, context: Any) -> pb.ListJudgesResponse:
        """List the configured and the recorded judges by name."""
        recorded = {d.name: JudgeCard(d) for d in await self._store.judge_definitions(TENANT)}
        cards = {**recorded, **self._judges.cards()}
        size = decode.page_size(request.page_size)
        names = [name for name in sorted(cards) if name > request.page_token]
        more = names[size - 1] if len(names) > size else ""
        return pb.ListJudgesResponse(judges=[encode.judge(cards[n]) for n in names[:size]], next_page_token=more)

    async def GetJudge(self, request: pb.GetJudgeRequest, context: Any) -> pb.GetJudgeResponse:
        """Describe a judge."""
        return pb.GetJudgeResponse(judge=encode.judge(await self._card(request.name, "name"), whole=True))

    async def PreviewPrompt(self, request: pb.PreviewPromptRequest, context: Any) -> pb.PreviewPromptResponse:
        """Show exactly what would be sent, and send nothing."""
        card = await self._card(request.judge, "judge")
        if not card.definition.rubric.variants:
            raise InvalidInput("judge", f"judge {card.definition.name!r} is recorded: nothing is ever sent to it")
        asked = await self._asked(request.judged)
        rendered = await self._single.preview(card, asked)
        stored = await self._single.stored(TENANT, card, asked)
        return pb.PreviewPromptResponse(preview=encode.preview(rendered, stored=stored))

    async def JudgeComparison(self, request: pb.JudgeComparisonRequest, context: Any) -> pb.JudgeComparisonResponse:
        """Judge one comparison now."""
        card = await self._card(request.judge, "judge")
        asked = await self._asked(request.judged)
        verdict = await self._single.judge(TENANT, card, asked, request.epoch, request.repeat)
        return pb.JudgeComparisonResponse(verdict=encode.verdict(verdict))

    async def JudgeComparisons(
        self,
        request_iterator: AsyncIterator[pb.JudgeComparisonsRequest],
        context: Any,
    ) -> AsyncIterator[pb.JudgeComparisonsResponse]:
        raise NotBuilt("JudgeComparisons is not built yet; JudgeComparison is")
        yield pb.JudgeComparisonsResponse()

    async def _card(self, name: str, field: str) -> JudgeCard:
        return await self._runs.card(TENANT, resource_id("judges", field, name))

    async def _asked(self, judged: pb.Judged) -> Asked:
        if judged.dataset:
            said = judged.showing
            names = ShowingNames(
                said.prompt_id,
                said.turn or 1,
                said.left,
                said.right,
                decode.optional_enum(Order, said.order, "showing.order") or Order.LEFT_FIRST,
                said.left_sample,
                said.right_sample,
            )
            return await self._single.of_dataset(TENANT, resource_id("datasets", "dataset", judged.dataset), names)
        prompt, left, right = decode.inline(judged.texts)
        order = decode.optional_enum(Order, judged.texts.order, "texts.order") or Order.LEFT_FIRST
        texts = Comparison(prompt, left, right, judged.texts.category, tuple(judged.texts.reference))
        return self._single.of_texts(texts, order)
