"""From votes to battles, clustered by what the uncertainty is over: prompts, annotators, or single battles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from judge.columns.arrays import Codes, Floats, Ints
from judge.columns.names import encode_names
from judge.domain.errors import InvalidInput, Precondition
from judge.ranking.anchoring import AnchorLabels
from judge.ranking.options import TWO_WAY, RankOptions
from judge.stats.battles import FLIPPED, LEFT, RIGHT, Battles, cluster_codes
from judge.stats.paired_model import Covariates
from judge.votes.comparisons import ComparisonKey
from judge.votes.vote_table import BOTH, VoteTable
from judge.votes.votes import SourceVotes

ELO = ("elo", "elo-permuted")
FEWEST_PROMPTS = 10
"""A covariate that differs on fewer prompts is not fitted, since all battles on them may easily go one way."""


@dataclass(frozen=True)
class Style:
    """Covariates of outputs, by prompt, contestant, sample and turn: float64[p] each, one number per name."""

    names: tuple[str, ...]
    of: Mapping[tuple[str, str, int, int], Floats]

    def difference(self, key: ComparisonKey) -> Floats:
        """The covariates of the left output of a comparison minus those of the right one, float64[p]."""
        left = self.of[key.prompt_id, key.left, key.left_sample, key.turn]
        return left - self.of[key.prompt_id, key.right, key.right_sample, key.turn]


@dataclass(frozen=True, eq=False)
class BattleDesign:
    """Battles, clustered by what the uncertainty is over, and what else goes into a fit.

    *prompts* are the codes of the battles' prompts, int32[n]. With *presentations*, the left output of each battle is
    the one that was shown first.
    """

    battles: Battles
    prompts: Ints
    presentations: bool = False
    complete: bool = True
    """Every comparison was shown equally often in both orders."""
    style: Covariates | None = None
    strata: Ints | None = None
    annotators: Ints | None = None
    """The annotator of each battle, int32[n], if the uncertainty is over prompts and annotators."""
    rare: tuple[str, ...] = ()
    """Covariates that differ on too few prompts to be fitted."""
    votes: SourceVotes | None = None
    """The votes behind the battles, if the ratings are anchored."""
    labels: AnchorLabels | None = None
    """What the ratings are anchored to."""
    vote_of: Ints | None = None
    """The vote of each battle, int32[n], if some vote makes two battles."""

    @property
    def n_votes(self) -> int:
        """The number of votes behind the battles."""
        return self.battles.n if self.vote_of is None else len(np.unique(self.vote_of))

    def among(self, contestants: Sequence[int]) -> BattleDesign:
        """The battles whose two sides are both among *contestants* (codes)."""
        kept = np.isin(self.battles.left, contestants) & np.isin(self.battles.right, contestants)
        style = self.style and replace(self.style, values=self.style.values[kept])
        return replace(
            self,
            battles=self.battles.among(contestants),
            prompts=self.prompts[kept],
            style=style,
            annotators=None if self.annotators is None else self.annotators[kept],
            vote_of=None if self.vote_of is None else self.vote_of[kept],
        )


def battle_design(votes: SourceVotes, options: RankOptions, style: Style | None = None) -> BattleDesign:
    """The battles of *votes*. A left score between 0 and 1 makes two battles, weighted by it and by its complement.

    An annotator with r labels on a comparison counts once there: each label has the weight 1 / r. Online Elo is a
    sequence of single battles, so there each label is a battle.

    Raises Precondition NO_OUTCOMES if there are no votes, and InvalidInput for a position effect or clusters that the
    votes do not have.
    """
    rows = votes.rows
    presentations = rows.left_first is not None and bool((rows.left_first != BOTH).any())
    if options.position and not presentations:
        raise InvalidInput(
            "options.position_effect", "a position effect needs votes with one order each; use reconcile each"
        )
    if not len(rows):
        but = ", but with these options no comparison has an outcome" if votes.usable else ""
        message = f"source {votes.source} has no outcomes to rank: {votes.coverage}{but}"
        raise Precondition(message, reason="NO_OUTCOMES")
    vote, outcome, weight = _parts(rows)
    prompt_ids, prompt_of_vote = compress_codes(rows.prompt, rows.keys.prompt_ids)
    prompts = prompt_of_vote[vote]
    categories = [votes.categories.get(prompt_id, "") for prompt_id in prompt_ids]
    if votes.has_people and options.method not in ELO:
        repeats = rows.columns.weight
        weight = weight if repeats is None else weight * repeats[vote]
    cluster, strata = _clusters(votes, rows, options, vote, prompts, categories)
    left, right = rows.keys.left[rows.item][vote], rows.keys.right[rows.item][vote]
    if rows.left_first is not None:
        flipped = rows.left_first[vote] == 0
        left, right = np.where(flipped, right, left), np.where(flipped, left, right)
        outcome = np.where(flipped, FLIPPED[outcome], outcome)
    contestants, sides = compress_codes(np.concatenate((left, right)), rows.keys.contestants)
    clusters, n_clusters = cluster_codes(cluster)
    battles = Battles(
        contestants=contestants,
        left=sides[: vote.size],
        right=sides[vote.size :],
        outcome=outcome,
        weight=None if bool((weight == 1).all()) else weight,
        cluster=clusters,
        n_clusters=n_clusters,
    )
    covariates, rare = (None, ()) if style is None else _covariates(rows, style, vote, prompts)
    return BattleDesign(
        battles=battles,
        prompts=prompts,
        presentations=presentations,
        complete=_complete(rows),
        style=covariates,
        strata=strata,
        annotators=_annotators(votes, options)[vote] if options.inference == TWO_WAY else None,
        rare=rare,
        vote_of=vote if vote.size > len(rows) else None,
    )


def _parts(rows: VoteTable) -> tuple[Ints, Codes, Floats]:
    """The vote of each battle, its outcome and its weight: a left score between 0 and 1 makes two battles."""
    left_score = np.full(len(rows), np.nan) if rows.left_score is None else rows.left_score
    split = ~(np.isnan(left_score) | (left_score == 0) | (left_score == 1))
    vote = np.repeat(np.arange(len(rows), dtype=np.int32), 1 + split)
    second = np.zeros(vote.size, dtype=np.bool_)
    second[1:] = vote[1:] == vote[:-1]
    weight = np.where(split[vote], np.where(second, 1 - left_score[vote], left_score[vote]), 1.0)
    if rows.weight is not None:
        weight = weight * rows.weight[vote]
    outcome = np.where(split[vote], np.where(second, RIGHT, LEFT), rows.outcome[vote]).astype(np.int8)
    return vote, outcome, weight


def compress_codes(codes: Ints, names: Sequence[str]) -> tuple[tuple[str, ...], Ints]:
    """The *names* that occur in *codes*, in their order, and the codes among these names alone, int32[n].

    >>> compress_codes(np.array([2, 0, 2]), ["a", "b", "c"])[0]
    ('a', 'c')
    """
    used = np.zeros(len(names), dtype=np.bool_)
    used[codes] = True
    new_code = (np.cumsum(used) - 1).astype(np.int32)
    return tuple(names[code] for code in np.flatnonzero(used).tolist()), new_code[codes]


def _clusters(
    votes: SourceVotes, rows: VoteTable, options: RankOptions, vote: Ints, prompts: Ints, categories: Sequence[str]
) -> tuple[Ints, Ints | None]:
    """The cluster of each battle and, if asked for, the stratum of each cluster."""
    if options.inference == "annotators":
        return _annotators(votes, options)[vote], None
    if options.inference == "fixed-prompts":
        ballot = rows.columns.ballot if votes.has_people else None
        cluster = vote if ballot is None else ballot[vote]
        prompt_of_cluster = np.zeros(int(cluster.max()) + 1, dtype=np.int32)
        prompt_of_cluster[cluster] = prompts
        return cluster, prompt_of_cluster
    if options.inference == "unclustered":
        return vote, None
    return prompts, encode_names(categories)[1][0] if options.strata else None


def _annotators(votes: SourceVotes, options: RankOptions) -> Ints:
    """The code of each vote's annotator, int32[votes]."""
    rows = votes.rows
    if rows.unnamed.any():
        raise InvalidInput(
            "options.inference",
            f"inference {options.inference} needs annotators, which source {votes.source} does not have",
        )
    names, (code,) = encode_names(rows.annotators)
    return compress_codes(code[rows.annotator], names)[1]


def _complete(rows: VoteTable) -> bool:
    """Whether every comparison was shown equally often in both orders."""
    if rows.left_first is None:
        return True
    signs = np.array([-1.0, 1.0, 0.0])[rows.left_first]
    return not np.bincount(rows.item, signs).any()


def _covariates(rows: VoteTable, style: Style, vote: Ints, prompts: Ints) -> tuple[Covariates, tuple[str, ...]]:
    """The covariates of each battle, in units of their root mean square and not centered; and the names too rare."""
    used, at = np.unique(rows.item, return_inverse=True)
    difference = np.array([style.difference(key) for key in rows.keys.among(used)])[at[vote]]
    if rows.left_first is not None:
        difference = np.where(rows.left_first[vote, None] == 0, -difference, difference)
    common = [len(np.unique(prompts[column != 0])) >= FEWEST_PROMPTS for column in difference.T]
    size = np.sqrt(np.square(difference[:, common]).mean(axis=0))
    names = tuple(name for name, is_common in zip(style.names, common, strict=True) if is_common)
    rare = tuple(name for name, is_common in zip(style.names, common, strict=True) if not is_common)
    return Covariates(names, difference[:, common] / size), rare


def design_from_battles(battles: Battles, options: RankOptions) -> BattleDesign:
    """The design of *battles* whose clusters are prompts; without clusters, each battle is a prompt of its own.

    Raises InvalidInput for inference over annotators and for strata, which battles do not have.
    """
    each = np.arange(battles.n, dtype=np.int32)
    prompts = each if battles.cluster is None else battles.cluster
    if options.inference in ("annotators", TWO_WAY) or options.strata:
        raise InvalidInput(
            "options",
            f"inference annotators, inference {TWO_WAY} and strata need a source: battles have no annotators and no "
            "categories",
        )
    if options.inference == "unclustered":
        return BattleDesign(replace(battles, cluster=None, n_clusters=0), prompts)
    if options.inference == "fixed-prompts":
        return BattleDesign(replace(battles, cluster=each, n_clusters=battles.n), prompts, strata=prompts)
    return BattleDesign(battles, prompts)
