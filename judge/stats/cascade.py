"""A cascade: answer where the judge is sure, send the rest to somebody better, with a guarantee for what is answered.

J. Jung, F. Brahman, Y. Choi (2024), "Trust or Escalate: LLM Judges with Provable Guarantees for Human Agreement",
arXiv:2407.18370. Thresholds of how sure the judge must be are tested from the strictest on, each at level delta, until
one fails: fixed-sequence testing keeps the chance below delta that any threshold passes at which the agreement with
people is in truth less than the target (P. Bauer (1991), Statistics in Medicine 10). The test is the exact binomial
one; it begins where so many comparisons are answered that two errors among them would still pass.

Comparisons of one prompt are not independent, so the test looks at one of each prompt, drawn at random; the shares and
agreements that are shown are of all. The guarantee is for new prompts of the same source and the same contestants.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Flags, Floats, Ints
from judge.stats.cluster_intervals import Estimate, mean, ratio

STEPS = 20
_SPARE = 2
_PLACES = 6


@dataclass(frozen=True)
class CascadeStep:
    """With the *threshold* the judge answers a *share* of comparisons, and agrees on them as *agreement* says.

    *tested* is the number of prompts looked at and *p* the p-value; *held* says whether the guarantee covers it.
    *together* is the agreement of the judge where it answers and of the next one elsewhere, if there is one.
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
    """The *steps*, strictest first, and the last *threshold* that is guaranteed, with its *share*; None without one."""

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
    """The thresholds on how *sure* the judge is, float64[n], at which it *agrees* (bool[n]) with people to *target*.

    *cluster* is int32[n], the prompts, of each of which *rng* draws one comparison. *otherwise* is float64[n], whether
    the next one agrees (1 or 0, NaN where it says nothing). Raises ValueError without comparisons, or for a target or
    delta that is not between 0 and 1.

    >>> sure = np.tile([1.0, 0.1], 200)
    >>> found = cascade(sure, sure > 0.5, np.arange(400, dtype=np.int32), np.random.default_rng(0), 0.9)
    >>> found.threshold, found.share
    (1.0, 0.5)
    """
    from scipy.special import bdtr  # noqa: PLC0415 - a slow import, needed only here

    if not (0 < target < 1 and 0 < delta < 1):
        raise ValueError(f"A target and a delta lie between 0 and 1, and not at {target} and {delta}.")
    if sure.size == 0:
        raise ValueError("There is no comparison to be sure about.")
    order = rng.permutation(sure.size)
    one = np.zeros(sure.size, dtype=bool)
    one[order[np.unique(cluster[order], return_index=True)[1]]] = True
    thresholds = np.unique(np.quantile(sure, np.linspace(0, 1, STEPS + 1), method="lower"))[::-1]
    steps: list[CascadeStep] = []
    holding, chosen = True, None
    for threshold in thresholds.tolist():
        answered = sure >= threshold
        looked = answered & one
        tested = int(looked.sum())
        errors = int((~agrees[looked]).sum())
        p = float(bdtr(errors, tested, 1 - target)) if tested else 1.0
        # How many are answered depends on how sure the judge was, not on whether it was right: the test stays honest.
        able = bool(bdtr(_SPARE, tested, 1 - target) <= delta) if tested else False
        held = holding and able and p <= delta
        holding = holding and (held or not able)
        columns = (agrees[answered].astype(np.float64), np.ones(int(answered.sum())), cluster[answered])
        steps.append(
            CascadeStep(
                round(threshold, _PLACES),
                round(float(answered.mean()), _PLACES),
                ratio(*columns, level, (0.0, 1.0)),
                tested,
                round(p, _PLACES),
                held,
                None if otherwise is None else _together(agrees, answered, otherwise, cluster, level),
            )
        )
        chosen = steps[-1] if held else chosen
    if chosen is None:
        return Cascade(tuple(steps), None, None, target, delta)
    return Cascade(tuple(steps), chosen.threshold, chosen.share, target, delta)


def _together(agrees: Flags, answered: Flags, otherwise: Floats, cluster: Ints, level: float) -> Estimate:
    right = np.where(answered, agrees, otherwise)
    told = ~np.isnan(right)
    return mean(right[told], cluster[told], level, (0.0, 1.0))
