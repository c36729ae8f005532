"""The sums of each prompt's battles, by parameter: what the variance of a fit is computed from.

For a prompt and a parameter k, the sums run over the prompt's battles. Battle b has the weight w, the derivative of
its log likelihood e, and the negated second derivative c; x is its factor of the parameter, which for a strength is 1
for the left side, -1 for the right side and 0 for all others.

- score: w e x. At the maximum of the likelihood, these sum to 0 over prompts.
- information: w c x^2.
- noise: w^2 c x^2, the variance of the score if battles are independent.
- alone: (w c x^2)^2.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from judge.columns.arrays import Floats, Ints, sums
from judge.stats.paired_model import Model, Rows

_TOGETHER = 1 << 20
"""The number of battles whose terms are in memory at once: 8 MB for each of a few columns."""
_DENSE = 1 << 20
"""The entries of a dense block of prompts and parameters: 8 MB."""


@dataclass(frozen=True, eq=False)
class PromptSums:
    """The sums of G prompts, float64[G, p] each.

    A column of *values* below has the shape of the sums.
    """

    score: Floats
    information: Floats
    noise: Floats
    alone: Floats

    def spread(self, by_parameter: Floats) -> Floats:
        """A value of each parameter (float64[p]) in a shape that multiplies columns of values."""
        return by_parameter

    def total(self, values: Floats) -> Floats:
        """The sum over prompts, float64[p]."""
        total: Floats = values.sum(axis=0)
        return total

    def own_prompts(self) -> Floats:
        """The number of prompts with information on each parameter, float64[p]."""
        prompts: Floats = (self.information > 0).sum(axis=0, dtype=np.float64)
        return prompts

    def cross(self, first: Floats, second: Floats, factor: Floats | None = None) -> Floats:
        """The sums over prompts of the products of two columns of values, float64[p, p].

        *factor* is float64[G], a factor of each prompt's product.
        """
        product: Floats = first.T @ (second if factor is None else second * factor[:, None])
        return product

    def grouped(self, values: Floats, group: Ints, groups: int) -> Floats:
        """The sums over prompts of the same *group* (int32[G]), float64[groups, p]."""
        return np.stack([sums(group, column, groups) for column in values.T], axis=1)


@dataclass(frozen=True, eq=False)
class BattleSums:
    """The same for k kinds of prompts with a single battle, float64[q, k] each, by the q parameters of a battle.

    These are the two contestants', the effects' and the tie parameter. *parameter* is int32[q, k], their codes, *times*
    is float64[k], the number of equal prompts, and *p* the number of all parameters.
    """

    score: Floats
    information: Floats
    noise: Floats
    alone: Floats
    parameter: Ints
    times: Floats
    p: int

    def spread(self, by_parameter: Floats) -> Floats:
        """A value of each parameter (float64[p]) in a shape that multiplies columns of values."""
        spread: Floats = by_parameter[self.parameter]
        return spread

    def total(self, values: Floats) -> Floats:
        """The sum over prompts, float64[p]."""
        return sums(self.parameter.ravel(), (values * self.times).ravel(), self.p)

    def own_prompts(self) -> Floats:
        """The number of prompts with information on each parameter, float64[p]."""
        return self.total((self.information > 0).astype(np.float64))

    def cross(self, first: Floats, second: Floats, factor: Floats | None = None) -> Floats:
        """The sums over prompts of the products of two columns of values, float64[p, p].

        *factor* is float64[k], a factor of each prompt's product.
        """
        second = second * (self.times if factor is None else self.times * factor)
        p, total = self.p, np.zeros(self.p**2)
        for row, left in zip(self.parameter.astype(np.intp) * p, first, strict=True):
            for column, right in zip(self.parameter, second, strict=True):
                total += sums(row + column, left * right, p * p)
        return total.reshape(p, p)

    def grouped(self, values: Floats, group: Ints, groups: int) -> Floats:
        """The sums over prompts of the same *group* (int32[k]), float64[groups, p]."""
        at = group.astype(np.intp) * self.p + self.parameter
        return sums(at.ravel(), (values * self.times).ravel(), groups * self.p).reshape(groups, self.p)

    def parts(self, size: int) -> "Iterator[tuple[BattleSums, slice]]":
        """Yield at most *size* kinds at a time, with their positions."""
        for start in range(0, self.times.size, size):
            few = slice(start, start + size)
            part = BattleSums(
                score=self.score[:, few],
                information=self.information[:, few],
                noise=self.noise[:, few],
                alone=self.alone[:, few],
                parameter=self.parameter[:, few],
                times=self.times[few],
                p=self.p,
            )
            yield part, few


@dataclass(frozen=True, eq=False)
class SparseSums:
    """The same for many prompts of few battles: float64[k] each, for the k pairs of a prompt and one of its parameters.

    *prompt* and *parameter* are int32[k], sorted by prompt and then by parameter. There are *prompts* in all, and *p*
    parameters.
    """

    score: Floats
    information: Floats
    noise: Floats
    alone: Floats
    prompt: Ints
    parameter: Ints
    prompts: int
    p: int

    def spread(self, by_parameter: Floats) -> Floats:
        """A value of each parameter (float64[p]) in a shape that multiplies columns of values."""
        spread: Floats = by_parameter[self.parameter]
        return spread

    def total(self, values: Floats) -> Floats:
        """The sum over prompts, float64[p]."""
        return sums(self.parameter, values, self.p)

    def own_prompts(self) -> Floats:
        """The number of prompts with information on each parameter, float64[p]."""
        return self.total((self.information > 0).astype(np.float64))

    def cross(self, first: Floats, second: Floats, factor: Floats | None = None) -> Floats:
        """The sums over prompts of the products of two columns of values, float64[p, p].

        *factor* is float64[prompts], a factor of each prompt's product.
        """
        from scipy.sparse import csr_array  # noqa: PLC0415 - a slow import, needed only here

        second = second if factor is None else second * factor[self.prompt]
        starts = np.searchsorted(self.prompt, np.arange(self.prompts + 1))
        left, right = (
            csr_array((column, self.parameter, starts), shape=(self.prompts, self.p)) for column in (first, second)
        )
        product, together = np.zeros((self.p, self.p)), max(1, _DENSE // self.p)
        for start in range(0, self.prompts, together):
            # The product of two sparse arrays takes several times as long, because it is dense.
            product += left[start : start + together].T @ right[start : start + together].toarray()
        return product

    def grouped(self, values: Floats, group: Ints, groups: int) -> Floats:
        """The sums over prompts of the same *group* (int32[prompts]), float64[groups, p]."""
        at = group[self.prompt].astype(np.intp) * self.p + self.parameter
        return sums(at, values, groups * self.p).reshape(groups, self.p)


Sums = PromptSums | BattleSums | SparseSums


def sum_prompts(model: Model, rows: Rows, cluster: Ints, clusters: int) -> PromptSums:
    """The sums of *clusters* prompts. *cluster* has the prompt's code for each battle of *rows*.

    >>> from judge.stats.battles import Battles
    >>> from judge.stats.bradley_terry import bradley_terry
    >>> model = bradley_terry(Battles.from_names(["a", "a", "b"], ["b", "b", "a"], ["left", "right", "tie"])).model
    >>> sums_of = sum_prompts(model, slice(None), np.array([0, 0, 1]), 2)
    >>> sums_of.score.tolist(), sums_of.information.tolist()
    ([[0.0, 0.0], [0.0, 0.0]], [[0.5, 0.5], [0.25, 0.25]])
    """
    total = np.zeros((4, clusters, model.parameters.size))
    for start in range(0, cluster.size, _TOGETHER):
        few = slice(start, start + _TOGETHER)
        _add_battles(total, model, few if isinstance(rows, slice) else rows[few], cluster[few])
    if model.design.battles.weight is None:
        total[2] = total[1]
    return PromptSums(*total)


def _add_battles(total: Floats, model: Model, rows: Rows, cluster: Ints) -> None:
    """Add the battles of *rows* to the sums *total*, float64[4, clusters, p]; not to the noise without weights."""
    m, battles, clusters = model.m, model.design.battles, total.shape[1]
    score, information = model.derivatives(rows)
    weight = None if battles.weight is None else battles.weight[rows]
    columns = _columns(score, information, weight)
    left, right = (cluster.astype(np.intp) * m + side[rows] for side in (battles.left, battles.right))
    for power, (into, column) in enumerate(zip(total, columns, strict=True)):
        if column is None:
            continue
        by_side = [sums(at, column, clusters * m).reshape(clusters, m) for at in (left, right)]
        into[:, :m] += by_side[0] + by_side[1] if power else by_side[0] - by_side[1]
        for at, factor in enumerate(model.design.columns(rows).T, m):
            into[:, at] += sums(cluster, column * factor ** _POWERS[power], clusters)
    if model.ties:
        for into, column in zip(total, _columns(*model.derivatives(rows, tie=True), weight), strict=True):
            into[:, -1] += 0.0 if column is None else sums(cluster, column, clusters)


_POWERS = (1, 2, 2, 4)
"""The power of x in the score, the information, the noise and what is squared alone."""


def _columns(score: Floats, information: Floats, weight: Floats | None) -> tuple[Floats, Floats, Floats | None, Floats]:
    """The terms of the four sums, float64[n] each; None for the noise if it is the information."""
    if weight is None:
        return score, information, None, np.square(information)
    weighted = information * weight
    return score * weight, weighted, weighted * weight, np.square(weighted)


def sum_battles(model: Model, *, each: bool) -> BattleSums:
    """The sums of prompts with a single battle.

    Unless *each* is true, or the battles have weights, those of equal battles are counted together, and without a tie
    parameter those of all battles of a pair, whose score is then the root of the mean square: only squares are used.

    >>> from judge.stats.battles import Battles
    >>> from judge.stats.bradley_terry import bradley_terry
    >>> model = bradley_terry(Battles.from_names(["a", "a", "b"], ["b", "b", "a"], ["left", "left", "left"])).model
    >>> sum_battles(model, each=False).times.tolist(), sum_battles(model, each=True).times.tolist()
    ([3.0], [1.0, 1.0, 1.0])
    """
    battles, cells, m = model.design.battles, model.design.cells, model.m
    if each or battles.weight is not None:
        by_tie = model.derivatives(slice(None), tie=True) if model.ties else None
        by_eta, factors = model.derivatives(slice(None)), model.design.columns(slice(None)).T
        sides: list[npt.NDArray[np.integer]] = [battles.left, battles.right]
        times = np.ones(battles.n)
    else:
        by_tie = model.cell_derivatives(tie=True) if model.ties else None
        by_eta, factors = model.cell_derivatives(), cells.columns.T
        sides, times = [cells.left, cells.right], cells.weight
        if by_tie is None and model.design.covariates is None:
            pairs, at, times = _pairs_of(model, times)
            squares = sums(at, cells.weight * np.square(by_eta[0]), times.size)
            # Battles of a pair differ in the score alone.
            by_eta = np.sqrt(squares / times), by_eta[1][pairs]
            sides, factors = [side[pairs] for side in sides], factors[:, pairs]
    scores, informations = ([column] for column in by_eta)
    scores.append(-scores[0])
    informations.append(informations[0])
    scores += [scores[0] * factor for factor in factors]
    informations += [informations[0] * np.square(factor) for factor in factors]
    if by_tie is not None:
        scores.append(by_tie[0])
        informations.append(by_tie[1])
    score, information, noise, alone = _columns(np.stack(scores), np.stack(informations), battles.weight)
    sides += [np.full(times.size, code) for code in range(m, model.parameters.size)]
    return BattleSums(
        score=score,
        information=information,
        noise=information if noise is None else noise,
        alone=alone,
        parameter=np.stack(sides).astype(np.int32),
        times=times,
        p=model.parameters.size,
    )


def _pairs_of(model: Model, weight: Floats) -> tuple[Ints, Ints, Floats]:
    """The first cell of each pair, int32[k], the pair of each cell, and the summed *weight* of the pair, float64[k].

    The two sides of a pair are interchangeable unless there is an effect of position.
    """
    left, right = model.design.cells.left.astype(np.intp), model.design.cells.right.astype(np.intp)
    if not model.design.position:
        left, right = np.minimum(left, right), np.maximum(left, right)
    _, first, at = np.unique(left * model.m + right, return_index=True, return_inverse=True)
    return first.astype(np.int32), at.astype(np.int32), sums(at, weight, first.size)


def sum_sparse_prompts(model: Model, cluster: Ints, clusters: int) -> SparseSums:
    """The sums of *clusters* prompts with few battles each. *cluster* has the prompt's code for each battle.

    >>> from judge.stats.battles import Battles
    >>> from judge.stats.bradley_terry import bradley_terry
    >>> model = bradley_terry(Battles.from_names(["a", "a", "b"], ["b", "b", "a"], ["left", "right", "tie"])).model
    >>> sums_of = sum_sparse_prompts(model, np.array([0, 0, 1]), 2)
    >>> sums_of.prompt.tolist(), sums_of.parameter.tolist(), sums_of.information.tolist()
    ([0, 0, 1, 1], [0, 1, 0, 1], [0.5, 0.5, 0.25, 0.25])
    """
    each = sum_battles(model, each=True)
    keys, at = np.unique(cluster.astype(np.intp) * each.p + each.parameter, return_inverse=True)
    columns = (each.score, each.information, each.noise, each.alone)
    score, information, noise, alone = (sums(at.ravel(), column.ravel(), keys.size) for column in columns)
    return SparseSums(
        score=score,
        information=information,
        noise=noise,
        alone=alone,
        prompt=(keys // each.p).astype(np.int32),
        parameter=(keys % each.p).astype(np.int32),
        prompts=clusters,
        p=each.p,
    )
