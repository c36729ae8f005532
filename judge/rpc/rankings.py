"""RankingService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from judge.api.v1 import ranking_service_pb2 as pb
from judge.api.v1 import ranking_service_pb2_grpc
from judge.columns.arrays import present
from judge.domain.errors import InvalidInput
from judge.domain.names import checked_name, resource_id
from judge.domain.outcome import Outcome
from judge.domain.source import Source
from judge.planning.inputs import all_labels
from judge.ports.store import Store
from judge.ranking.anchoring import AnchorLabels, anchor_labels
from judge.ranking.battles import design_from_battles
from judge.ranking.compute import Fits
from judge.ranking.mean_scores import mean_scores
from judge.ranking.options import RankOptions
from judge.ranking.rank import build_leaderboard, rank
from judge.ranking.style import style_of
from judge.ranking.versions import versions
from judge.rpc import decode
from judge.rpc.datasets import TENANT
from judge.rpc.encode_leaderboard import encode_leaderboard
from judge.rpc.mean_scores import encode_mean_score, mean_score_options
from judge.stats.battles import Battles
from judge.votes.scores import load_scores
from judge.votes.sources import votes_of
from judge.votes.votes import SourceVotes


class RankingServicer(ranking_service_pb2_grpc.RankingServiceServicer):
    """Implements RankingService."""

    def __init__(self, store: Store, fits: Fits) -> None:
        self._store, self._fits = store, fits

    async def GetLeaderboard(self, request: pb.GetLeaderboardRequest, context: Any) -> pb.GetLeaderboardResponse:
        """Rank a dataset's contestants by a source."""
        options = decode.rank_options(request.options)
        dataset = resource_id("datasets", "dataset", request.dataset) if request.dataset else ""
        source = Source.parse(request.source)
        votes = await votes_of(self._store, TENANT, dataset, source, options.taking)
        style = await style_of(self._store, TENANT, votes) if options.style or options.length_controlled else None
        labels = await self._labels(votes, options)
        leaderboard = await self._fits.run(lambda: build_leaderboard(votes, options, style, labels))
        return pb.GetLeaderboardResponse(leaderboard=encode_leaderboard(leaderboard), versions=versions())

    async def _labels(self, votes: SourceVotes, options: RankOptions) -> AnchorLabels | None:
        """Return the labels to anchor ratings to, if requested."""
        if options.anchored_to is None:
            return None
        revision = await self._store.revision(TENANT, votes.dataset)
        rows = [label async for _, label in all_labels(self._store, TENANT, votes.dataset, revision)]
        return anchor_labels(options.anchored_to, rows)

    async def GetMeanScores(self, request: pb.GetMeanScoresRequest, context: Any) -> pb.GetMeanScoresResponse:
        """Average the scores of single outputs by contestant."""
        dataset, source = resource_id("datasets", "dataset", request.dataset), Source.parse(request.source)
        options = mean_score_options(request)
        scores = await load_scores(self._store, TENANT, dataset, source)
        means = await self._fits.run(lambda: mean_scores(scores, options))
        return pb.GetMeanScoresResponse(means=[encode_mean_score(row) for row in means])

    async def RankBattles(
        self,
        request_iterator: AsyncIterator[pb.RankBattlesRequest],
        context: Any,
    ) -> pb.RankBattlesResponse:
        options: RankOptions | None = None
        columns = _BattleColumns()
        async for message in request_iterator:
            if options is None:
                options = decode.rank_options(message.options)
            columns.add(message)
        if options is None:
            raise InvalidInput("options", "the stream is empty", reason="EMPTY_STREAM")
        chosen = options
        _check_needs_no_dataset(chosen)
        leaderboard = await self._fits.run(lambda: rank(design_from_battles(columns.battles(), chosen), chosen))
        return pb.RankBattlesResponse(leaderboard=encode_leaderboard(leaderboard))


def _check_needs_no_dataset(options: RankOptions) -> None:
    """Raise InvalidInput for options that battles alone do not allow."""
    given = {
        "style": options.style,
        "by_category": options.by_category,
        "target_categories": bool(options.targets),
        "leave_one_out": options.leave_one_out,
        "anchored_to": options.anchored_to is not None,
        "variance": options.variance,
        "decisive_weight": options.decisive != RankOptions().decisive,
        "length_controlled": options.length_controlled,
    }
    names = [name for name, is_given in given.items() if is_given]
    if names:
        message = f"without a dataset, battles have no texts, categories or verdicts: leave out {', '.join(names)}"
        raise InvalidInput(f"options.{names[0]}", message)


class _BattleColumns:
    """The battles of a stream, as columns of codes."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._prompts: dict[str, int] = {}
        self._left: list[np.ndarray[Any, Any]] = []
        self._right: list[np.ndarray[Any, Any]] = []
        self._outcome: list[np.ndarray[Any, Any]] = []
        self._weight: list[np.ndarray[Any, Any]] = []
        self._prompt: list[np.ndarray[Any, Any]] = []
        self._n = 0

    def add(self, message: pb.RankBattlesRequest) -> None:
        """Add a batch of rows and columns."""
        if message.battles:
            rows = message.battles
            for row in rows:
                decode.enum(Outcome, row.outcome, "battles.outcome")
            self._append(
                [self._code(row.left) for row in rows],
                [self._code(row.right) for row in rows],
                [row.outcome for row in rows],
                [row.weight if row.HasField("weight") else 1.0 for row in rows],
                [self._prompt_code(row.prompt_id) if row.prompt_id else -1 - self._n - i for i, row in enumerate(rows)],
            )
        if message.columns.outcome:
            self._columns(message.columns)

    def _columns(self, columns: pb.BattleColumns) -> None:
        n, n_names = len(columns.outcome), len(columns.names)
        left, right = (_codes(field, getattr(columns, field), n, n_names) for field in ("left", "right"))
        outcome = np.array(columns.outcome, dtype=np.int64)
        if not np.isin(outcome, list(Outcome)).all():
            raise InvalidInput("columns.outcome", "an outcome is not LEFT, RIGHT, or TIE", reason="INVALID_ENUM")
        weight = np.array(columns.weight, dtype=np.float64) if columns.weight else np.ones(n)
        if len(weight) != n:
            raise InvalidInput("columns.weight", "columns.weight is not as long as columns.outcome")
        prompt = -1 - np.arange(self._n, self._n + n)
        if columns.prompt:
            codes = _codes("prompt", columns.prompt, n, n_names, least=-1)
            prompt = np.where(codes < 0, prompt, _recoded(codes, columns.names, self._prompt_code))
        contestants = _recoded(np.concatenate((left, right)), columns.names, self._code)
        self._append(contestants[:n], contestants[n:], outcome, weight, prompt)

    def _append(self, left: Any, right: Any, outcome: Any, weight: Any, prompt: Any) -> None:
        self._left.append(np.asarray(left, dtype=np.int64))
        self._right.append(np.asarray(right, dtype=np.int64))
        self._outcome.append(np.asarray(outcome, dtype=np.int8) - np.int8(1))
        self._weight.append(np.asarray(weight, dtype=np.float64))
        self._prompt.append(np.asarray(prompt, dtype=np.int64))
        self._n += len(self._left[-1])

    def _code(self, name: str) -> int:
        known = self._names.get(name)
        return self._names.setdefault(checked_name("contestant", name), len(self._names)) if known is None else known

    def _prompt_code(self, name: str) -> int:
        return self._prompts.setdefault(name, len(self._prompts))

    def battles(self) -> Battles:
        """Return all battles, with contestants sorted by name, without those that have no battle."""
        if not self._n:
            raise InvalidInput("battles", "there are no battles", reason="NO_BATTLES")
        left, right = np.concatenate(self._left), np.concatenate(self._right)
        used = present(left, right)
        names = list(self._names)
        order = sorted(used.tolist(), key=lambda code: names[code])
        place = np.zeros(len(names), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        weight = np.concatenate(self._weight)
        distinct, cluster = np.unique(np.concatenate(self._prompt), return_inverse=True)
        return Battles(
            contestants=tuple(names[code] for code in order),
            left=place[left],
            right=place[right],
            outcome=np.concatenate(self._outcome),
            weight=None if bool((weight == 1).all()) else weight,
            cluster=cluster.astype(np.int32),
            n_clusters=len(distinct),
        )


def _codes(field: str, column: Sequence[int], n: int, n_names: int, least: int = 0) -> npt.NDArray[np.int64]:
    """Return a column of codes, int64[n]. Raises InvalidInput for another length or a code that is no index."""
    codes = np.array(column, dtype=np.int64)
    if len(codes) != n:
        raise InvalidInput(f"columns.{field}", f"columns.{field} does not have the same length as columns.outcome")
    if codes.size and not least <= int(codes.min()) <= int(codes.max()) < n_names:
        raise InvalidInput(f"columns.{field}", f"columns.{field} has a code that is not an index of names")
    return codes


def _recoded(
    codes: npt.NDArray[np.int64], names: Sequence[str], code_of: Callable[[str], int]
) -> npt.NDArray[np.int64]:
    """Return *code_of* each code's name, and -1 for a code of -1. Names that no code is an index of are not used."""
    used = present(codes[codes >= 0])
    # The last place is that of -1.
    places = np.full(len(names) + 1, -1, dtype=np.int64)
    places[used] = [code_of(names[code]) for code in used.tolist()]
    return places[codes]
