"""What sways a judge beyond what people see: length and markdown, and whether a contestant is of its own family."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from judge.columns.arrays import Floats, Ints, sums
from judge.columns.names import first_occurrences
from judge.domain.errors import InvalidInput
from judge.domain.outcome import LEFT_SCORE, Outcome
from judge.ranking.battles import FEWEST_PROMPTS, Style, compress_codes
from judge.stats.cluster_intervals import Estimate, without_interval
from judge.stats.errors import StatisticsError
from judge.stats.paired_model import Covariates
from judge.stats.probes import ProbeVotes, family_effect, style_effects
from judge.stats.votes import NOBODY
from judge.votes.comparisons import ComparisonIndex
from judge.votes.shared_codes import Side, Table
from judge.votes.votes import SourceVotes

NOTHING_SHARED = "the sources have no comparison in common"


@dataclass(frozen=True)
class Bias:
    """What sways a source beyond what its target sees, on *comparisons* of *prompts* (counts) that both know.

    *effects* are those of style by name, in natural log odds per root mean square of the differences; *reason* says why
    there are none, or which are missing. *z* is how well the target's other votes on an output predict a vote, in
    standard errors, and *sharpness* the source's log odds per unit of the target's; both are None if unknown. *family*
    is how much higher the source scores its family's contestants, as a share of a comparison; None without a family.
    """

    effects: tuple[tuple[str, Estimate], ...]
    reason: str
    family: Estimate | None
    comparisons: int
    prompts: int
    z: float | None = None
    sharpness: Estimate | None = None


def bias(source: SourceVotes, target: SourceVotes, style: Style | str, family: Collection[str], level: float) -> Bias:
    """What sways *source* beyond what *target* sees, on the comparisons that both have an outcome of.

    *style* is that of the outputs, or why it is not known.
    Raises InvalidInput for a family with a contestant that is not there.
    """
    table = Table.of(source.categories, source.rows, target.rows)
    judge, people = table.sides
    shared = np.intersect1d(judge.votes.item, people.votes.item)
    keys = table.keys.among(shared)
    _check_family(keys, family)
    nothing = Bias(
        effects=(), reason=NOTHING_SHARED, family=None, comparisons=shared.size, prompts=np.unique(keys.prompt).size
    )
    if not shared.size:
        return nothing
    votes = _probe_votes(table, shared)
    known = replace(nothing, family=_family(votes, family, level) if family else None)
    if isinstance(style, str):
        return replace(known, reason=style)
    covariates, rare = _covariates(keys, style)
    if not covariates.names:
        return replace(known, reason=_missing(rare))
    try:
        effects = style_effects(votes, _of_votes(covariates, votes), level)
    except StatisticsError as error:
        return replace(known, reason=str(error))
    untold = dict.fromkeys(
        estimate.method.removeprefix("none: ") for _, estimate in effects.effects if estimate.low is None
    )
    return replace(
        known,
        effects=tuple((name, estimate) for name, estimate in effects.effects if estimate.low is not None),
        reason="; ".join((*untold, *filter(None, [_missing(rare)]))),
        z=effects.z,
        sharpness=effects.sharpness,
    )


def _probe_votes(table: Table, shared: Ints) -> ProbeVotes:
    """The target's votes on the *shared* comparisons (codes), each next to the source's mean left score."""
    judge, people = table.sides
    means = sums(judge.votes.item, _left_scores(judge), len(table.keys)) / np.maximum(
        sums(judge.votes.item, None, len(table.keys)), 1
    )
    rows = np.isin(people.votes.item, shared)
    item, keys = people.votes.item[rows], table.keys
    contestants, sides = compress_codes(np.concatenate((keys.left[item], keys.right[item])), keys.contestants)
    _, outputs = first_occurrences(
        [
            np.concatenate(ends)
            for ends in (
                (keys.prompt[item], keys.prompt[item]),
                (keys.turn[item], keys.turn[item]),
                (keys.left[item], keys.right[item]),
                (keys.left_sample[item], keys.right_sample[item]),
            )
        ]
    )
    combined = np.array([not name or name.startswith("@") for name in table.annotators], dtype=np.bool_)
    annotator = people.votes.annotator[rows]
    return ProbeVotes(
        contestants=contestants,
        left=sides[: item.size],
        right=sides[item.size :],
        left_output=outputs[: item.size],
        right_output=outputs[item.size :],
        comparison=np.searchsorted(shared, item).astype(np.int32),
        annotator=np.where(combined[annotator], NOBODY, annotator).astype(np.int32),
        prompt=compress_codes(keys.prompt[item], keys.prompt_ids)[1],
        people=_left_scores(people)[rows],
        judge=means[item],
    )


def _left_scores(side: Side) -> Floats:
    of_outcome = np.array([LEFT_SCORE[outcome] for outcome in Outcome])[side.votes.outcome]
    return np.where(np.isnan(side.left_score), of_outcome, side.left_score)


def _check_family(keys: ComparisonIndex, family: Collection[str]) -> None:
    known = {keys.contestants[code] for code in np.unique(np.concatenate((keys.left, keys.right))).tolist()}
    unknown = sorted(set(family) - known)
    if unknown:
        raise InvalidInput(
            "options.family", f"no comparison has the contestant {unknown[0]!r}", reason="UNKNOWN_CONTESTANT"
        )


def _family(votes: ProbeVotes, family: Collection[str], level: float) -> Estimate:
    try:
        return family_effect(votes, [votes.contestants.index(name) for name in family], level)
    except StatisticsError as error:
        return without_interval(None, f"none: {error}", level, 0, 0)


def _covariates(keys: ComparisonIndex, style: Style) -> tuple[Covariates, tuple[str, ...]]:
    """The covariates of each comparison, in units of their root mean square, and the names that differ too rarely."""
    difference = np.array([style.difference(key) for key in keys])
    common = np.array([np.unique(keys.prompt[column != 0]).size >= FEWEST_PROMPTS for column in difference.T])
    values = difference[:, common] / np.sqrt(np.square(difference[:, common]).mean(axis=0))
    names, rare = (
        tuple(name for name, kept in zip(style.names, chosen, strict=True) if kept)
        for chosen in (common.tolist(), (~common).tolist())
    )
    return Covariates(names, values), rare


def _of_votes(covariates: Covariates, votes: ProbeVotes) -> Covariates:
    return Covariates(covariates.names, covariates.values[votes.comparison])


def _missing(rare: tuple[str, ...]) -> str:
    return f"{', '.join(rare)} differ on too few prompts to be fitted" if rare else ""
