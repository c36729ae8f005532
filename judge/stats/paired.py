"""A model of battles at some parameters: its gradient, its information, and the score of each prompt.

The parameters are m log strengths, then what else speaks for the left side (its position, covariates), then the tie
parameter of rules that have one. Whatever has no covariates depends on a battle by who met and how it ended alone, and
is computed once for each such cell.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from judge.stats.arrays import Flags, Floats, Ints, sums
from judge.stats.battles import Battles
from judge.stats.errors import NotConverged
from judge.stats.tie_rules import HALF_WIN, RAO_KUPPER, Terms, terms

Rows = slice | npt.NDArray[np.integer] | Flags
POSITION = "position"
"""The name of what being on the left, or shown first, is worth."""
OUTCOMES = 3
_TABLE = 1 << 20
"""A table of derivatives may always be this large."""
_FURTHEST = 700.0
_SHARES = tuple(0.5**halvings for halvings in range(30))
_IDENTIFIED = 1e-9
"""An effect with a smaller share of its information left beside the others cannot be told from them."""


@dataclass(frozen=True, eq=False)
class Covariates:
    """What else speaks for the left side: *values* is float64[n, p], left less right, one column a *name*."""

    names: tuple[str, ...]
    values: Floats

    def __post_init__(self) -> None:
        """Raises ValueError where a value is NaN or infinite, or there is not a column a name."""
        if self.values.ndim != 2 or self.values.shape[1] != len(self.names):  # noqa: PLR2004 - rows and columns
            raise ValueError(f"{len(self.names)} covariates need as many columns, not an array {self.values.shape}.")
        for name, column in zip(self.names, self.values.T, strict=True):
            if not np.isfinite(column).all():
                raise ValueError(f"The covariate {name!r} holds a value that is NaN or infinite.")


@dataclass(frozen=True, eq=False)
class Model:
    """*battles* under a tie *rule*, with a *position* effect or without, and perhaps *covariates*, at *parameters*."""

    battles: Battles
    rule: str
    position: bool
    covariates: Covariates | None
    parameters: Floats

    @property
    def m(self) -> int:
        """The number of contestants."""
        return len(self.battles.contestants)

    @property
    def effects(self) -> tuple[str, ...]:
        """The names of the parameters between the strengths and the tie parameter."""
        named = () if self.covariates is None else self.covariates.names
        return ((POSITION,) if self.position else ()) + named

    @property
    def tau(self) -> float:
        """The tie parameter; 0 for a rule without one."""
        return 0.0 if self.rule == HALF_WIN else float(self.parameters[-1])

    def at(self, parameters: Floats) -> "Model":
        """The same at other *parameters*."""
        return replace(self, parameters=parameters)

    def among(self, rows: Rows) -> "Model":
        """The same of some of the battles; their clusters are left out."""
        kept = replace(
            self.battles,
            left=self.battles.left[rows],
            right=self.battles.right[rows],
            outcome=self.battles.outcome[rows],
            weight=None if self.battles.weight is None else self.battles.weight[rows],
            cluster=None,
        )
        told = self.covariates
        return replace(self, battles=kept, covariates=told and replace(told, values=told.values[rows]))

    def gradient(self) -> Floats:
        """The gradient of the log likelihood, float64[parameters]."""
        cells = self._cells
        weight, found = cells.weight, cells.terms
        return _summed(cells, self.m, weight * found.eta, weight * found.tau, tie=self.rule != HALF_WIN)

    def information(self) -> Floats:
        """The negated second derivatives of the log likelihood, float64[parameters, parameters]."""
        cells = self._cells
        weight, found = cells.weight, cells.terms
        columns = (weight * found.eta_eta, weight * found.eta_tau, weight * found.tau_tau)
        return _assembled(cells, self.m, *columns, tie=self.rule != HALF_WIN)

    def meat(self) -> Floats:
        """The sum of U U' over single battles, U their scores."""
        cells = self._squared
        weight, found = cells.weight, cells.terms
        columns = (weight * found.eta**2, weight * found.eta * found.tau, weight * found.tau**2)
        return _assembled(cells, self.m, *columns, tie=self.rule != HALF_WIN)

    def scores(self, rows: Rows, cluster: Ints, clusters: int) -> Floats:
        """The summed score of each cluster, float64[clusters, parameters]. *cluster* has the code of each of *rows*."""
        m = self.m
        eta, tau, extra = self._scores_of(rows)
        at = cluster.astype(np.intp) * m
        strengths = sums(at + self.battles.left[rows], eta, clusters * m)
        strengths -= sums(at + self.battles.right[rows], eta, clusters * m)
        columns = [sums(cluster, eta * column, clusters) for column in extra]
        if self.rule != HALF_WIN:
            columns.append(sums(cluster, tau, clusters))
        return np.column_stack((strengths.reshape(clusters, m), *columns))

    def _scores_of(self, rows: Rows) -> tuple[Floats, Floats, list[Floats]]:
        """Of each battle of *rows*: its weighted derivatives by eta and tau, and what multiplies the effects."""
        battles = self.battles
        left, right, outcome = battles.left[rows], battles.right[rows], battles.outcome[rows]
        extra = [np.ones(left.size)] if self.position else []
        if self.covariates is not None:
            found = self._cells.terms
            eta, tau = found.eta[rows], found.tau[rows]
            extra.extend(self.covariates.values[rows].T)
        elif OUTCOMES * self.m**2 <= max(_TABLE, left.size):
            at = (left.astype(np.intp) * self.m + right) * OUTCOMES + outcome
            eta, tau = self._by_cell.eta[at], self._by_cell.tau[at]
        else:
            strengths = self.parameters[: self.m]
            found = terms(self.rule, outcome, strengths[left] - strengths[right] + self._first(), self.tau)
            eta, tau = found.eta, found.tau
        if battles.weight is None:
            return eta, tau, extra
        weight = battles.weight[rows]
        return eta * weight, tau * weight, extra

    @cached_property
    def _by_cell(self) -> Terms:
        """The derivatives of every battle there could be, float64[m * m * 3]."""
        strengths = self.parameters[: self.m]
        eta = np.repeat(np.subtract.outer(strengths, strengths).ravel() + self._first(), OUTCOMES)
        outcome = np.tile(np.arange(OUTCOMES, dtype=np.int8), self.m * self.m)
        return terms(self.rule, outcome, eta, self.tau)

    def _first(self) -> float:
        return float(self.parameters[self.m]) if self.position else 0.0

    @cached_property
    def _cells(self) -> "_Cells":
        return self._celled(self.battles.weight)

    @cached_property
    def _squared(self) -> "_Cells":
        return self._celled(None if self.battles.weight is None else np.square(self.battles.weight))

    def _celled(self, weight: Floats | None) -> "_Cells":
        if self.covariates is None:
            table = self.battles.cells(weight).ravel()
            at = np.flatnonzero(table)
            pair, outcome = np.divmod(at, OUTCOMES)
            left, right = np.divmod(pair, self.m)
            extra = np.ones((at.size, 1)) if self.position else np.empty((at.size, 0))
            counted = table[at]
        else:
            left, right, outcome = self.battles.left, self.battles.right, self.battles.outcome
            counted = np.ones(left.size) if weight is None else weight
            extra = self.covariates.values
            if self.position:
                extra = np.column_stack((np.ones(left.size), extra))
        strengths, effects = self.parameters[: self.m], self.parameters[self.m : self.m + extra.shape[1]]
        eta = strengths[left] - strengths[right] + extra @ effects
        found = terms(self.rule, outcome.astype(np.int8), eta, self.tau)
        return _Cells(left, right, counted, extra, found)


@dataclass(frozen=True, eq=False)
class _Cells:
    """Battles that are alike, taken together: who met, their weight, what speaks for the left side, derivatives."""

    left: npt.NDArray[np.integer]
    right: npt.NDArray[np.integer]
    weight: Floats
    extra: Floats
    terms: Terms


def _between(cells: _Cells, m: int, column: Floats) -> Floats:
    return sums(cells.left, column, m) - sums(cells.right, column, m)


def _summed(cells: _Cells, m: int, eta: Floats, tau: Floats, *, tie: bool) -> Floats:
    last = [tau.sum()] if tie else []
    return np.concatenate((_between(cells, m, eta), eta @ cells.extra, last))


def _assembled(cells: _Cells, m: int, eta_eta: Floats, eta_tau: Floats, tau_tau: Floats, *, tie: bool) -> Floats:
    """The sum over cells of the outer products of (left - right, extra, tie), with those three weights."""
    extra = cells.extra
    size = m + extra.shape[1] + tie
    matrix = np.zeros((size, size))
    pairs = sums(cells.left.astype(np.intp) * m + cells.right, eta_eta, m * m).reshape(m, m)
    pairs = pairs + pairs.T
    matrix[:m, :m] = np.diag(pairs.sum(axis=1)) - pairs
    effects = slice(m, m + extra.shape[1])
    for at, column in enumerate(extra.T, m):
        matrix[:m, at] = matrix[at, :m] = _between(cells, m, eta_eta * column)
    matrix[effects, effects] = extra.T @ (eta_eta[:, None] * extra)
    if tie:
        matrix[:m, -1] = matrix[-1, :m] = _between(cells, m, eta_tau)
        matrix[effects, -1] = matrix[-1, effects] = eta_tau @ extra
        matrix[-1, -1] = tau_tau.sum()
    return matrix


def climbed(model: Model, ridge: float, tolerance: float, max_iterations: int) -> tuple[Model, int]:
    """*model* at its maximum, and the Newton steps taken; *ridge* / 2 times the squared log strengths is taken off.

    The strengths sum to zero. Raises NotConverged, and ValueError for an effect that the battles don't tell from the
    strengths.
    """
    m = model.m
    penalty = np.zeros(model.parameters.size)
    penalty[:m] = ridge
    _told(model)
    step = np.zeros(model.parameters.size)
    for iteration in range(1, max_iterations + 1):
        gradient = model.gradient() - penalty * model.parameters
        try:
            matrix = grounded(model.information() + np.diag(penalty), m)
            step = np.linalg.solve(matrix, gradient).astype(np.float64, copy=False)
        except np.linalg.LinAlgError:
            raise NotConverged(iteration, tolerance, _moving(model, step)) from None
        model = _moved(model, step, penalty, float(gradient @ step))
        if np.abs(step).max() <= tolerance:
            return model, iteration
    raise NotConverged(max_iterations, tolerance, _moving(model, step))


def _moving(model: Model, step: Floats) -> str:
    """The effect that the last *step* moved most, or nothing where that is a strength or the tie parameter."""
    at = int(np.abs(step).argmax()) - model.m
    return model.effects[at] if 0 <= at < len(model.effects) else ""


def _moved(model: Model, step: Floats, penalty: Floats, uphill: float) -> Model:
    """*model* after the *step*, or after a half, a quarter ... of it where it would pass the maximum by far."""
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


def _told(model: Model) -> None:
    """Raises ValueError where the battles do not tell an effect from the strengths and the other effects."""
    m, many = model.m, len(model.effects)
    if not many:
        return
    matrix = grounded(model.information(), m)[: m + many, : m + many]
    between = matrix[:m, m:]
    alone = matrix[m:, m:]
    left = alone - between.T @ np.linalg.solve(matrix[:m, :m], between)
    size = np.sqrt(alone.diagonal())
    if not size.all() or np.linalg.eigvalsh(left / np.outer(size, size)).min() < _IDENTIFIED:
        named = ", ".join(model.effects)
        raise ValueError(f"These battles do not tell {named} from the contestants' strengths: nobody changes sides.")


def grounded(matrix: Floats, m: int) -> Floats:
    """The information *matrix* made invertible: as much information is given about the sum of the m strengths as there
    is about one of them on average.
    """
    whole = matrix.copy()
    whole[:m, :m] += float(matrix[:m, :m].trace()) / m**2
    return whole


def blocks(cluster: Ints, clusters: int, size: int) -> Iterator[tuple[slice | Ints, int, int]]:
    """Rows of at most *size* clusters at a time, with the first cluster and the number of clusters."""
    if clusters <= size:
        yield slice(None), 0, clusters
        return
    order = np.argsort(cluster, kind="stable").astype(np.int32)
    starts = np.append(np.arange(0, clusters, size), clusters)
    ends = np.searchsorted(cluster, starts, sorter=order)
    for i in range(starts.size - 1):
        yield order[ends[i] : ends[i + 1]], int(starts[i]), int(starts[i + 1] - starts[i])
