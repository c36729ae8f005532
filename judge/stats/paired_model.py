"""A model of battles at given parameters: its gradient, its information, and the score of each prompt.

The parameters are m log strengths, then the effects (position and covariates), then the tie parameter of rules that
have one. Without covariates, the terms of a battle depend only on its pair and outcome, and are computed once for each
such cell.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from judge.columns.arrays import Codes, Flags, Floats, sums
from judge.stats.battles import OUTCOMES, Battles
from judge.stats.errors import NotConverged, StatisticsError
from judge.stats.tie_rules import HALF_WIN, RAO_KUPPER, Terms, terms

Rows = slice | npt.NDArray[np.integer] | Flags
POSITION = "position"
"""The name of the effect of being on the left, or shown first."""
_ENDS = len(OUTCOMES)
_TABLE = 1 << 20
"""A table of derivatives may have this many entries even if there are fewer battles."""
_FURTHEST = 700.0
_SHARES = tuple(0.5**halvings for halvings in range(30))
_IDENTIFIED = 1e-9
"""An effect is not identified if the other parameters leave a smaller share of its information."""
_TOGETHER = 1e-3
"""Effects with a smaller part in a direction that the battles do not determine have none but rounding errors."""


@dataclass(frozen=True, eq=False)
class Covariates:
    """Differences between the sides of n battles: *values* is float64[n, p], left minus right, a column per name.

    Raises StatisticsError if a value is NaN or infinite, or the number of columns is not that of *names*.
    """

    names: tuple[str, ...]
    values: Floats

    def __post_init__(self) -> None:
        """Check the values."""
        if self.values.ndim != 2 or self.values.shape[1] != len(self.names):  # noqa: PLR2004 - rows and columns
            raise StatisticsError(
                f"{len(self.names)} covariates need that many columns, not an array of shape {self.values.shape}."
            )
        for name, column in zip(self.names, self.values.T, strict=True):
            if not np.isfinite(column).all():
                raise StatisticsError(
                    f"Covariate {name!r} has a NaN or infinite value in battle {int((~np.isfinite(column)).argmax())}."
                )


@dataclass(frozen=True, eq=False)
class _Cells:
    """Groups of equal battles: the pair, the outcome, the summed weight, and the covariates of the effects."""

    left: npt.NDArray[np.integer]
    right: npt.NDArray[np.integer]
    outcome: Codes
    weight: Floats
    columns: Floats


@dataclass(frozen=True, eq=False)
class Design:
    """The parts of a model without its parameters: *battles*, and whether to fit *position* and *covariates*."""

    battles: Battles
    position: bool = False
    covariates: Covariates | None = None

    @property
    def m(self) -> int:
        """The number of contestants."""
        return len(self.battles.contestants)

    @property
    def effects(self) -> tuple[str, ...]:
        """The names of the parameters between the strengths and the tie parameter."""
        named = () if self.covariates is None else self.covariates.names
        return ((POSITION,) if self.position else ()) + named

    def among(self, rows: Rows) -> "Design":
        """The same with only some of the battles and without clusters."""
        kept = replace(
            self.battles,
            left=self.battles.left[rows],
            right=self.battles.right[rows],
            outcome=self.battles.outcome[rows],
            weight=None if self.battles.weight is None else self.battles.weight[rows],
            cluster=None,
        )
        covariates = self.covariates
        return replace(
            self, battles=kept, covariates=covariates and replace(covariates, values=covariates.values[rows])
        )

    def columns(self, rows: Rows) -> Floats:
        """The factors of the effects in each battle of *rows*, float64[k, effects]."""
        first = np.ones((self.battles.left[rows].size, int(self.position)))
        return first if self.covariates is None else np.column_stack((first, self.covariates.values[rows]))

    @cached_property
    def table(self) -> Floats:
        """The summed weight by left, right and outcome, float64[m, m, 3], from one pass over the battles."""
        return self.battles.cells(self.battles.weight)

    @cached_property
    def cells(self) -> _Cells:
        """The battles, grouped where they are equal."""
        if self.covariates is not None:
            battles = self.battles
            weight = np.ones(battles.n) if battles.weight is None else battles.weight
            return _Cells(
                left=battles.left,
                right=battles.right,
                outcome=battles.outcome,
                weight=weight,
                columns=self.columns(slice(None)),
            )
        left, right, outcome = np.nonzero(self.table)
        columns = np.ones((left.size, int(self.position)))
        return _Cells(
            left=left,
            right=right,
            outcome=outcome.astype(np.int8),
            weight=self.table[left, right, outcome],
            columns=columns,
        )

    def squared_weight(self) -> Floats:
        """The sum of the squared weights of each cell's battles, float64[cells]."""
        weight, cells = self.battles.weight, self.cells
        if weight is None:
            return cells.weight
        if self.covariates is not None:
            return np.square(weight)
        squared: Floats = self.battles.cells(np.square(weight))[cells.left, cells.right, cells.outcome]
        return squared


@dataclass(frozen=True, eq=False)
class Model:
    """A *design* under a tie *rule*, at *parameters*."""

    design: Design
    rule: str
    parameters: Floats

    @property
    def m(self) -> int:
        """The number of contestants."""
        return self.design.m

    @property
    def ties(self) -> bool:
        """Whether there is a tie parameter."""
        return self.rule != HALF_WIN

    @property
    def tau(self) -> float:
        """The tie parameter; 0 for a rule without one."""
        return float(self.parameters[-1]) if self.ties else 0.0

    def at(self, parameters: Floats) -> "Model":
        """The model at other *parameters*."""
        return replace(self, parameters=parameters)

    def among(self, rows: Rows) -> "Model":
        """The same with only some of the battles and without clusters."""
        return replace(self, design=self.design.among(rows))

    def gradient(self) -> Floats:
        """The gradient of the log likelihood, float64[parameters]."""
        cells, derivatives = self.design.cells, self._terms
        return _summed(cells, self.m, cells.weight * derivatives.eta, cells.weight * derivatives.tau, tie=self.ties)

    def information(self) -> Floats:
        """The negated second derivatives of the log likelihood, float64[parameters, parameters]."""
        cells, derivatives = self.design.cells, self._terms
        columns = (cells.weight * column for column in (derivatives.eta_eta, derivatives.eta_tau, derivatives.tau_tau))
        return _assembled(cells, self.m, *columns, tie=self.ties)

    def battle_variance(self) -> Floats:
        """The variance of a battle relative to the model's, by its score: float64[parameters].

        1 if the model describes independent battles, less where ties are half wins.
        """
        squared, derivatives = self.design.squared_weight(), self._terms
        ratio = np.full(self.parameters.size, _ratio(squared, derivatives.eta, derivatives.eta_eta))
        if self.ties:
            ratio[-1] = _ratio(squared, derivatives.tau, derivatives.tau_tau)
        return ratio

    def cell_derivatives(self, *, tie: bool = False) -> tuple[Floats, Floats]:
        """The first and the negated second derivatives of a battle of each cell, as in `derivatives`."""
        if tie:
            return self._terms.tau, self._terms.tau_tau
        return self._terms.eta, self._terms.eta_eta

    def derivatives(self, rows: Rows, *, tie: bool = False) -> tuple[Floats, Floats]:
        """The first and the negated second derivatives of each battle of *rows*, without its weight.

        They are with respect to eta, or, for *tie*, to the tie parameter.
        """
        battles = self.design.battles
        left, right, outcome = battles.left[rows], battles.right[rows], battles.outcome[rows]
        at: Rows = slice(None)
        if self.design.covariates is not None:
            derivatives, at = self._terms, rows
        elif _ENDS * self.m**2 <= max(_TABLE, left.size):
            derivatives, at = self._by_cell, (left.astype(np.intp) * self.m + right) * _ENDS + outcome
        else:
            derivatives = terms(self.rule, outcome, self._eta(left, right, self.design.columns(rows)), self.tau)
        if tie:
            return derivatives.tau[at], derivatives.tau_tau[at]
        return derivatives.eta[at], derivatives.eta_eta[at]

    def _eta(self, left: npt.NDArray[np.integer], right: npt.NDArray[np.integer], columns: Floats) -> Floats:
        """The advantage of the left side, in natural log odds."""
        ahead: Floats = self.parameters[left] - self.parameters[right]
        return ahead + columns @ self.parameters[self.m : self.m + columns.shape[1]]

    @cached_property
    def _terms(self) -> Terms:
        """The derivatives of each cell of the design."""
        cells = self.design.cells
        return terms(self.rule, cells.outcome, self._eta(cells.left, cells.right, cells.columns), self.tau)

    @cached_property
    def _by_cell(self) -> Terms:
        """The derivatives of every possible battle, float64[m * m * 3]."""
        left, right, outcome = np.indices((self.m, self.m, _ENDS)).reshape(3, -1)
        columns = np.ones((left.size, int(self.design.position)))
        return terms(self.rule, outcome.astype(np.int8), self._eta(left, right, columns), self.tau)


def _ratio(squared_weight: Floats, score: Floats, information: Floats) -> float:
    expected = float(squared_weight @ information)
    return float(squared_weight @ np.square(score)) / expected if expected > 0 else 1.0


def _between(cells: _Cells, m: int, column: Floats) -> Floats:
    return sums(cells.left, column, m) - sums(cells.right, column, m)


def _summed(cells: _Cells, m: int, eta: Floats, tau: Floats, *, tie: bool) -> Floats:
    last = [tau.sum()] if tie else []
    return np.concatenate((_between(cells, m, eta), eta @ cells.columns, last))


def _assembled(cells: _Cells, m: int, eta_eta: Floats, eta_tau: Floats, tau_tau: Floats, *, tie: bool) -> Floats:
    """The sum over cells of the outer products of (left - right, columns, tie), weighted by the derivatives."""
    columns = cells.columns
    size = m + columns.shape[1] + tie
    matrix = np.zeros((size, size))
    pairs = sums(cells.left.astype(np.intp) * m + cells.right, eta_eta, m * m).reshape(m, m)
    pairs = pairs + pairs.T
    matrix[:m, :m] = np.diag(pairs.sum(axis=1)) - pairs
    effects = slice(m, m + columns.shape[1])
    for at, column in enumerate(columns.T, m):
        matrix[:m, at] = matrix[at, :m] = _between(cells, m, eta_eta * column)
    matrix[effects, effects] = columns.T @ (eta_eta[:, None] * columns)
    if tie:
        matrix[:m, -1] = matrix[-1, :m] = _between(cells, m, eta_tau)
        matrix[effects, -1] = matrix[-1, effects] = eta_tau @ columns
        matrix[-1, -1] = tau_tau.sum()
    return matrix


def maximize(model: Model, ridge: float, tolerance: float, max_iterations: int) -> tuple[Model, int]:
    """Maximize the likelihood of *model*. Returns the model at its maximum and the number of Newton steps.

    *ridge* / 2 times the squared log strengths is subtracted from the log likelihood. The strengths sum to zero. Raises
    NotConverged, and StatisticsError for an effect that the battles cannot separate from the strengths.

    >>> from judge.stats.battles import Battles
    >>> design = Design(Battles.from_names(["a"] * 4, ["b"] * 4, ["left", "left", "left", "right"]), position=False)
    >>> model, _ = maximize(Model(design, HALF_WIN, np.zeros(2)), 0.0, 1e-10, 100)
    >>> model.parameters.round(4).tolist()
    [0.5493, -0.5493]
    """
    m = model.m
    penalty = np.zeros(model.parameters.size)
    penalty[:m] = ridge
    _check_identified(model)
    step = np.zeros(model.parameters.size)
    for iteration in range(1, max_iterations + 1):
        gradient = model.gradient() - penalty * model.parameters
        try:
            matrix = make_invertible(model.information() + np.diag(penalty), m)
            step = np.linalg.solve(matrix, gradient).astype(np.float64, copy=False)
        except np.linalg.LinAlgError:
            raise NotConverged(iteration, tolerance, _moving(model, step)) from None
        model = _moved(model, step, penalty, float(gradient @ step))
        if np.abs(step).max() <= tolerance:
            return model, iteration
    raise NotConverged(max_iterations, tolerance, _moving(model, step))


def _moving(model: Model, step: Floats) -> str:
    """The effect that the last *step* moved most; empty if that was a strength or the tie parameter."""
    at = int(np.abs(step).argmax()) - model.m
    return model.design.effects[at] if 0 <= at < len(model.design.effects) else ""


def _moved(model: Model, step: Floats, penalty: Floats, uphill: float) -> Model:
    """*model* after the *step*, which is halved while it would go far beyond the maximum."""
    moved, m = model, model.m
    for share in _SHARES:
        parameters = np.clip(model.parameters + share * step, -_FURTHEST, _FURTHEST)
        parameters[:m] -= parameters[:m].mean()
        if model.rule == RAO_KUPPER and parameters[-1] <= 0:
            continue
        moved = model.at(parameters)
        if float((moved.gradient() - penalty * parameters) @ step) >= -uphill / 2:
            break
    return moved


def _check_identified(model: Model) -> None:
    """Raise StatisticsError if the battles cannot separate an effect from the strengths and the other effects."""
    m, n_effects = model.m, len(model.design.effects)
    if not n_effects:
        return
    matrix = make_invertible(model.information(), m)[: m + n_effects, : m + n_effects]
    between = matrix[:m, m:]
    alone = matrix[m:, m:]
    scale = np.sqrt(alone.diagonal())
    _check_apart(model.design.effects, alone, scale)
    try:
        remaining = alone - between.T @ np.linalg.solve(matrix[:m, :m], between)
        identified = scale.all() and np.linalg.eigvalsh(remaining / np.outer(scale, scale)).min() >= _IDENTIFIED
    except np.linalg.LinAlgError:
        identified = False
    if not identified:
        names = ", ".join(model.design.effects)
        raise StatisticsError(
            f"These battles cannot separate {names} from the contestants' strengths: nobody changes sides."
        )


def _check_apart(effects: tuple[str, ...], alone: Floats, scale: Floats) -> None:
    """Raise StatisticsError if an effect never differs between the two sides, or some always differ together.

    *alone* is the information on the *effects*, float64[k, k], and *scale* the root of its diagonal.
    """
    if not scale.all():
        names = ", ".join(name for name, size in zip(effects, scale.tolist(), strict=True) if not size)
        raise StatisticsError(
            f"These battles cannot separate the effects of {names}: the two sides never differ in it."
        )
    least, axes = np.linalg.eigh(alone / np.outer(scale, scale))
    if least[0] < _IDENTIFIED:
        together = (np.abs(axes[:, least < _IDENTIFIED]) > _TOGETHER).any(axis=1).tolist()
        names = ", ".join(name for name, part in zip(effects, together, strict=True) if part)
        raise StatisticsError(
            f"These battles cannot separate the effects of {names}: they always differ together. Leave some out."
        )


def invert(matrix: Floats, m: int) -> Floats:
    """The inverse of an information *matrix* after `make_invertible`. Raises StatisticsError if there is none.

    >>> invert(np.array([[1.0, -1.0], [-1.0, 1.0]]), 2).tolist()
    [[0.75, 0.25], [0.25, 0.75]]
    """
    try:
        return np.linalg.inv(make_invertible(matrix, m)).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        raise StatisticsError("The battles hardly determine the ratings.") from None


def make_invertible(matrix: Floats, m: int) -> Floats:
    """Make an information *matrix* (or a stack of them) invertible, whose first m rows are log strengths.

    The battles say nothing about the sum of the strengths. It gets as much information as one strength has on average.

    >>> make_invertible(np.array([[1.0, -1.0], [-1.0, 1.0]]), 2).tolist()
    [[1.5, -0.5], [-0.5, 1.5]]
    """
    whole = matrix.copy()
    strengths = whole[..., :m, :m]
    strengths += (np.trace(strengths, axis1=-2, axis2=-1) / m**2)[..., None, None]
    return whole
