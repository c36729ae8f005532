"""How well a fit shows the battles: pairs that score otherwise, cycles, and variation between prompts, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from judge.domain.levels import level_text
from judge.ranking.options import RankOptions
from judge.stats.bradley_terry import BradleyTerryFit
from judge.stats.cluster_intervals import Estimate
from judge.stats.goodness_of_fit import FEWEST, PairResiduals, Triads, goodness_of_fit

_MOST_NAMED = 3
"""More pairs or triads are counted, not named, in a sentence."""
_TRIAD = 3
_SMALL_P = 0.001
"""The flips do not resolve smaller p-values."""
_UNLIMITED = 0.995
"""An upper end of a share from here on is printed as 100%, which limits nothing."""


@dataclass(frozen=True, slots=True)
class PairFitRow:
    """The observed and the expected mean score of *left* against *right*, with the adjusted p-value."""

    left: str
    right: str
    observed: float
    expected: float
    prompts: int
    statistic: float
    p: float


@dataclass(frozen=True, slots=True)
class TriadFitRow:
    """Three contestants whose scores do not add up on one scale.

    *scores* are those of the first against the second, the second against the third and the third against the first.
    """

    contestants: tuple[str, str, str]
    scores: tuple[float, float, float]
    statistic: float
    p: float
    each_ahead: bool

    @property
    def cyclic(self) -> bool:
        """Whether each of them beats the next in these data."""
        return min(self.scores) > 0.5  # noqa: PLR2004  # half of the score


@dataclass(frozen=True, slots=True)
class FitReport:
    """The goodness of fit of a leaderboard.

    *pairs* are all that were tested, and *triads* those of the *triads_tested* that are significant; both begin with
    the smallest p-value. A reason says why there is no test, or is empty.
    """

    pairs: tuple[PairFitRow, ...]
    pairs_reason: str
    untested: int
    """How many pairs met on too few prompts to be tested."""
    triads: tuple[TriadFitRow, ...]
    triads_tested: int
    smallest_triad_p: float | None
    triads_reason: str
    between_prompts: Estimate
    level: float

    @property
    def single_triad(self) -> bool:
        """Whether there are only three contestants: the residuals of their pairs are the flow around their triad."""
        names = {name for row in self.pairs for name in (row.left, row.right)}
        return len(names) == len(self.pairs) == _TRIAD and not self.untested

    @property
    def findings(self) -> tuple[str, ...]:
        """One sentence per question, with its condition: pairs, cycles, prompts."""
        return (_pairs_finding(self), _cycles_finding(self), _prompts_finding(self.between_prompts, self.level))


def fit_report(fit: BradleyTerryFit, options: RankOptions) -> FitReport:
    """Test how well *fit* shows its battles, at the level of *options*."""
    names = fit.battles.contestants
    result = goodness_of_fit(fit.model, np.random.default_rng(options.seed), options.level)
    triads = () if result.triads is None else _triad_rows(result.triads, names)
    return FitReport(
        pairs=() if result.pairs is None else _pair_rows(result.pairs, names),
        pairs_reason=result.pairs_reason,
        untested=result.untested,
        triads=tuple(row for row in triads if row.p <= 1 - options.level),
        triads_tested=len(triads),
        smallest_triad_p=min((row.p for row in triads), default=None),
        triads_reason=result.triads_reason,
        between_prompts=result.between_prompts,
        level=options.level,
    )


def _pair_rows(pairs: PairResiduals, names: Sequence[str]) -> tuple[PairFitRow, ...]:
    columns = (pairs.left, pairs.right, pairs.observed, pairs.expected, pairs.prompts, pairs.statistic, pairs.p)
    rows = [
        PairFitRow(
            left=names[left],
            right=names[right],
            observed=observed,
            expected=expected,
            prompts=prompts,
            statistic=statistic,
            p=p,
        )
        for left, right, observed, expected, prompts, statistic, p in zip(*(c.tolist() for c in columns), strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: (-abs(row.statistic), row.left, row.right)))


def _triad_rows(triads: Triads, names: Sequence[str]) -> tuple[TriadFitRow, ...]:
    columns = (triads.contestants, triads.scores, triads.statistic, triads.p, triads.each_ahead)
    rows = []
    for codes, scores, statistic, p, each_ahead in zip(*(column.tolist() for column in columns), strict=True):
        first, second, third = (names[code] for code in codes)
        row = TriadFitRow(
            contestants=(first, second, third), scores=tuple(scores), statistic=statistic, p=p, each_ahead=each_ahead
        )
        rows.append(row)
    return tuple(sorted(rows, key=lambda row: (-row.statistic, row.contestants)))


def _pairs_finding(report: FitReport) -> str:
    if report.pairs_reason:
        return f"Pairs: cannot tell whether their scores are what the ratings predict: {report.pairs_reason}."
    untested = ""
    if report.untested:
        met = "pair met" if report.untested == 1 else "pairs met"
        untested = f" {report.untested:,} {met} on fewer than {FEWEST} prompts and could not be tested."
    return f"Pairs: {_tested_pairs(report)}{untested}"


def _tested_pairs(report: FitReport) -> str:
    """What the tests of the pairs say."""
    unlike = [row for row in report.pairs if row.p <= 1 - report.level]
    tested, first = len(report.pairs), report.pairs[0]
    adjusted = f"adjusted for {tested:,} pairs"
    if not unlike:
        return (
            f"none of {tested:,} scores differs significantly from what the ratings predict "
            f"(smallest {_p(first.p)}, {adjusted}). Smaller misfits may remain."
        )
    if report.single_triad:
        return (
            f"the scores differ significantly from what the ratings predict: {_pair(first)}. The residuals of the "
            "three pairs are one and the same, so this is also what the test of the triad shows."
        )
    more = f"; and {len(unlike) - _MOST_NAMED:,} more" if len(unlike) > _MOST_NAMED else ""
    return (
        f"{len(unlike):,} of {tested:,} scores differ significantly from what the ratings predict ({adjusted}): "
        f"{'; '.join(map(_pair, unlike[:_MOST_NAMED]))}{more}. Compare these pairs by their own scores."
    )


def _pair(row: PairFitRow) -> str:
    return f"{row.left} against {row.right} {row.observed:.2f}, predicted {row.expected:.2f} ({_p(row.p)})"


def _cycles_finding(report: FitReport) -> str:
    if report.triads_reason or report.smallest_triad_p is None:
        return f"Cycles: cannot tell whether there are any: {report.triads_reason}."
    triads = "triad" if report.triads_tested == 1 else "triads"
    adjusted = f"adjusted for {report.triads_tested:,} {triads}"
    cycles = [row for row in report.triads if row.cyclic]
    if not report.triads:
        return (
            f"Cycles: none is significant (smallest {_p(report.smallest_triad_p)}, {adjusted}). Weaker "
            "cycles may remain."
        )
    if not cycles:
        return (
            f"Cycles: in {len(report.triads):,} of {report.triads_tested:,} {triads} the three scores do not add up on "
            f"one scale (smallest {_p(report.smallest_triad_p)}, {adjusted}), but none of these is a cycle."
        )
    more = f"; and {len(cycles) - _MOST_NAMED:,} more" if len(cycles) > _MOST_NAMED else ""
    return f"Cycles: {'; '.join(map(_cycle, cycles[:_MOST_NAMED]))}{more} ({adjusted}). No ranking can show a cycle."


def _cycle(row: TriadFitRow) -> str:
    (first, second, third), scores = row.contestants, row.scores
    alone = (
        ", though compared with 0.50 instead of the prediction, not every one of these scores is significant by itself"
    )
    sure = "" if row.each_ahead else alone
    return (
        f"{first} beats {second} ({scores[0]:.2f}), {second} beats {third} ({scores[1]:.2f}) and {third} beats {first} "
        f"({scores[2]:.2f}; {_p(row.p)}){sure}"
    )


def _p(p: float) -> str:
    return f"p = {p:.2g}" if p >= _SMALL_P else f"p < {_SMALL_P:g}"


def _prompts_finding(share: Estimate, level: float) -> str:
    if share.value is None:
        return f"Prompts: cannot tell how far strengths vary between prompts: {share.method.removeprefix('none: ')}."
    if share.low is None or share.high is None:
        return (
            f"Prompts: about {share.value:.0%} of the variance of outcomes lies between prompts, without an interval: "
            f"{share.method.removeprefix('none: ')}."
        )
    if share.low <= 0 and share.high >= _UNLIMITED:
        unlimited = f"({level_text(level)} interval 0% to 100%)"
        return f"Prompts: cannot tell how much of the variance lies between prompts {unlimited}."
    if share.low <= 0:
        most = f"at most {share.high:.0%} of the variance of outcomes lies between prompts"
        return f"Prompts: {most} ({level_text(level)} interval)."
    between = f"({level_text(level)} interval {share.low:.0%} to {share.high:.0%})"
    return (
        f"Prompts: {share.value:.0%} of the variance of outcomes lies between prompts {between}: who is better depends "
        "on the prompt. The intervals over prompts allow for it."
    )
