"""From votes to battles, with what the doubt is over: prompts, annotators, or nothing but the battles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from judge.columns.arrays import Codes, Floats, Ints
from judge.columns.names import coded
from judge.domain.errors import InvalidInput, Precondition
from judge.ranking.anchoring import Labelled
from judge.ranking.options import RankOptions
from judge.stats.battles import FLIPPED, LEFT, RIGHT, Battles, cluster_codes
from judge.stats.paired_model import Covariates
from judge.votes.vote_table import BOTH, Columns
from judge.votes.votes import SourceVotes, Vote

FEWEST_PROMPTS = 10
"""A covariate that differs on fewer prompts is not fitted: all battles may easily go one way on them."""


@dataclass(frozen=True)
class Style:
    """Covariates of outputs, by prompt, contestant, sample and turn: float64[p] each, one number a *name*."""

    names: tuple[str, ...]
    of: Mapping[tuple[str, str, int, int], Floats]

    def difference(self, vote: Vote) -> Floats:
        """What the left output has more of than the right one."""
        key = vote.key
        left = self.of[key.prompt_id, key.left, key.left_sample, key.turn]
        return left - self.of[key.prompt_id, key.right, key.right_sample, key.turn]


@dataclass(frozen=True, eq=False)
class BattleDesign:
    """*battles*, clustered by what the doubt is over; *prompts* are their prompts, int32[n].

    *presentations* says that each has its first-shown output on the left.
    """

    battles: Battles
    prompts: Ints
    presentations: bool = False
    complete: bool = True
    """Every comparison was shown in both orders as often."""
    style: Covariates | None = None
    strata: Ints | None = None
    rare: tuple[str, ...] = ()
    """Covariates that differ on too few prompts to be fitted."""
    votes: SourceVotes | None = None
    labels: Labelled | None = None
    """What the ratings are anchored to, and the votes that are."""

    def among(self, contestants: Sequence[int]) -> BattleDesign:
        """The battles with both sides among these *contestants* (codes)."""
        kept = np.isin(self.battles.left, contestants) & np.isin(self.battles.right, contestants)
        style = self.style and replace(self.style, values=self.style.values[kept])
        return replace(self, battles=self.battles.among(contestants), prompts=self.prompts[kept], style=style)


def battle_design(votes: SourceVotes, options: RankOptions, style: Style | None = None) -> BattleDesign:
    """*votes* as battles; a soft outcome is two battles with the shares as weights.

    Raises Precondition where there are none, InvalidInput for clusters that the votes don't have.
    """
    rows = Columns.of(votes.rows)
    presentations = rows.left_first is not None and bool((rows.left_first != BOTH).any())
    if options.position and not presentations:
        raise InvalidInput(
            "options.position_effect", "the position is known where each order counts on its own: reconcile each"
        )
    if not len(rows):
        raise Precondition(f"source {votes.source} has no usable outcome to rank", reason="NO_OUTCOMES")
    of, outcome, weight = _parts(rows)
    prompt_ids, by_vote = named(rows.prompt, rows.keys.prompt_ids)
    prompts = by_vote[of]
    cluster, strata = _clusters(votes, rows, options, of, prompts, [votes.categories.get(p, "") for p in prompt_ids])
    left, right = rows.keys.left[rows.item][of], rows.keys.right[rows.item][of]
    if rows.left_first is not None:
        turned = rows.left_first[of] == 0
        left, right = np.where(turned, right, left), np.where(turned, left, right)
        outcome = np.where(turned, FLIPPED[outcome], outcome)
    contestants, ends = named(np.concatenate((left, right)), rows.keys.contestants)
    battles = Battles(
        contestants,
        ends[: of.size],
        ends[of.size :],
        outcome,
        None if bool((weight == 1).all()) else weight,
        *cluster_codes(cluster),
    )
    covariates, rare = (None, ()) if style is None else _scaled(rows, style, of, prompts)
    return BattleDesign(battles, prompts, presentations, _complete(rows), covariates, strata, rare)


def _parts(rows: Columns) -> tuple[Ints, Codes, Floats]:
    """Which vote each battle is a part of, with its outcome and weight: a share that is not whole makes two."""
    left_score = np.full(len(rows), np.nan) if rows.left_score is None else rows.left_score
    parted = ~(np.isnan(left_score) | (left_score == 0) | (left_score == 1))
    of = np.repeat(np.arange(len(rows), dtype=np.int32), 1 + parted)
    second = np.zeros(of.size, dtype=np.bool_)
    second[1:] = of[1:] == of[:-1]
    weight = np.where(parted[of], np.where(second, 1 - left_score[of], left_score[of]), 1.0)
    if rows.weight is not None:
        weight = weight * rows.weight[of]
    outcome = np.where(parted[of], np.where(second, RIGHT, LEFT), rows.outcome[of]).astype(np.int8)
    return of, outcome, weight


def named(codes: Ints, names: Sequence[str]) -> tuple[tuple[str, ...], Ints]:
    """Those of the sorted *names* that *codes* have, and each code's place among them, int32[n].

    >>> named(np.array([2, 0, 2]), ["a", "b", "c"])[0]
    ('a', 'c')
    """
    there = np.zeros(len(names), dtype=np.bool_)
    there[codes] = True
    place = (np.cumsum(there) - 1).astype(np.int32)
    return tuple(names[code] for code in np.flatnonzero(there).tolist()), place[codes]


def _clusters(
    votes: SourceVotes, rows: Columns, options: RankOptions, of: Ints, prompts: Ints, categories: Sequence[str]
) -> tuple[Ints, Ints | None]:
    """The cluster of each battle and, if asked for, the stratum of each cluster."""
    if options.inference == "annotators":
        if not all(rows.annotators[code] for code in np.unique(rows.annotator).tolist()):
            raise InvalidInput("options.inference", f"source {votes.source} has no annotators to vary")
        names, (code,) = coded(rows.annotators)
        return named(code[rows.annotator], names)[1][of], None
    if options.inference == "fixed-prompts":
        by_vote = np.zeros(len(rows), dtype=np.int32)
        by_vote[of] = prompts
        return of, by_vote
    if options.inference == "unclustered":
        return of, None
    return prompts, coded(categories)[1][0] if options.strata else None


def _complete(rows: Columns) -> bool:
    """Whether every comparison was shown in one order as often as in the other."""
    if rows.left_first is None:
        return True
    signs = np.array([-1.0, 1.0, 0.0])[rows.left_first]
    return not np.bincount(rows.item, signs).any()


def _scaled(rows: Columns, style: Style, of: Ints, prompts: Ints) -> tuple[Covariates, tuple[str, ...]]:
    """The covariates of each battle, in units of their root mean square and not centred; and those too rare."""
    difference = np.array([style.difference(vote) * (-1 if vote.left_first is False else 1) for vote in rows])[of]
    common = [len(np.unique(prompts[column != 0])) >= FEWEST_PROMPTS for column in difference.T]
    size = np.sqrt(np.square(difference[:, common]).mean(axis=0))
    names = tuple(name for name, told in zip(style.names, common, strict=True) if told)
    rare = tuple(name for name, told in zip(style.names, common, strict=True) if not told)
    return Covariates(names, difference[:, common] / size), rare


def alone(battles: Battles, options: RankOptions) -> BattleDesign:
    """*battles* from outside, whose clusters are prompts; those without stand alone."""
    each = np.arange(battles.n, dtype=np.int32)
    prompts = each if battles.cluster is None else battles.cluster
    if options.inference == "annotators" or options.strata:
        raise InvalidInput("options", "battles come without annotators and categories")
    if options.inference == "unclustered":
        return BattleDesign(replace(battles, cluster=None, n_clusters=0), prompts)
    if options.inference == "fixed-prompts":
        return BattleDesign(replace(battles, cluster=each, n_clusters=battles.n), prompts, strata=prompts)
    return BattleDesign(battles, prompts)
