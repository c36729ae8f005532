"""Calls of RankingService and AgreementService."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable

from judge.api.v1 import (
    agreement_service_pb2,
    agreement_service_pb2_grpc,
    dataset_service_pb2,
    leaderboard_pb2,
    outcome_pb2,
    ranking_service_pb2,
    ranking_service_pb2_grpc,
)
from judge.api.v1.agreement_service_pb2 import AgreementOptions, AgreementReport, MeasureAgreementRequest
from judge.api.v1.ranking_service_pb2 import Battle, BattleColumns, RankBattlesRequest, RankingOptions
from judge_client.batches import batches
from judge_client.calls import pages, unary, upload
from judge_client.connection import Connection
from judge_client.names import dataset_name

BATTLES = 20_000
"""The most battles in a message."""
BATTLE_BYTES = 8 * 1024 * 1024
"""The most bytes in a message of battles. The service accepts 16 MiB."""


class ReportCalls(Connection):
    """Ranks contestants and measures agreement."""

    @property
    def rankings(self) -> ranking_service_pb2_grpc.RankingServiceAsyncStub:
        """The ranking service's own stub."""
        return ranking_service_pb2_grpc.RankingServiceStub(self.channel)

    @property
    def agreements(self) -> agreement_service_pb2_grpc.AgreementServiceAsyncStub:
        """The agreement service's own stub."""
        return agreement_service_pb2_grpc.AgreementServiceStub(self.channel)

    async def leaderboard(
        self, dataset: str, source: str, options: RankingOptions | None = None
    ) -> leaderboard_pb2.Leaderboard:
        """Rank by *source*: `judge:NAME`, `run:RUN/JUDGE`, `people`, `labels:PATTERN`, or `jury:A+B`."""
        request = ranking_service_pb2.GetLeaderboardRequest(
            dataset=dataset_name(dataset), source=source, options=options
        )
        return (await self.leaderboard_reply(request)).leaderboard

    async def leaderboard_reply(
        self, request: ranking_service_pb2.GetLeaderboardRequest
    ) -> ranking_service_pb2.GetLeaderboardResponse:
        """Return the whole reply to *request*: the leaderboard, and the versions of the software that computed it."""
        return await unary(self.rankings.GetLeaderboard, request, self.timeout)

    async def rank_battles(
        self, battles: Iterable[Battle] | AsyncIterable[Battle] | BattleColumns, options: RankingOptions | None = None
    ) -> leaderboard_pb2.Leaderboard:
        """Rank *battles*, given as rows or as columns (one message of at most 16 MiB). Nothing is stored."""
        return (await upload(self.rankings.RankBattles, _battles(battles, options))).leaderboard

    async def mean_scores(
        self, dataset: str, source: str, *, by_turn: bool = False, by_category: bool = False, level: float = 0.0
    ) -> ranking_service_pb2.GetMeanScoresResponse:
        """Average the scores of single outputs that *source* gave, `people` or `labels:PATTERN`, by contestant."""
        request = ranking_service_pb2.GetMeanScoresRequest(
            dataset=dataset_name(dataset), source=source, by_turn=by_turn, by_category=by_category, level=level
        )
        return await unary(self.rankings.GetMeanScores, request, self.timeout)

    async def rank_columns(
        self, columns: Iterable[BattleColumns], options: RankingOptions | None = None
    ) -> leaderboard_pb2.Leaderboard:
        """Rank battles given as several parts, each of columns in a message of at most 16 MiB. Nothing is stored."""
        return (await upload(self.rankings.RankBattles, _parts(columns, options))).leaderboard

    async def agreement(
        self, dataset: str, source: str, target: str = "", options: AgreementOptions | None = None
    ) -> AgreementReport:
        """Measure how far two sources agree, or, without *target*, the annotators of *source* with each other."""
        request = agreement_service_pb2.GetAgreementRequest(
            dataset=dataset_name(dataset), source=source, target=target, options=options
        )
        return (await unary(self.agreements.GetAgreement, request, self.timeout)).report

    async def list_disagreements(
        self,
        dataset: str,
        source: str,
        target: str,
        part: outcome_pb2.Slice | None = None,
        least_votes: int = 0,
        page_size: int = 0,
    ) -> AsyncIterator[agreement_service_pb2.Disagreement]:
        """Yield the comparisons on which two sources disagree, the most informative ones first."""
        request = agreement_service_pb2.ListDisagreementsRequest(
            dataset=dataset_name(dataset),
            source=source,
            target=target,
            slice=part,
            least_votes=least_votes,
            page_size=page_size,
        )
        async for page in pages(self.agreements.ListDisagreements, request, self.timeout):
            for row in page.disagreements:
                yield row

    async def measure_agreement(
        self,
        labels: Iterable[dataset_service_pb2.Label]
        | AsyncIterable[dataset_service_pb2.Label]
        | dataset_service_pb2.LabelColumns,
        source: str,
        target: str = "",
        options: AgreementOptions | None = None,
    ) -> AgreementReport:
        """Measure how far two sources among *labels* agree. Nothing is stored."""
        messages = _labels(labels, MeasureAgreementRequest(options=options, source=source, target=target))
        return (await upload(self.agreements.MeasureAgreement, messages)).report


async def _battles(
    battles: Iterable[Battle] | AsyncIterable[Battle] | BattleColumns, options: RankingOptions | None
) -> AsyncIterator[RankBattlesRequest]:
    if isinstance(battles, BattleColumns):
        yield RankBattlesRequest(options=options, columns=battles)
        return
    yield RankBattlesRequest(options=options)
    async for batch in batches(battles, most=BATTLES, size=BATTLE_BYTES):
        yield RankBattlesRequest(battles=batch)


async def _parts(columns: Iterable[BattleColumns], options: RankingOptions | None) -> AsyncIterator[RankBattlesRequest]:
    yield RankBattlesRequest(options=options)
    for part in columns:
        yield RankBattlesRequest(columns=part)


async def _labels(
    labels: Iterable[dataset_service_pb2.Label]
    | AsyncIterable[dataset_service_pb2.Label]
    | dataset_service_pb2.LabelColumns,
    first: MeasureAgreementRequest,
) -> AsyncIterator[MeasureAgreementRequest]:
    if isinstance(labels, dataset_service_pb2.LabelColumns):
        first.columns.CopyFrom(labels)
        yield first
        return
    yield first
    async for batch in batches(labels):
        yield MeasureAgreementRequest(labels=batch)
