"""Two sources' leaderboards beside each other, and their agreement by how far apart contestants are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import inf, nan

import numpy as np

from judge.stats.battles import Battles
from judge.stats.bradley_terry import bradley_terry
from judge.stats.errors import Disconnected, NotConverged
from judge.stats.rank_agreement import RankAgreement, rank_agreement
from judge.stats.votes import VoteColumns
from judge.votes.shared_codes import Table

GAPS = (0.0, 50.0, 100.0, 200.0, 400.0, inf)
"""The ends of the steps of distance, in rating points of the target."""
FEWEST = 3


@dataclass(frozen=True)
class Leaderboards:
    """How the two orders agree, or *reason* why that is not known; and the target's *ratings*."""

    orders: RankAgreement | None
    ratings: Mapping[str, float]
    reason: str = ""


def leaderboards(
    table: Table, source: VoteColumns, target: VoteColumns, level: float, replicates: int, seed: int
) -> Leaderboards:
    """The ratings of the contestants that both know, by each source's own votes."""
    names, left, right = table.contestants
    known = [np.zeros(len(names), dtype=np.bool_) for _ in range(2)]
    for votes, named in zip((source, target), known, strict=True):
        named[left[votes.item]] = named[right[votes.item]] = True
    both = known[0] & known[1]
    many = int(np.count_nonzero(both))
    if many < FEWEST:
        return Leaderboards(None, {}, f"the sources have {many} contestants in common")
    kept = [votes.select((both[left] & both[right])[votes.item]) for votes in (source, target)]
    prompts = np.unique(np.concatenate([votes.cluster for votes in kept]))
    code = np.cumsum(both) - 1
    ratings: dict[str, float] = {}
    try:
        one, other = (
            Battles(
                tuple(name for name, held in zip(names, both.tolist(), strict=True) if held),
                code[left[votes.item]],
                code[right[votes.item]],
                votes.outcome,
                cluster=np.searchsorted(prompts, votes.cluster).astype(np.int32),
                n_clusters=prompts.size,
            )
            for votes in kept
        )
        ratings.update(zip(other.contestants, bradley_terry(other).ratings.tolist(), strict=True))
        orders = rank_agreement(one, other, np.random.default_rng(seed), level, replicates)
    except Disconnected as error:
        return Leaderboards(None, ratings, f"one of the two does not rank them all: {error}")
    except (NotConverged, ValueError) as error:
        return Leaderboards(None, ratings, str(error))
    return Leaderboards(orders, ratings)


def steps(table: Table, votes: VoteColumns, ratings: Mapping[str, float]) -> list[tuple[float, float, VoteColumns]]:
    """*votes* by how far apart their contestants are in *ratings*: from, to, and the votes; no empty steps."""
    names, left, right = table.contestants
    rating = np.array([ratings.get(name, nan) for name in names])
    apart = np.abs(rating[left] - rating[right])[votes.item]
    found = [(least, most, votes.select((least <= apart) & (apart < most))) for least, most in pairwise(GAPS)]
    return [step for step in found if step[2].n]
