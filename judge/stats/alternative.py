"""The alternative-annotator test: may a judge stand in for any of these annotators?

N. Calderon, R. Reichart, R. Dror (2025), "The Alternative Annotator Test for LLM-as-a-Judge", arXiv:2501.10970. Each
annotator is left out in turn; on the items that others voted on too, the judge and the annotator are each compared with
the others. The judge has the advantage on an item where it agrees with at least as many of them; likewise the
annotator. With d the annotator's advantage less the judge's, the judge is found better than the annotator less epsilon
where a one-sided t test finds the mean of d below epsilon, at a false discovery rate of q by Y. Benjamini, D. Yekutieli
(2001), Annals of Statistics 29(4). The winning rate is the share of annotators it is found so for; a half is enough.

A judge exactly at parity (mean d of 0) would pass with some chance, which the spread and number of items decide. Where
that is below 80 %, not passing says nothing: the answer is "cannot tell".
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Flags, Floats
from judge.stats.votes import VoteColumns

PASSES, FAILS, CANNOT_TELL = "passes", "fails", "cannot tell"
ENOUGH = 0.5
ENOUGH_POWER = 0.8
_DRAWS = 2000
_PLACES = 6


@dataclass(frozen=True)
class Annotator:
    """One annotator (a code): on *n* items the judge has the advantage in *judge* of them, the annotator in *own*."""

    annotator: int
    n: int
    judge: float
    own: float
    p: float
    beaten: bool


@dataclass(frozen=True)
class Alternative:
    """The test's outcome.

    *left_out* are annotators (codes) with fewer than *least* items. *winning_rate* is None without annotators, and so
    is *advantage*, the mean of the judge's. *parity* is the chance that a judge at parity would pass.
    """

    annotators: tuple[Annotator, ...]
    left_out: tuple[int, ...]
    winning_rate: float | None
    advantage: float | None
    parity: float | None
    answer: str
    epsilon: float
    q: float
    least: int


def alternative_annotator(
    judge: VoteColumns,
    people: VoteColumns,
    rng: np.random.Generator,
    epsilon: float = 0.2,
    q: float = 0.05,
    least: int = 30,
) -> Alternative:
    """Whether the *judge*, with one vote an item, may stand in for the annotators of *people*.

    Annotators with fewer than *least* items that others voted on, and the judge, are left out. Raises ValueError for an
    epsilon or q outside 0 to 1, or fewer than two items.

    >>> item = np.repeat(np.arange(60, dtype=np.int32), 3)
    >>> people = VoteColumns(item, np.tile([0, 0, 1], 60), item, np.tile(np.arange(3), 60))
    >>> judge = VoteColumns(item[::3], np.zeros(60, dtype=int), item[::3], np.full(60, 9))
    >>> found = alternative_annotator(judge, people, np.random.default_rng(0))
    >>> found.winning_rate, found.answer
    (1.0, 'passes')
    """
    if not 0 <= epsilon <= 1 or not 0 < q < 1:
        raise ValueError(f"Epsilon lies from 0 to 1 and q between them, and not {epsilon} and {q}.")
    if least < 2:  # noqa: PLR2004 - a spread needs two
        raise ValueError(f"An annotator needs two items or more, and not {least}.")
    met, gaps, left_out = [], [], []
    for annotator, own in _advantages(judge, people):
        if len(own) < least:
            left_out.append(annotator)
            continue
        met.append((annotator, len(own), *own.mean(axis=0).tolist()))
        gaps.append(own[:, 1] - own[:, 0])
    if not met:
        return Alternative((), tuple(left_out), None, None, None, CANNOT_TELL, epsilon, q, least)
    mean, many = np.array([gap.mean() for gap in gaps]), np.array([gap.size for gap in gaps])
    error = np.array([gap.std(ddof=1) for gap in gaps]) / np.sqrt(many)
    p = _p_values(mean, error, many, epsilon)
    beaten = _discovered(p[None, :], q)[0]
    drawn = rng.standard_normal((_DRAWS, mean.size)) * error
    parity = float((_discovered(_p_values(drawn, error, many, epsilon), q).mean(axis=1) >= ENOUGH).mean())
    rate = float(beaten.mean())
    answer = PASSES if rate >= ENOUGH else FAILS if parity >= ENOUGH_POWER else CANNOT_TELL
    rows = tuple(
        Annotator(who, n, round(ours, _PLACES), round(theirs, _PLACES), round(float(p[i]), _PLACES), bool(beaten[i]))
        for i, (who, n, ours, theirs) in enumerate(met)
    )
    advantage = round(float(np.mean([row.judge for row in rows])), _PLACES)
    return Alternative(rows, tuple(left_out), round(rate, _PLACES), advantage, parity, answer, epsilon, q, least)


def _advantages(judge: VoteColumns, people: VoteColumns) -> Iterator[tuple[int, Floats]]:
    """For each annotator, whether the judge, and the annotator, agree with at least as many of the others.

    float64[items, 2], of the items that others voted on too. An annotator that voted twice counts by the first vote.
    """
    order = np.argsort(judge.item, kind="stable")
    items, said = judge.item[order], judge.outcome[order]
    rows = np.isin(people.item, items)
    item, outcome, annotator = np.searchsorted(items, people.item[rows]), people.outcome[rows], people.annotator[rows]
    votes = np.bincount(item * 3 + outcome, minlength=3 * items.size).reshape(-1, 3)
    by_annotator = np.argsort(annotator, kind="stable")
    every = np.unique(people.annotator)
    ends = np.searchsorted(annotator[by_annotator], every, side="right").tolist()
    begin = 0
    for who, end in zip(every.tolist(), ends, strict=True):
        mine = by_annotator[begin:end]
        begin = end
        at, first, code = np.unique(item[mine], return_index=True, return_inverse=True)
        own = np.bincount(code * 3 + outcome[mine], minlength=3 * at.size).reshape(-1, 3)
        others = votes[at] - own
        met = others.sum(axis=1) > 0
        rows_of = np.arange(at.size)
        ours, theirs = others[rows_of, said[at]], others[rows_of, outcome[mine][first]]
        yield who, np.column_stack((ours >= theirs, theirs >= ours))[met].astype(np.float64)


def _p_values(mean: Floats, error: Floats, many: Floats, epsilon: float) -> Floats:
    """Of one-sided t tests that the mean is below *epsilon*; where nothing varies it is or it isn't."""
    from scipy.special import stdtr  # noqa: PLC0415 - a slow import, needed only here

    t = np.where(mean < epsilon, -np.inf, np.inf)
    np.divide(mean - epsilon, error, out=t, where=np.broadcast_to(error > 0, mean.shape))
    found: Floats = stdtr(many - 1, t)
    return found


def _discovered(p: Floats, q: float) -> Flags:
    """Which of each row of *p* values are discoveries at the rate *q*, whatever their dependence: bool[k, m]."""
    m = p.shape[1]
    bound = q * np.arange(1, m + 1) / (m * (1 / np.arange(1, m + 1)).sum())
    order = np.argsort(p, axis=1, kind="stable")
    below = np.take_along_axis(p, order, axis=1) <= bound
    last = np.where(below.any(axis=1), m - below[:, ::-1].argmax(axis=1), 0)
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(m)[None, :].repeat(len(p), axis=0), axis=1)
    found: Flags = place < last[:, None]
    return found
