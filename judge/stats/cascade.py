"""A cascade: the judge answers where it is sure, and the rest goes to a better judge or to people.

J. Jung, F. Brahman, Y. Choi (2024), "Trust or Escalate: LLM Judges with Provable Guarantees for Human Agreement",
arXiv:2407.18370. Confidence thresholds are tested from the strictest on, each at level delta, until one fails. A
threshold is wrong if the judge's true agreement with people above it is less than the target. Fixed-sequence testing
keeps the probability that any wrong threshold passes below delta (P. Bauer (1991), Statistics in Medicine 10). The test
is the exact binomial test. It begins at the first threshold with enough comparisons to pass despite two errors.

Comparisons of one prompt are not independent, so the test uses one random comparison of each prompt. The reported
shares and agreements use all comparisons. The guarantee is for new prompts of the same source and the same contestants.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Flags, Floats, Ints
from judge.stats.cluster_intervals import Estimate, mean, ratio
from judge.stats.errors import StatisticsError

STEPS = 20
_SPARE = 2
_PLACES = 6


@dataclass(frozen=True)
class CascadeStep:
    """The result at one *threshold*: the *share* of comparisons that the judge answers, and its *agreement* on them.

    *tested* is the number of prompts in the test and *p* the p-value; *held* says whether the guarantee covers this
    threshold. *together* is the agreement of the whole cascade: the judge where it answers, the second source
    elsewhere. It is None without a second source.
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
    rng: np.random.Generator,
    target: float = 0.85,
    delta: float = 0.1,
    level: float = 0.95,
    otherwise: Floats | None = None,
) -> Cascade:
    """Find the confidence thresholds at which the judge agrees with people to at least *target*.

    *sure* is float64[n], the judge's confidence, and *agrees* bool[n], whether it agrees with people. *cluster* is
    int32[n], the prompts, from each of which *rng* draws one comparison. *otherwise* is float64[n], whether the second
    source agrees (1 or 0, NaN without an outcome). Raises StatisticsError without comparisons, or for a *target* or
    *delta* that is not between 0 and 1.

    >>> sure = np.tile([1.0, 0.1], 200)
    >>> result = cascade(sure, sure > 0.5, np.arange(400, dtype=np.int32), np.random.default_rng(0), 0.9)
    >>> result.threshold, result.share
    (1.0, 0.5)
    """
    from scipy.special import bdtr  # noqa: PLC0415 - a slow import, needed only here

    if not (0 < target < 1 and 0 < delta < 1):
        raise StatisticsError(f"target and delta must be between 0 and 1, not {target} and {delta}.")
    if sure.size == 0:
        raise StatisticsError("A cascade needs at least one comparison.")
    order = rng.permutation(sure.size)
    sample = np.zeros(sure.size, dtype=bool)
    sample[order[np.unique(cluster[order], return_index=True)[1]]] = True
    thresholds = np.unique(np.quantile(sure, np.linspace(0, 1, STEPS + 1), method="lower"))[::-1]
    steps: list[CascadeStep] = []
    holding, chosen = True, None
    for threshold in thresholds.tolist():
        answered = sure >= threshold
        looked = answered & sample
        tested = int(looked.sum())
        errors = int((~agrees[looked]).sum())
        p = float(bdtr(errors, tested, 1 - target)) if tested else 1.0
        # The number of answers depends on the judge's confidence only, not on its errors, so the test stays valid.
        able = bool(bdtr(_SPARE, tested, 1 - target) <= delta) if tested else False
        held = holding and able and p <= delta
        holding = holding and (held or not able)
        columns = (agrees[answered].astype(np.float64), np.ones(int(answered.sum())), cluster[answered])
        steps.append(
            CascadeStep(
                threshold=round(threshold, _PLACES),
                share=round(float(answered.mean()), _PLACES),
                agreement=ratio(*columns, level, (0.0, 1.0)),
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


def _together(agrees: Flags, answered: Flags, otherwise: Floats, cluster: Ints, level: float) -> Estimate:
    right = np.where(answered, agrees, otherwise)
    known = ~np.isnan(right)
    return mean(right[known], cluster[known], level, (0.0, 1.0))
