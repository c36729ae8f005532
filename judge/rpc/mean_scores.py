"""Decode requests for mean scores, and encode what they return."""

from __future__ import annotations

from judge.api.v1 import ranking_service_pb2 as pb
from judge.ranking.mean_scores import MeanScoreOptions, MeanScoreRow
from judge.rpc import decode
from judge.rpc.encode import interval, part


def mean_score_options(request: pb.GetMeanScoresRequest) -> MeanScoreOptions:
    """Decode the options of a request. Raises InvalidInput for a level that is none."""
    return MeanScoreOptions(
        by_turn=request.by_turn,
        by_category=request.by_category,
        level=request.level or MeanScoreOptions().level,
        part=decode.part(request.slice),
    )


def encode_mean_score(row: MeanScoreRow) -> pb.MeanScore:
    """Encode the mean score of a contestant."""
    return pb.MeanScore(
        slice=part(row.part),
        contestant=row.contestant,
        mean=row.mean.value or 0.0,
        interval=interval(row.mean.low, row.mean.high),
        interval_method=row.mean.method,
        n=row.mean.n,
        prompts=row.mean.clusters,
        lowest=row.scale.lowest,
        highest=row.scale.highest,
    )
