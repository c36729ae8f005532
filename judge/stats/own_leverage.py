"""The variance of a fit over prompts, corrected for the leverage that each prompt has on each contestant.

The sandwich over prompts is too small where few prompts determine a parameter: their scores are small because the fit
follows them. Each prompt's score of each parameter is therefore divided by the square root of 1 - h, where h is the
prompt's part of the information on that parameter (CR2: R. M. Bell, D. F. McCaffrey (2002), Survey Methodology 28).

How precise the variance itself is follows from a working model of the scores of a prompt g: for parameter i, with the
sums of `prompt_sums`, their variance is g_i = (phi noise + tau^2 (information^2 - alone)) / (sum of information)^2. phi
is the variance of a battle relative to the model's, and tau^2 the variance of the log strengths between prompts, both
estimated by moments. Under it, with D diagonal,

    Gamma(i) = D(w^2 g) - P Q' - Q P' + s P P',    w = (1 - h)^-1/2,  P = w h,  Q = w g,  s = sum of g,

is the covariance of the corrected scores of parameter i over prompts, a G x G matrix that is never formed. For a
contrast x, with X = x^2, the estimated variance has the mean X't with t_i = tr Gamma(i), where X's would be right, and
is corrected by their ratio. The weights of `critical_values` are the eigenvalues of sum of X_i Gamma(i), whose squares
sum to X'TX with T_ij = tr Gamma(i) Gamma(j). Their cubes are approximated by those of its diagonal. J. E. Pustejovsky,
E. Tipton (2018), Journal of Business & Economic Statistics 36; G. W. Imbens, M. Kolesar (2016), Review of Economics and
Statistics 98.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from judge.columns.arrays import Flags, Floats, Ints
from judge.stats.prompt_sums import PromptSums, Sums
from judge.stats.standard_errors import StandardErrors

Blocks = Callable[[], Iterable[tuple[Sums, slice]]]
"""Yields the sums of all prompts in blocks, each with the positions of its prompts."""

_LEAST_TAU = 0.02
"""The least tau^2 in the weights of the second estimate of tau^2."""
_NOTHING = 1e-18
"""Smaller variances are rounding errors of zero."""


@dataclass(frozen=True, eq=False)
class Strata:
    """Strata of prompts: the stratum of each prompt, *code* (int32[G]), and their *sizes* (float64[S], above 1)."""

    code: Ints
    sizes: Floats


@dataclass(frozen=True, eq=False)
class OwnLeverage:
    """The variance of p parameters: *matrix* is float64[p, p], the corrected sandwich.

    *true*, *mean* (float64[p]) and *squares* (float64[p, p]) are s, t and T of the module. *diagonals*, float64[G, p],
    are those of Gamma. Without them, intervals use Satterthwaite's t: in strata, if every battle is its own prompt, and
    if the prompts are too many to keep them.
    """

    matrix: Floats
    true: Floats
    mean: Floats
    squares: Floats
    diagonals: Floats | None

    def of_contrasts(self, contrasts: Floats) -> StandardErrors:
        """The standard errors of k *contrasts* (float64[k, p]), float64[k]."""
        weights = np.square(contrasts)
        raw = ((contrasts @ self.matrix) * contrasts).sum(axis=1)
        squares = ((weights @ self.squares) * weights).sum(axis=1)
        if self.diagonals is None:
            return self._errors(raw, weights @ self.true, weights @ self.mean, squares, None, None)
        diagonals = self.diagonals @ weights.T
        squared = np.square(diagonals)
        cubes = (squared * diagonals).sum(axis=0)
        return self._errors(raw, weights @ self.true, weights @ self.mean, squares, squared.sum(axis=0), cubes)

    def of_pairs(self) -> StandardErrors:
        """The standard errors of the differences of all pairs of parameters, float64[p, p]."""
        own = self.matrix.diagonal()
        raw = np.add.outer(own, own) - self.matrix - self.matrix.T
        true, mean = (np.add.outer(column, column) for column in (self.true, self.mean))
        own = self.squares.diagonal()
        squares = np.add.outer(own, own) + self.squares + self.squares.T
        if self.diagonals is None:
            return self._errors(raw, true, mean, squares, None, None)
        squared = np.square(self.diagonals)
        crossed, cubed = self.diagonals.T @ self.diagonals, squared.T @ self.diagonals
        of_squares, of_cubes = crossed.diagonal(), cubed.diagonal()
        return self._errors(
            raw,
            true,
            mean,
            squares,
            np.add.outer(of_squares, of_squares) + 2 * crossed,
            np.add.outer(of_cubes, of_cubes) + 3 * (cubed + cubed.T),
        )

    @staticmethod
    def _errors(
        raw: Floats, true: Floats, mean: Floats, squares: Floats, diagonal: Floats | None, cubes: Floats | None
    ) -> StandardErrors:
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.sqrt(np.where(raw > _NOTHING, raw * true / mean, np.nan))
            s2 = squares / np.square(mean)
            s3 = np.square(s2) if diagonal is None or cubes is None else cubes * np.square(squares / diagonal) / mean**3
        known = np.isfinite(error) & np.isfinite(s2) & np.isfinite(s3)
        return StandardErrors(*(np.where(known, column, np.nan) for column in (error, s2, s3)))


def own_leverage(
    blocks: Blocks,
    bread: Floats,
    information: Floats,
    phi: Floats,
    pooled: Flags,
    strata: Strata | None = None,
) -> OwnLeverage:
    """Compute the variance of p parameters from the sums of prompts.

    *blocks* yields the sums, *bread* is the inverse of the information (float64[p, p]), *information* the sum of the
    prompts' information with that of a penalty (float64[p]), and *phi* the relative variance of battles (float64[p]).
    *pooled*, bool[p], marks the parameters that share a tau^2. With *strata*, prompts vary only within their strata.

    >>> from judge.stats.prompt_sums import PromptSums
    >>> e = np.array([[1.0], [-1.0], [0.5], [-0.5]])
    >>> ones = np.ones((4, 1))
    >>> result = own_leverage(lambda: [(PromptSums(e, ones, ones, ones), slice(None))], np.eye(1) / 4, np.array([4.0]),
    ...     np.ones(1), np.ones(1, dtype=bool))
    >>> errors = result.of_contrasts(np.eye(1))
    >>> errors.error.round(4).tolist(), errors.freedom.round(6).tolist()
    ([0.4564], [3.0])
    """
    model = _WorkingModel(information, phi, np.zeros_like(phi))
    model = replace(model, tau_squared=_tau_squared(blocks, model, pooled))
    true = np.zeros_like(phi)
    for block, _ in blocks():
        true += block.total(model.variance(block))
    if strata is None:
        return _sum_up(blocks, model, true, bread)
    return _sum_up_strata(blocks, model, true, bread, strata)


@dataclass(frozen=True, eq=False)
class _WorkingModel:
    """The working model of scores. All columns are float64[p]."""

    information: Floats
    phi: Floats
    tau_squared: Floats

    def leverage(self, block: Sums) -> Floats:
        """The part of each prompt in the information on each parameter."""
        leverage: Floats = np.clip(block.information / block.spread(self.information), 0.0, 1.0)
        return leverage

    def variance(self, block: Sums) -> Floats:
        """The variance of each prompt's part in each parameter."""
        between = np.square(block.information) - block.alone
        within = block.spread(self.phi) * block.noise
        variance: Floats = within + block.spread(self.tau_squared) * np.maximum(between, 0.0)
        return variance / block.spread(np.square(self.information))


def _tau_squared(blocks: Blocks, model: _WorkingModel, pooled: Flags) -> Floats:
    """tau^2 of each parameter, float64[p], by two rounds of moments; the *pooled* parameters share one."""
    p = pooled.size
    first, second = (np.zeros((2, p)) for _ in range(2))
    for block, _ in blocks():
        excess, between = _excess(block, model)
        first += block.total(excess), block.total(between)
    start = np.maximum(_shared_ratio(first, pooled), _LEAST_TAU)
    for block, _ in blocks():
        excess, between = _excess(block, model)
        scale = block.spread(model.phi) * block.noise + block.spread(start) * np.square(block.information)
        weight = np.divide(1.0, np.square(scale), out=np.zeros_like(scale), where=scale > 0)
        second += block.total(weight * excess * between), block.total(weight * np.square(between))
    return _shared_ratio(second, pooled)


def _excess(block: Sums, model: _WorkingModel) -> tuple[Floats, Floats]:
    """What the squared scores exceed those of independent battles by, and its expectation by tau^2; 0 at leverage 1."""
    leverage = model.leverage(block)
    inside = leverage < 1
    squared = np.divide(np.square(block.score), 1 - leverage, out=np.zeros_like(leverage), where=inside)
    between = np.maximum(np.square(block.information) - block.alone, 0.0)
    return np.where(inside, squared - block.spread(model.phi) * block.noise, 0.0), np.where(inside, between, 0.0)


def _shared_ratio(sums_of: Floats, pooled: Flags) -> Floats:
    """The ratio of the rows of *sums_of* (float64[2, p]), at least 0; that of the sums over *pooled* for these."""
    sums_of = sums_of.copy()
    sums_of[:, pooled] = sums_of[:, pooled].sum(axis=1, keepdims=True)
    above, below = sums_of
    ratio: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return np.clip(ratio, 0.0, None)


@dataclass(frozen=True, eq=False)
class _Corrected:
    """One block of prompts, corrected by leverage; the arrays are named as in the module."""

    block: Sums
    score: Floats
    d: Floats
    p: Floats
    q: Floats
    diagonal: Floats

    @classmethod
    def of(cls, block: Sums, model: _WorkingModel, true: Floats) -> "_Corrected":
        """Correct the scores of *block*."""
        leverage, variance = model.leverage(block), model.variance(block)
        squared = np.divide(1.0, 1 - leverage, out=np.zeros_like(leverage), where=leverage < 1)
        omega = np.sqrt(squared)
        d, p, q = squared * variance, omega * leverage, omega * variance
        return cls(
            block=block,
            score=omega * block.score,
            d=d,
            p=p,
            q=q,
            diagonal=d - 2 * p * q + block.spread(true) * np.square(p),
        )

    @property
    def products(self) -> Floats:
        """The sums over prompts of the products that `_traces` needs, float64[5, p, p]."""
        cross, d, p, q = self.block.cross, self.d, self.p, self.q
        # What the outer products add to the diagonal D goes with D.
        return np.stack((cross(d, d), cross(d, self.diagonal - d), cross(p, p), cross(p, q), cross(q, q)))


def _traces(products: Floats, true: Floats) -> Floats:
    """T, float64[p, p], from the `products` of all prompts."""
    dd, off, pp, pq, qq = products
    mixed = pq * pp * true[:, None]
    outer = 2 * (pp * qq + pq * pq.T) - 2 * (mixed + mixed.T) + np.outer(true, true) * np.square(pp)
    traces: Floats = dd + off + off.T + outer
    return traces


def _sum_up(blocks: Blocks, model: _WorkingModel, true: Floats, bread: Floats) -> OwnLeverage:
    """The variance without strata."""
    m = true.size
    meat, products, mean = np.zeros((m, m)), np.zeros((5, m, m)), np.zeros(m)
    diagonals: list[Floats] = []
    for block, rows in blocks():
        corrected = _Corrected.of(block, model, true)
        meat += block.cross(corrected.score, corrected.score)
        products += corrected.products
        mean += block.total(corrected.diagonal)
        # Those of many prompts would be too large to keep.
        diagonals = [corrected.diagonal] if isinstance(block, PromptSums) and rows == slice(None) else []
    return OwnLeverage(
        matrix=bread @ meat @ bread,
        true=true,
        mean=mean,
        squares=_traces(products, true),
        diagonals=diagonals[0] if diagonals else None,
    )


def _sum_up_strata(blocks: Blocks, model: _WorkingModel, true: Floats, bread: Floats, strata: Strata) -> OwnLeverage:
    """The variance within strata: n / (n - 1) times the squares around the mean of a stratum of n prompts.

    T is the larger one of that without strata and that of independent prompts with the variances of the diagonal.
    """
    m, sizes = true.size, strata.sizes
    meat, products, within, mean = np.zeros((m, m)), np.zeros((5, m, m)), np.zeros((m, m)), np.zeros(m)
    scores, diagonals = (np.zeros((sizes.size, m)) for _ in range(2))
    factor = sizes / (sizes - 1)
    for block, rows in blocks():
        corrected, code = _Corrected.of(block, model, true), strata.code[rows]
        meat += block.cross(corrected.score, corrected.score, factor[code])
        products += corrected.products
        within += block.cross(corrected.diagonal, corrected.diagonal, (np.square(factor) * (1 - 2 / sizes))[code])
        mean += block.total(corrected.diagonal)
        scores += block.grouped(corrected.score, code, sizes.size)
        diagonals += block.grouped(corrected.diagonal, code, sizes.size)
    meat -= scores.T @ (scores / (sizes - 1)[:, None])
    within += diagonals.T @ (diagonals / np.square(sizes - 1)[:, None])
    return OwnLeverage(
        matrix=bread @ meat @ bread,
        true=true,
        mean=mean,
        squares=np.maximum(_traces(products, true), within),
        diagonals=None,
    )
