"""A cascade: the judge answers where it is sure, and the rest goes to a better judge or to people.

J. Jung, F. Brahman, Y. Choi (2024), "Trust or Escalate: LLM Judges with Provable Guarantees for Human Agreement",
arXiv:2407.18370. Confidence thresholds are tested from the strictest on, each at level delta, until one fails. A
threshold is wrong if the judge's true agreement with people above it is less than the target. Fixed-sequence testing
keeps the probability that any wrong threshold passes below delta (P. Bauer (1991), Statistics in Medicine 10).

The agreement is that of comparisons, not of prompts, so a prompt with many counts for as many. Comparisons of one
prompt are not independent. The test is therefore Korn and Graubard's one-sided exact binomial one, for the effective
number of comparisons (see `cluster_variance` and `score_intervals`). Its level is asymptotic in the number of prompts:
the binomial test of Jung and others is exact, but only for one comparison of each prompt. The guarantee is for new
prompts of the same source and the same contestants.

If the judge is right or wrong on whole prompts of unequal size, the large ones on which it is wrong may be missing from
the sample, and the variance is then too small. So the effective number is at most the one that follows from the largest
likely correlation of the comparisons of a prompt, its upper bound at delta.

The sequence begins at the first threshold with enough comparisons to pass despite two errors. Their number is the
effective one if the comparisons of a prompt were correlated by 0.2. It depends on the judge's confidence alone, so the
tests stay valid.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Flags, Floats, Ints, sums
from judge.stats.cluster_intervals import FEWEST, Estimate, mean, share_of_counts
from judge.stats.cluster_variance import effective, row_bounded_variance, share_sums
from judge.stats.errors import StatisticsError
from judge.stats.score_intervals import chance_of_less, exact_rows

STEPS = 20
_SPARE = 2
_CORRELATION = 0.2
_LEAST_LEVEL = 0.5
"""The critical value of the one-sided test at delta is that of an interval of level 1 - 2 delta, or this."""
_PLACES = 6


@dataclass(frozen=True)
class CascadeStep:
    """The result at one *threshold*: the *share* of comparisons that the judge answers, and its *agreement* on them.

    *tested* is the effective number of comparisons in the test and *p* the p-value; *held* says whether the guarantee
    covers this threshold. *together* is the agreement of the whole cascade: the judge where it answers, the second
    source elsewhere. It is None without a second source.
    """

    threshold: float
    share: float
    agreement: Estimate
    tested: int
    p: float
    held: bool
    together: Estimate | None = None


@dataclass(frozen=True)
class Cascade:
    """The *steps*, strictest first, and the last guaranteed *threshold* with its *share*; None if there is none."""

    steps: tuple[CascadeStep, ...]
    threshold: float | None
    share: float | None
    target: float
    delta: float


def cascade(
    sure: Floats,
    agrees: Flags,
    cluster: Ints,
    target: float = 0.85,
    delta: float = 0.1,
    level: float = 0.95,
    otherwise: Floats | None = None,
) -> Cascade:
    """Find the confidence thresholds at which the judge agrees with people to at least *target*.

    *sure* is float64[n], the judge's confidence, and *agrees* bool[n], whether it agrees with people. *cluster* is
    int32[n], the prompts. *otherwise* is float64[n], whether the second source agrees (1 or 0, NaN without an outcome).
    Raises StatisticsError without comparisons, or for a *target* or *delta* that is not between 0 and 1.

    >>> sure = np.tile([1.0, 0.1], 200)
    >>> result = cascade(sure, sure > 0.5, np.arange(400, dtype=np.int32), 0.9)
    >>> result.threshold, result.share
    (1.0, 0.5)
    """
    if not (0 < target < 1 and 0 < delta < 1):
        raise StatisticsError(f"target and delta must be between 0 and 1, not {target} and {delta}.")
    if sure.size == 0:
        raise StatisticsError("A cascade needs at least one comparison.")
    # Confidences that are equal but for the rounding of floats are one threshold.
    sure = np.round(sure, _PLACES)
    thresholds = np.unique(np.quantile(sure, np.linspace(0, 1, STEPS + 1), method="lower"))[::-1]
    steps: list[CascadeStep] = []
    begun, holding, chosen = False, True, None
    for threshold in thresholds.tolist():
        answered = sure >= threshold
        counted, of = _by_prompt(agrees[answered], cluster[answered])
        tested, p = _test(counted, of, target, delta)
        begun = begun or _enough(of, target, delta)
        held = begun and holding and p <= delta
        holding = held or not begun
        steps.append(
            CascadeStep(
                threshold=threshold,
                share=round(float(answered.mean()), _PLACES),
                agreement=share_of_counts(counted, of, level),
                tested=tested,
                p=round(p, _PLACES),
                held=held,
                together=None if otherwise is None else _together(agrees, answered, otherwise, cluster, level),
            )
        )
        chosen = steps[-1] if held else chosen
    return Cascade(
        steps=tuple(steps),
        threshold=None if chosen is None else chosen.threshold,
        share=None if chosen is None else chosen.share,
        target=target,
        delta=delta,
    )


def _by_prompt(agrees: Flags, cluster: Ints) -> tuple[Floats, Floats]:
    """The comparisons that agree, and all comparisons, by prompt: float64[G] each."""
    of = sums(cluster)
    return sums(cluster, agrees.astype(np.float64))[of > 0], of[of > 0]


def _test(counted: Floats, of: Floats, target: float, delta: float) -> tuple[int, float]:
    """The effective number of comparisons, and the p value of an agreement below *target*; 1 below 5 prompts."""
    rows = effective(of)
    if of.size < FEWEST:
        return int(rows), 1.0
    share = float(counted.sum() / of.sum())
    if 0 < share < 1:
        spread = row_bounded_variance(share_sums(counted, of))
        level = max(1 - 2 * delta, _LEAST_LEVEL)
        rows = exact_rows(share * (1 - share) / spread.variance, spread.critical_value(level), level)
        rows = min(rows, _rows_if_alike(of, _most_alike(counted, of, delta)))
    return int(rows), chance_of_less(share, rows, target)


def _most_alike(counted: Floats, of: Floats, delta: float) -> float:
    """The upper bound at *delta* of the correlation of two comparisons of a prompt; 1 if no prompt has two.

    The correlation is 1 less the share of pairs of which the judge agrees with just the first or the second, compared
    with that share among comparisons of different prompts. Its standard error is the jackknife's over prompts.
    """
    from scipy.special import ndtri  # noqa: PLC0415 - a slow import, needed only here

    by_prompt = np.stack((counted, of, 2 * counted * (of - counted), of * (of - 1)))
    total = by_prompt.sum(axis=1, keepdims=True)
    right, rows, mixed, pairs = np.concatenate((total, total - by_prompt), axis=1)
    share = right / rows
    expected = 2 * share * (1 - share) * pairs
    correlation = 1 - np.divide(mixed, expected, out=np.zeros_like(mixed), where=expected > 0)
    without = correlation[1:] - correlation[1:].mean()
    error = float(np.sqrt((of.size - 1) / of.size * (without @ without)))
    return float(np.clip(correlation[0] + ndtri(1 - delta) * error, 0.0, 1.0))


def _rows_if_alike(of: Floats, correlation: float) -> float:
    """The effective number of comparisons if those of a prompt have a *correlation*."""
    return float(of.sum() ** 2 / (of + correlation * (np.square(of) - of)).sum())


def _enough(of: Floats, target: float, delta: float) -> bool:
    """Whether a judge that agrees on all comparisons but two would pass."""
    from scipy.special import bdtr  # noqa: PLC0415 - a slow import, needed only here

    rows = _rows_if_alike(of, _CORRELATION)
    return of.size >= FEWEST and bool(bdtr(_SPARE, int(rows), 1 - target) <= delta)


def _together(agrees: Flags, answered: Flags, otherwise: Floats, cluster: Ints, level: float) -> Estimate:
    right = np.where(answered, agrees, otherwise)
    known = ~np.isnan(right)
    return mean(right[known], cluster[known], level, (0.0, 1.0))
