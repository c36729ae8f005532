"""Compare the leaderboards of two sources, and their agreement by the distance between contestants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import inf, nan

import numpy as np

from judge.stats.battles import Battles
from judge.stats.bradley_terry import bradley_terry
from judge.stats.errors import Disconnected, StatisticsError
from judge.stats.rank_agreement import RankAgreement, rank_agreement
from judge.stats.votes import VoteColumns
from judge.votes.shared_codes import Table

GAPS = (0.0, 50.0, 100.0, 200.0, 400.0, inf)
"""The boundaries of the distance steps, in rating points of the target's leaderboard."""
FEWEST = 3
"""Fewer common contestants make no order to compare."""


@dataclass(frozen=True)
class Leaderboards:
    """How the two orders agree, or the *reason* why that is unknown, and the target's *ratings*."""

    orders: RankAgreement | None
    ratings: Mapping[str, float]
    reason: str = ""


def leaderboards(table: Table, source: VoteColumns, target: VoteColumns, level: float) -> Leaderboards:
    """Rank the contestants that both sources have, each by its own votes, and compare the two orders."""
    names, left, right = table.contestants
    known = [np.zeros(len(names), dtype=np.bool_) for _ in range(2)]
    for votes, has in zip((source, target), known, strict=True):
        has[left[votes.item]] = has[right[votes.item]] = True
    both = known[0] & known[1]
    n_common = int(np.count_nonzero(both))
    if n_common < FEWEST:
        return Leaderboards(None, {}, f"the sources have {n_common} contestants in common")
    kept = [votes.select((both[left] & both[right])[votes.item]) for votes in (source, target)]
    prompts = np.unique(np.concatenate([votes.cluster for votes in kept]))
    code = np.cumsum(both) - 1
    ratings: dict[str, float] = {}
    try:
        source_battles, target_battles = (
            Battles(
                contestants=tuple(name for name, held in zip(names, both.tolist(), strict=True) if held),
                left=code[left[votes.item]],
                right=code[right[votes.item]],
                outcome=votes.outcome,
                weight=votes.weight,
                cluster=np.searchsorted(prompts, votes.cluster).astype(np.int32),
                n_clusters=prompts.size,
            )
            for votes in kept
        )
        ratings.update(zip(target_battles.contestants, bradley_terry(target_battles).ratings.tolist(), strict=True))
        orders = rank_agreement(source_battles, target_battles, level)
    except Disconnected as error:
        return Leaderboards(None, ratings, f"one of the two sources cannot rank all contestants: {error}")
    except StatisticsError as error:
        return Leaderboards(None, ratings, str(error))
    return Leaderboards(orders, ratings)


def steps(table: Table, votes: VoteColumns, ratings: Mapping[str, float]) -> list[tuple[float, float, VoteColumns]]:
    """*votes* by the distance of their contestants in *ratings*: from, to and the votes, without empty steps."""
    names, left, right = table.contestants
    rating = np.array([ratings.get(name, nan) for name in names])
    distance = np.abs(rating[left] - rating[right])[votes.item]
    all_steps = [(least, most, votes.select((least <= distance) & (distance < most))) for least, most in pairwise(GAPS)]
    return [step for step in all_steps if step[2].n]
