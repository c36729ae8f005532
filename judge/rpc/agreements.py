"""AgreementService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from judge.agreement.bias import bias
from judge.agreement.disagreements import load_details, load_disagreements
from judge.agreement.measure import measure
from judge.agreement.options import AgreeOptions
from judge.agreement.report import Report
from judge.api.v1 import agreement_service_pb2 as pb
from judge.api.v1 import agreement_service_pb2_grpc
from judge.domain.errors import InvalidInput
from judge.domain.names import resource_id
from judge.domain.source import Merge, Source
from judge.ports.store import Store
from judge.ranking.battles import Style
from judge.ranking.compute import Fits
from judge.ranking.style import style_of
from judge.rpc import decode
from judge.rpc.datasets import TENANT
from judge.rpc.encode_agreement import encode_agreement, encode_disagreement
from judge.rpc.labels import Labels
from judge.rpc.pages import PAGE_BYTES
from judge.votes.sources import votes_of
from judge.votes.votes import SourceVotes


class AgreementServicer(agreement_service_pb2_grpc.AgreementServiceServicer):
    """Implements AgreementService."""

    def __init__(self, store: Store, fits: Fits, families: Mapping[str, Sequence[str]]) -> None:
        self._store, self._fits, self._families = store, fits, families

    async def GetAgreement(self, request: pb.GetAgreementRequest, context: Any) -> pb.GetAgreementResponse:
        """Compare two sources of a dataset, or one source's annotators with each other."""
        options = decode.agree_options(request.options)
        dataset = resource_id("datasets", "dataset", request.dataset)
        second = _second_source(request.options.second_source, request.target)
        source = await self._votes(dataset, _parse_source(request.source), options)
        target = (
            await self._votes(dataset, _parse_source(request.target, "target"), options) if request.target else None
        )
        second_source = await self._votes(dataset, second, options) if second else None
        if options.bias and target is None:
            raise InvalidInput("options.bias", "bias is measured against a target: name one")
        style = await self._style(source) if options.bias else ""
        own = self._family(_parse_source(request.source).name, source) if options.bias else ()

        def compute_report() -> Report:
            report = measure(source, target, options, second_source)
            if not options.bias or target is None:
                return report
            swayed = bias(source, target, style, options.family or own, options.level)
            return replace(report, diagnostics=replace(report.diagnostics, bias=swayed))

        report = await self._fits.run(compute_report)
        return pb.GetAgreementResponse(report=encode_agreement(report))

    async def MeasureAgreement(
        self,
        request_iterator: AsyncIterator[pb.MeasureAgreementRequest],
        context: Any,
    ) -> pb.MeasureAgreementResponse:
        first: pb.MeasureAgreementRequest | None = None
        labels = Labels()
        async for message in request_iterator:
            if first is None:
                first = message
            labels.add(message)
        if first is None:
            raise InvalidInput("source", "the stream is empty", reason="EMPTY_STREAM")
        options = decode.agree_options(first.options)
        if options.bias:
            raise InvalidInput("options.bias", "bias needs the outputs, which a stream of labels does not have")
        source, second_source = _parse_source(first.source), _second_source(first.options.second_source, first.target)
        target = _parse_source(first.target, "target") if first.target else None

        def compute_report() -> Report:
            target_votes, second_votes = (
                labels.votes(each, options.part) if each else None for each in (target, second_source)
            )
            return measure(labels.votes(source, options.part), target_votes, options, second_votes)

        report = await self._fits.run(compute_report)
        return pb.MeasureAgreementResponse(report=encode_agreement(report))

    async def ListDisagreements(
        self, request: pb.ListDisagreementsRequest, context: Any
    ) -> pb.ListDisagreementsResponse:
        """List the comparisons on which two sources disagree, with their texts, verdicts, and labels."""
        dataset = resource_id("datasets", "dataset", request.dataset)
        source, target = _parse_source(request.source), _parse_source(request.target, "target")
        if request.least_votes < 0:
            raise InvalidInput("least_votes", "least_votes cannot be negative")
        least, part = max(request.least_votes, 1), decode.part(request.slice)
        rows = await load_disagreements(self._store, TENANT, dataset, source, target, part, least)
        begin, size = decode.page_token(request.page_token, 0), decode.page_size(request.page_size)
        page: list[pb.Disagreement] = []
        n_bytes = 0
        details = load_details(self._store, TENANT, dataset, source, target, rows[begin : begin + size])
        async with aclosing(details) as detailed:
            async for row in detailed:
                message = encode_disagreement(row)
                n_bytes += message.ByteSize()
                if page and n_bytes > PAGE_BYTES:
                    break
                page.append(message)
        more = begin + len(page) < len(rows)
        return pb.ListDisagreementsResponse(disagreements=page, next_page_token=str(begin + len(page)) if more else "")

    def _family(self, name: str, source: SourceVotes) -> tuple[str, ...]:
        """Return the contestants in the family configured for *name* that *source* has an outcome of."""
        known = {end for key in source.rows.compact().keys for end in (key.left, key.right)}
        return tuple(contestant for contestant in self._families.get(name, ()) if contestant in known)

    async def _style(self, source: SourceVotes) -> Style | str:
        try:
            return await style_of(self._store, TENANT, source)
        except InvalidInput as error:
            return str(error)

    async def _votes(self, dataset: str, source: Source, options: AgreeOptions) -> SourceVotes:
        return await votes_of(self._store, TENANT, dataset, source, options.taking)


def _second_source(text: str, target: str) -> Source | None:
    if text and not target:
        raise InvalidInput("options.second_source", "a second source is compared with a target: name one")
    return _parse_source(text, "options.second_source") if text else None


def _parse_source(text: str, field: str = "source") -> Source:
    """Parse a source. Raises InvalidInput for a source with fractional votes."""
    source = Source.parse(text, field)
    if source.merge is Merge.PLURALITY_SPLIT:
        raise InvalidInput(
            field, f"agreement counts whole votes, but {source} has fractional ones", reason="INVALID_SOURCE"
        )
    return source
