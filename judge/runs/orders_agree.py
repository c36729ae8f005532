"""Two sources' leaderboards beside each other, and their agreement by how far apart contestants are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import numpy as np

from judge.runs.votes import Vote, Votes
from judge.stats.battles import Battles
from judge.stats.bradley_terry import bradley_terry
from judge.stats.errors import Disconnected, NotConverged
from judge.stats.rank_agreement import RankAgreement, rank_agreement

GAPS = (0.0, 50.0, 100.0, 200.0, 400.0, inf)
"""The ends of the steps of distance, in rating points of the target."""
FEWEST = 3


@dataclass(frozen=True)
class Leaderboards:
    """How the two orders agree, or *reason* why that is not known; and the target's *ratings*."""

    orders: RankAgreement | None
    ratings: Mapping[str, float]
    reason: str = ""


def leaderboards(source: Votes, target: Votes, level: float, replicates: int, seed: int) -> Leaderboards:
    """The ratings of the contestants that both know, by each source's own votes."""
    known = [{end for vote in votes.rows for end in (vote.where.left, vote.where.right)} for votes in (source, target)]
    names = tuple(sorted(known[0] & known[1]))
    if len(names) < FEWEST:
        return Leaderboards(None, {}, f"the sources have {len(names)} contestants in common")
    prompts: dict[str, int] = {}
    rows = [
        [vote for vote in votes.rows if vote.where.left in names and vote.where.right in names]
        for votes in (source, target)
    ]
    for votes in rows:
        for vote in votes:
            prompts.setdefault(vote.where.prompt_id, len(prompts))
    ratings: dict[str, float] = {}
    try:
        one, other = (_battles(votes, names, prompts) for votes in rows)
        ratings.update(zip(names, bradley_terry(other).ratings.tolist(), strict=True))
        orders = rank_agreement(one, other, np.random.default_rng(seed), level, replicates)
    except Disconnected as error:
        return Leaderboards(None, ratings, f"one of the two does not rank them all: {error}")
    except (NotConverged, ValueError) as error:
        return Leaderboards(None, ratings, str(error))
    return Leaderboards(orders, ratings)


def steps(votes: Sequence[Vote], ratings: Mapping[str, float]) -> list[tuple[float, float, list[Vote]]]:
    """*votes* by how far apart their contestants are in *ratings*: from, to, and the votes; no empty steps."""
    found = []
    for least, most in pairwise(GAPS):
        inside = [
            vote
            for vote in votes
            if vote.where.left in ratings
            and vote.where.right in ratings
            and least <= abs(ratings[vote.where.left] - ratings[vote.where.right]) < most
        ]
        if inside:
            found.append((least, most, inside))
    return found


def _battles(votes: Sequence[Vote], names: Sequence[str], prompts: Mapping[str, int]) -> Battles:
    code = {name: number for number, name in enumerate(names)}
    return Battles(
        tuple(names),
        np.array([code[vote.where.left] for vote in votes], dtype=np.int32),
        np.array([code[vote.where.right] for vote in votes], dtype=np.int32),
        np.array([vote.outcome - 1 for vote in votes], dtype=np.int8),
        cluster=np.array([prompts[vote.where.prompt_id] for vote in votes], dtype=np.int32),
        n_clusters=len(prompts),
    )
