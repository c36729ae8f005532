"""From votes to battles, with what the doubt is over: prompts, annotators, or nothing but the battles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from judge.domain.errors import InvalidInput, Precondition
from judge.domain.outcome import Outcome
from judge.runs.anchoring import Labelled
from judge.runs.ranked import RankOptions
from judge.runs.votes import LEFT_SHARE, Vote, Votes
from judge.stats.arrays import Floats, Ints
from judge.stats.battles import Battles
from judge.stats.names import coded
from judge.stats.paired import Covariates

FEWEST_PROMPTS = 10
"""A covariate that differs on fewer prompts is not fitted: all battles may easily go one way on them."""


@dataclass(frozen=True)
class Style:
    """Covariates of outputs, by prompt, contestant, sample and turn: float64[p] each, one number a *name*."""

    names: tuple[str, ...]
    of: Mapping[tuple[str, str, int, int], Floats]

    def beside(self, vote: Vote) -> Floats:
        """What the left output has more of than the right one."""
        where = vote.where
        left = self.of[where.prompt_id, where.left, where.left_sample, where.turn]
        return left - self.of[where.prompt_id, where.right, where.right_sample, where.turn]


@dataclass(frozen=True, eq=False)
class Fought:
    """*battles*, clustered by what the doubt is over; *prompts* are their prompts, int32[n].

    *showings* says that each has its first-shown output on the left.
    """

    battles: Battles
    prompts: Ints
    showings: bool = False
    complete: bool = True
    """Every comparison was shown in both orders as often."""
    style: Covariates | None = None
    strata: Ints | None = None
    rare: tuple[str, ...] = ()
    """Covariates that differ on too few prompts to be fitted."""
    votes: Votes | None = None
    labels: Labelled | None = None
    """What the ratings are anchored to, and the votes that are."""

    def among(self, contestants: Sequence[int]) -> Fought:
        """The battles with both sides among these *contestants* (codes)."""
        kept = np.isin(self.battles.left, contestants) & np.isin(self.battles.right, contestants)
        style = self.style and replace(self.style, values=self.style.values[kept])
        return replace(self, battles=self.battles.among(contestants), prompts=self.prompts[kept], style=style)


def fought(votes: Votes, options: RankOptions, style: Style | None = None) -> Fought:
    """*votes* as battles; a soft outcome is two battles with the shares as weights.

    Raises Precondition where there are none, InvalidInput for clusters that the votes don't have.
    """
    left, right, outcome, weight, vote_of = [], [], [], [], []
    showings = any(vote.left_first is not None for vote in votes.rows)
    for number, vote in enumerate(votes.rows):
        turned = vote.left_first is False
        where = vote.where
        sides = (where.right, where.left) if turned else (where.left, where.right)
        for told, counts in _parts(vote):
            left.append(sides[0])
            right.append(sides[1])
            outcome.append((told.flipped if turned else told) - 1)
            weight.append(counts * vote.weight)
            vote_of.append(number)
    if options.position and not showings:
        raise InvalidInput(
            "options.position_effect", "the position is known where each order counts on its own: reconcile each"
        )
    if not left:
        raise Precondition(f"source {votes.source} has no usable outcome to rank", reason="NO_OUTCOMES")
    of = np.array(vote_of)
    prompt_ids, (by_vote,) = coded([vote.where.prompt_id for vote in votes.rows])
    prompts = by_vote[of]
    cluster, strata = _doubt(votes, options, of, prompts, [votes.categories.get(p, "") for p in prompt_ids])
    battles = Battles.from_names(
        left,
        right,
        np.array(outcome, dtype=np.int8),
        weight if any(counts != 1.0 for counts in weight) else None,
        cluster,
    )
    covariates, rare = (None, ()) if style is None else _scaled(votes.rows, style, of, prompts)
    return Fought(battles, prompts, showings, _complete(votes.rows), covariates, strata, rare)


def _parts(vote: Vote) -> list[tuple[Outcome, float]]:
    share = LEFT_SHARE[vote.outcome] if vote.share is None else vote.share
    if vote.share is None or share in (0.0, 1.0):
        return [(vote.outcome, 1.0)]
    return [(Outcome.LEFT, share), (Outcome.RIGHT, 1 - share)]


def _doubt(
    votes: Votes, options: RankOptions, of: Ints, prompts: Ints, categories: Sequence[str]
) -> tuple[Ints, Ints | None]:
    """The cluster of each battle and, if asked for, the stratum of each cluster."""
    if options.inference == "annotators":
        names = [vote.annotator for vote in votes.rows]
        if not all(names):
            raise InvalidInput("options.inference", f"source {votes.source} has no annotators to vary")
        return coded(names)[1][0][of], None
    if options.inference == "fixed-prompts":
        by_vote = np.zeros(len(votes.rows), dtype=np.int32)
        by_vote[of] = prompts
        return of.astype(np.int32), by_vote
    if options.inference == "unclustered":
        return of.astype(np.int32), None
    return prompts, coded(categories)[1][0] if options.strata else None


def _complete(rows: Sequence[Vote]) -> bool:
    balance: dict[object, int] = {}
    for vote in rows:
        if vote.left_first is not None:
            balance[vote.where] = balance.get(vote.where, 0) + (1 if vote.left_first else -1)
    return not any(balance.values())


def _scaled(rows: Sequence[Vote], style: Style, of: Ints, prompts: Ints) -> tuple[Covariates, tuple[str, ...]]:
    """The covariates of each battle, in units of their root mean square and not centred; and those too rare."""
    beside = np.array([style.beside(vote) * (-1 if vote.left_first is False else 1) for vote in rows])[of]
    common = [len(np.unique(prompts[column != 0])) >= FEWEST_PROMPTS for column in beside.T]
    size = np.sqrt(np.square(beside[:, common]).mean(axis=0))
    names = tuple(name for name, told in zip(style.names, common, strict=True) if told)
    rare = tuple(name for name, told in zip(style.names, common, strict=True) if not told)
    return Covariates(names, beside[:, common] / size), rare


def alone(battles: Battles, options: RankOptions) -> Fought:
    """*battles* from outside, whose clusters are prompts; those without stand alone."""
    each = np.arange(battles.n, dtype=np.int32)
    prompts = each if battles.cluster is None else battles.cluster
    if options.inference == "annotators" or options.strata:
        raise InvalidInput("options", "battles come without annotators and categories")
    if options.inference == "unclustered":
        return Fought(replace(battles, cluster=None, n_clusters=0), prompts)
    if options.inference == "fixed-prompts":
        return Fought(replace(battles, cluster=each, n_clusters=battles.n), prompts, strata=prompts)
    return Fought(battles, prompts)
