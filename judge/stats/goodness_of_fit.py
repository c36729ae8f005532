"""Goodness of fit of Bradley-Terry strengths: pairs, cycles, and the variation between prompts.

One number per contestant cannot show everything. Three questions say what it leaves out:

- Pairs: does a pair score as the strengths say? The residual of a pair is its observed less its expected score.
- Cycles: does a beat b, b beat c, and c beat a? The flow around a triad is the sum of its three residuals, each in the
  direction of the cycle: the curl of X. Jiang, L.-H. Lim, Y. Yao, Y. Ye (2011), "Statistical Ranking and Combinatorial
  Hodge Theory", Mathematical Programming 127(1). A ranking has none.
- Prompts: do contestants differ in strength from prompt to prompt? That is no fault of the fit, only its size is told.

Tests. With scores e_g of the pairs and U_g of the parameters on prompt g, the residuals R sum z_g = e_g - C H^- U_g,
where H is the information and C the derivative of R: the estimation of the strengths is then accounted for. If the
model holds, each z_g is about as likely as -z_g, for all pairs of a prompt together. So each statistic R / sqrt(sum of
z_g^2) is compared with its values after random flips of the prompts' signs, which holds for few prompts and for prompts
of unequal size: J. Hemerik, J. J. Goeman, L. Finos (2020), "Robust Testing in Generalized Linear Models by Sign
Flipping Score Contributions", Journal of the Royal Statistical Society B 82(3). P-values are adjusted by the largest
statistic of each flip: P. H. Westfall, S. S. Young (1993), "Resampling-Based Multiple Testing".
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from judge.columns.arrays import Flags, Floats, Ints, round_to
from judge.stats.cancellation import go_on
from judge.stats.cluster_intervals import Estimate
from judge.stats.pair_scores import PairScores, pair_scores
from judge.stats.paired_model import Model
from judge.stats.prompt_variation import share_between_prompts

FLIPS = 1999
"""Random flips: a p-value of 0.05 is exact to within 0.01."""
FEWEST = 8
"""The fewest prompts for a test. With fewer, hardly any outcome is rare enough among all flips."""
MOST_CONTESTANTS = 100
"""More contestants would have too many pairs and triads to flip."""
_BLOCK = 2048
_ROUNDING = 1e-5
_SMALLEST = 10
"""A p-value below this number of flips, as a share of all, is hardly known."""
_PLACES = 6
_SLIGHT = 1e-9
"""A statistic with a smaller variance, as a share of the largest, has none but rounding errors."""
_NOTHING = 1e-18
"""Squared residuals below this share of the squared slopes are rounding errors of zero."""


@dataclass(frozen=True, eq=False)
class PairResiduals:
    """The k pairs that met on enough prompts. *left* and *right* are codes of contestants, int32[k], left < right.

    *observed* and *expected* are the mean scores of the left side, *statistic* and *p* the test of their difference,
    float64[k]; *prompts* is int32[k]. *p* is adjusted for the k pairs.
    """

    left: Ints
    right: Ints
    observed: Floats
    expected: Floats
    prompts: Ints
    statistic: Floats
    p: Floats


@dataclass(frozen=True, eq=False)
class Triads:
    """The k triads whose pairs all met on enough prompts, as int32[k, 3] *contestants* a, b, c.

    They are in the direction of the cycle: a scores more than expected against b, b against c, and c against a.
    *scores* are the observed ones, float64[k, 3]. *statistic* and *p*, adjusted for the k triads, test whether the flow
    around the triad is more than noise. *each_ahead*, bool[k], says whether all three scores are significantly more
    than a half, adjusted for all pairs.
    """

    contestants: Ints
    scores: Floats
    statistic: Floats
    p: Floats
    each_ahead: Flags


@dataclass(frozen=True, eq=False)
class GoodnessOfFit:
    """What strengths alone do not show.

    *pairs* is None where *pairs_reason* says why there is no test, and *triads* where *triads_reason* does. *untested*
    pairs met on too few prompts. *between_prompts* is the share of the variance of outcomes that lies between prompts.
    """

    pairs: PairResiduals | None
    pairs_reason: str
    untested: int
    triads: Triads | None
    triads_reason: str
    between_prompts: Estimate


def goodness_of_fit(model: Model, rng: np.random.Generator, level: float = 0.95, flips: int = FLIPS) -> GoodnessOfFit:
    """Test the fit of *model*, at its maximum without a ridge, by the clusters of its battles (prompts).

    *level* is that of the interval of the share between prompts, and of whether each contestant of a cycle is ahead of
    the next.

    >>> from judge.stats.battles import Battles
    >>> from judge.stats.bradley_terry import bradley_terry
    >>> outcomes = (["left"] * 9 + ["right"] * 3) * 20
    >>> battles = Battles.from_names(["a", "b", "c"] * 80, ["b", "c", "a"] * 80, outcomes, cluster=np.arange(240) // 3)
    >>> fit = goodness_of_fit(bradley_terry(battles).model, np.random.default_rng(0))
    >>> (fit.triads.contestants.tolist(), fit.triads.scores.tolist()) if fit.triads else fit.triads_reason
    ([[0, 1, 2]], [[0.75, 0.75, 0.75]])
    """
    scores = pair_scores(model)
    between = share_between_prompts(scores, level)
    tested = np.flatnonzero(scores.prompts >= FEWEST).astype(np.int32)
    reason = _reason(scores, tested) or _unresolved(1 - level, flips)
    if reason:
        return GoodnessOfFit(
            pairs=None,
            pairs_reason=reason,
            untested=scores.k - tested.size,
            triads=None,
            triads_reason=reason,
            between_prompts=between,
        )
    signs = rng.choice(np.array([-1.0, 1.0]), (flips, scores.groups))
    residuals = _Statistics.of(scores.effective_residuals(), signs, scores.covariance())
    margins = _Statistics.of(scores.by_group(scores.margin), signs, np.zeros((scores.k, scores.k)))
    triads = _triads(scores, tested)
    return GoodnessOfFit(
        pairs=_pairs(scores, residuals, tested),
        pairs_reason="",
        untested=scores.k - tested.size,
        triads=_flows(scores, residuals, triads, margins, 1 - level) if triads.size else None,
        triads_reason="" if triads.size else f"no three contestants all met each other on {FEWEST} prompts",
        between_prompts=between,
    )


def _reason(scores: PairScores, tested: Ints) -> str:
    if scores.model.m > MOST_CONTESTANTS:
        return f"{scores.model.m:,} contestants, at most {MOST_CONTESTANTS} can be tested"
    if scores.clusters < FEWEST:
        return f"{scores.clusters} prompts, at least {FEWEST} are needed"
    if not tested.size:
        return f"no pair met on {FEWEST} prompts"
    if np.linalg.matrix_rank(scores.curvature) >= scores.k:
        return "there are only as many pairs as the strengths need, so that they fit every outcome"
    if np.square(scores.by_group(scores.residual)).sum() <= _NOTHING * np.square(scores.slope).sum():
        return "on every prompt, each pair scores just what the ratings predict, so that nothing varies"
    return ""


def _unresolved(alpha: float, flips: int) -> str:
    """Why *flips* cannot tell what is significant at *alpha*; empty if they can."""
    if round(alpha * (flips + 1), 6) >= _SMALLEST:
        return ""
    return f"{flips:,} random flips cannot tell p-values below {_SMALLEST / (flips + 1):g}, so the level is too high"


@dataclass(frozen=True, eq=False)
class _Statistics:
    """Sums over groups of prompts: their *total*, float64[k], cross products, float64[k, k], and sums after flips."""

    total: Floats
    squares: Floats
    least: Floats
    """The covariance, float64[k, k], that the sums have in the model: a sum is never taken to vary less than that."""
    flipped: npt.NDArray[np.float32]

    @classmethod
    def of(cls, groups: Floats, signs: Floats, least: Floats) -> "_Statistics":
        """The sums of *groups* (float64[groups, k]) with *signs* (float64[flips, groups])."""
        flipped = groups.T.astype(np.float32) @ signs.T.astype(np.float32)
        return cls(total=groups.sum(axis=0), squares=groups.T @ groups, least=least, flipped=flipped)

    def tests(self, members: Ints, directions: Floats) -> tuple[Floats, Floats]:
        """The statistics of weighted sums of pairs and their adjusted p-values, float64[k] each.

        *members* (int32[k, c]) are the pairs of each sum, and *directions* (float64[k, c]) their weights.
        """
        at = members[:, :, None], members[:, None, :]
        variance, least = (
            np.einsum("kc,kcd,kd->k", directions, squares[at], directions) for squares in (self.squares, self.least)
        )
        # Where every pair scores a half on every prompt, all margins are zero, and so are their statistics.
        slight = max(_SLIGHT * self.squares.diagonal().max(), np.finfo(np.float32).tiny)
        error = np.sqrt(np.maximum(np.maximum(variance, least), slight))
        statistic = (self.total[members] * directions).sum(axis=1) / error
        most = np.zeros(self.flipped.shape[1])
        for first in range(0, len(members), _BLOCK):
            go_on()
            block = slice(first, first + _BLOCK)
            weights = (directions[block] / error[block, None]).astype(np.float32)
            flipped = np.zeros((len(weights), most.size), dtype=np.float32)
            for pair, weight in zip(members[block].T, weights.T, strict=True):
                flipped += self.flipped[pair] * weight[:, None]
            np.maximum(most, np.abs(flipped).max(axis=0), out=most)
        most.sort()
        # A flip of all signs or of none gives the same statistic but for rounding.
        least = np.abs(statistic) * (1 - _ROUNDING)
        above = most.size - np.searchsorted(most, least)
        return statistic, (1 + above) / (1 + most.size)


def _pairs(scores: PairScores, residuals: _Statistics, tested: Ints) -> PairResiduals:
    statistic, p = residuals.tests(tested[:, None], np.ones((tested.size, 1)))
    return PairResiduals(
        left=scores.left[tested],
        right=scores.right[tested],
        observed=round_to(scores.observed[tested], _PLACES),
        expected=round_to(scores.expected[tested], _PLACES),
        prompts=scores.prompts[tested],
        statistic=round_to(statistic, _PLACES),
        p=p,
    )


def _triads(scores: PairScores, tested: Ints) -> Ints:
    """The pairs ab, bc and ac of all triads a < b < c of *tested* pairs, int32[k, 3]."""
    m = scores.model.m
    pair = np.full((m, m), -1, dtype=np.int32)
    pair[scores.left[tested], scores.right[tested]] = tested
    a, b, c = np.array(list(combinations(range(m), 3)), dtype=np.intp).reshape(-1, 3).T
    triads = np.column_stack((pair[a, b], pair[b, c], pair[a, c]))
    return triads[(triads >= 0).all(axis=1)]


def _flows(scores: PairScores, residuals: _Statistics, triads: Ints, margins: _Statistics, alpha: float) -> Triads:
    """The tests of the flows around *triads* (pairs ab, bc and ac), each in the direction in which it is positive."""
    forward = np.tile([1.0, 1.0, -1.0], (len(triads), 1))
    statistic, p = residuals.tests(triads, forward)
    backward = statistic < 0
    first, second, third = scores.left[triads[:, 0]], scores.left[triads[:, 1]], scores.right[triads[:, 1]]
    cycle = np.column_stack((first, np.where(backward, third, second), np.where(backward, second, third)))
    # The pairs in the order of the cycle: ab, bc, ca forward, and ac, cb, ba backward.
    pairs = np.where(backward[:, None], triads[:, ::-1], triads)
    sign = np.where(backward, -1, 1)[:, None] * forward
    sign = np.where(backward[:, None], sign[:, ::-1], sign)
    every = np.arange(scores.k, dtype=np.int32)[:, None]
    ahead, adjusted = margins.tests(every, np.ones((scores.k, 1)))
    significant = (adjusted <= alpha)[pairs] & (np.sign(ahead)[pairs] == sign)
    return Triads(
        contestants=cycle.astype(np.int32),
        scores=round_to(0.5 + sign * (scores.observed[pairs] - 0.5), _PLACES),
        statistic=round_to(np.abs(statistic), _PLACES),
        p=p,
        each_ahead=significant.all(axis=1),
    )
