"""What sways a judge beyond what people see: length and markdown, and whether a contestant is of its own family.

Style: a Bradley-Terry fit of the judge's votes, with each contestant's strength, what people say of the comparison, and
the style of both outputs beside each other. A positive effect of length means that of two answers which people like as
much, by contestants as strong, the judge takes the longer one. Self-preference: how much more of a comparison the judge
gives to its family's contestant than people do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from judge.columns.arrays import Floats
from judge.columns.names import encode_names
from judge.domain.errors import InvalidInput
from judge.domain.outcome import LEFT_SCORE
from judge.ranking.battles import Style, battle_design
from judge.ranking.options import RankOptions
from judge.stats.bradley_terry import Effect, bradley_terry
from judge.stats.cluster_intervals import Estimate, mean
from judge.stats.errors import StatisticsError
from judge.votes.comparisons import ComparisonKey
from judge.votes.vote_table import VoteTable
from judge.votes.votes import SourceVotes

PEOPLE = "people"
"""The name of the covariate that holds people's votes."""


@dataclass(frozen=True)
class _StyleAndPeople(Style):
    """Style with one more covariate first: people's mean vote on the comparison, from -1 (right) to 1 (left)."""

    people: Mapping[ComparisonKey, float] = field(default_factory=dict)

    def difference(self, key: ComparisonKey) -> Floats:
        return np.append(self.people[key], super().difference(key))


@dataclass(frozen=True)
class Bias:
    """The *effects* of style in natural log odds, each in units of its root mean square, and what *reason* kept them.

    *family* is how much more the judge gives to its family than people do, as a share of a comparison; None where no
    family was named. All of it is of so many *comparisons* on so many *prompts*.
    """

    effects: tuple[Effect, ...]
    reason: str
    family: Estimate | None
    comparisons: int
    prompts: int


def bias(source: SourceVotes, target: SourceVotes, style: Style | str, family: Collection[str], level: float) -> Bias:
    """What sways *source* beyond *target*, on the comparisons that both have an outcome of.

    *style* is that of the outputs, or why it is not known.
    Raises InvalidInput for a family of which no contestant is there.
    """
    people = target.rows.means()
    shared = np.array([key in people for key in source.rows.keys], dtype=np.bool_)
    rows = source.rows.among(shared[source.rows.item]).compact()
    own = _family(rows, people, family, level) if family else None
    comparisons, prompts = len(rows.keys), np.unique(rows.keys.prompt).size
    result = partial(Bias, family=own, comparisons=comparisons, prompts=prompts)
    if isinstance(style, str):
        return result(effects=(), reason=style)
    difference = _StyleAndPeople(
        (PEOPLE, *style.names), style.of, {key: 2 * left_score - 1 for key, left_score in people.items()}
    )
    if not rows:
        return result(effects=(), reason="the sources have no comparison in common")
    try:
        design = battle_design(replace(source, rows=rows), RankOptions(level=level), difference)
        fit = bradley_terry(design.battles, covariates=design.style)
    except StatisticsError as error:
        return result(effects=(), reason=str(error))
    reason = f"{', '.join(design.rare)} differ on too few prompts to be fitted" if design.rare else ""
    return result(effects=fit.effects(level), reason=reason)


def _family(rows: VoteTable, people: Mapping[ComparisonKey, float], family: Collection[str], level: float) -> Estimate:
    ends = {end for key in rows.keys for end in (key.left, key.right)}
    unknown = sorted(set(family) - ends)
    if unknown:
        raise InvalidInput(
            "options.family", f"no comparison has the contestant {unknown[0]!r}", reason="UNKNOWN_CONTESTANT"
        )
    gaps, prompts = [], []
    for vote in rows:
        left, right = vote.key.left in family, vote.key.right in family
        if left == right:
            continue
        left_score = LEFT_SCORE[vote.outcome] if vote.left_score is None else vote.left_score
        gap = left_score - people[vote.key]
        gaps.append(gap if left else -gap)
        prompts.append(vote.key.prompt_id)
    return mean(np.array(gaps), encode_names(prompts)[1][0] if prompts else None, level, (-1.0, 1.0))
