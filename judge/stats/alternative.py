"""The alternative-annotator test: can a judge replace any one of these annotators?

N. Calderon, R. Reichart, R. Dror (2025), "The Alternative Annotator Test for LLM-as-a-Judge", arXiv:2501.10970. Each
annotator is left out in turn. On the items that others voted on too, the judge and the annotator are each compared with
the others. The judge has the advantage on an item if it agrees with at least as many of them as the annotator does, and
vice versa. Let d be the annotator's advantage minus the judge's. The judge beats the annotator if a one-sided t test
finds the mean of d below epsilon, at a false discovery rate of q by Y. Benjamini, D. Yekutieli (2001), Annals of
Statistics 29(4). The winning rate is the share of annotators that the judge beats; one half passes the test.

The paper's t test takes items as independent. Several items of one prompt are not, and at the boundary of its
hypothesis it then beats an annotator in far more than 5 % of cases. So the answer is by prompt: the same test with the
variance and the degrees of freedom of `linearized`, and no annotator is beaten on fewer than 5 prompts. The paper's
figures are kept next to it.

A judge exactly at parity (mean d of 0) passes with a probability that depends on the spread and number of prompts. If
that probability is below 80 %, a judge that does not pass may still be good enough, and the answer is "cannot tell".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Flags, Floats, Ints
from judge.stats.cluster_intervals import FEWEST
from judge.stats.errors import StatisticsError
from judge.stats.linearized import Linearized, linearized_mean
from judge.stats.votes import VoteColumns

PASSES, FAILS, CANNOT_TELL = "passes", "fails", "cannot tell"
ENOUGH = 0.5
ENOUGH_POWER = 0.8
_DRAWS = 2000
_PLACES = 6


@dataclass(frozen=True)
class Annotator:
    """The test of one *annotator* (a code) on *n* items.

    The items come from so many *prompts*. *judge* and *own* are the shares of items on which the judge and the
    annotator have the advantage (both, in a tie). *p* is the p-value of the t test over prompts, and *beaten* says
    whether the judge beats the annotator; *paper_p* and *paper_beaten* take the items as independent.
    """

    annotator: int
    n: int
    prompts: int
    judge: float
    own: float
    p: float
    beaten: bool
    paper_p: float
    paper_beaten: bool


@dataclass(frozen=True)
class Alternative:
    """The result of the test.

    *left_out* are the annotators (codes) with fewer than *least* items. *advantage* is the mean of the judge's
    advantages, and *parity* the probability that a judge at parity would pass. *paper_winning_rate* takes the items as
    independent. All of them, and *winning_rate*, are None without annotators.
    """

    annotators: tuple[Annotator, ...]
    left_out: tuple[int, ...]
    winning_rate: float | None
    paper_winning_rate: float | None
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
    """Test whether the *judge*, with one vote per item, can replace the annotators of *people*.

    Annotators with fewer than *least* items that the judge and other annotators voted on are left out. Raises
    StatisticsError for an *epsilon* or *q* outside 0 to 1, or a *least* below 2.

    >>> item = np.repeat(np.arange(60, dtype=np.int32), 3)
    >>> people = VoteColumns(item, np.tile([0, 0, 1], 60), item, np.tile(np.arange(3), 60))
    >>> judge = VoteColumns(item[::3], np.zeros(60, dtype=int), item[::3], np.full(60, 9))
    >>> test = alternative_annotator(judge, people, np.random.default_rng(0))
    >>> test.winning_rate, test.answer
    (1.0, 'passes')
    """
    if not 0 <= epsilon <= 1 or not 0 < q < 1:
        raise StatisticsError(f"epsilon must be from 0 to 1 and q between 0 and 1, not {epsilon} and {q}.")
    if least < 2:  # noqa: PLR2004 - a spread needs two
        raise StatisticsError(f"The t test needs at least 2 items per annotator, not {least}.")
    gaps, left_out = list[_Gap](), list[int]()
    for annotator, own, prompt in _advantages(judge, people):
        if len(own) < least:
            left_out.append(annotator)
        else:
            gaps.append(_Gap.of(annotator, own, prompt))
    annotators = _annotators(gaps, epsilon, q)
    rate, paper_rate = (
        round(float(np.mean(beaten)), _PLACES) if annotators else None
        for beaten in ([row.beaten for row in annotators], [row.paper_beaten for row in annotators])
    )
    parity = _parity(gaps, rng, epsilon, q) if gaps else None
    return Alternative(
        annotators=annotators,
        left_out=tuple(left_out),
        winning_rate=rate,
        paper_winning_rate=paper_rate,
        advantage=round(float(np.mean([row.judge for row in annotators])), _PLACES) if annotators else None,
        parity=parity,
        answer=_answer(rate, parity),
        epsilon=epsilon,
        q=q,
        least=least,
    )


@dataclass(frozen=True, eq=False)
class _Gap:
    """The mean over items of an annotator's advantage minus the judge's, over prompts and over independent items."""

    annotator: int
    n: int
    judge: float
    own: float
    over_prompts: Linearized
    over_items: Linearized

    @staticmethod
    def of(annotator: int, own: Floats, prompt: Ints) -> "_Gap":
        """From the advantages *own*, float64[n, 2], of the judge and of the annotator on items of *prompt*."""
        gap = own[:, 1] - own[:, 0]
        mine, theirs = own.mean(axis=0).tolist()
        items = np.arange(gap.size, dtype=np.int32)
        return _Gap(
            annotator=annotator,
            n=gap.size,
            judge=mine,
            own=theirs,
            over_prompts=linearized_mean(gap, prompt),
            over_items=linearized_mean(gap, items),
        )


def _annotators(gaps: Sequence[_Gap], epsilon: float, q: float) -> tuple[Annotator, ...]:
    """The tests of all annotators."""
    if not gaps:
        return ()
    mean = np.array([gap.over_prompts.value for gap in gaps])
    p, paper_p = (
        _p_values(mean, *_spread(figures), epsilon)
        for figures in ([gap.over_prompts for gap in gaps], [gap.over_items for gap in gaps])
    )
    beaten, paper_beaten = (_discoveries(values[None, :], q)[0] for values in (p, paper_p))
    return tuple(
        Annotator(
            annotator=gap.annotator,
            n=gap.n,
            prompts=gap.over_prompts.clusters,
            judge=round(gap.judge, _PLACES),
            own=round(gap.own, _PLACES),
            p=round(float(p[i]), _PLACES),
            beaten=bool(beaten[i]),
            paper_p=round(float(paper_p[i]), _PLACES),
            paper_beaten=bool(paper_beaten[i]),
        )
        for i, gap in enumerate(gaps)
    )


def _spread(means: Sequence[Linearized]) -> tuple[Floats, Floats]:
    """The standard errors and the degrees of freedom of *means*, float64[m] each.

    The standard error of a mean over too few clusters is NaN.
    """
    errors = [mean.variance**0.5 if mean.clusters >= FEWEST else np.nan for mean in means]
    return np.array(errors), np.array([mean.freedom for mean in means])


def _parity(gaps: Sequence[_Gap], rng: np.random.Generator, epsilon: float, q: float) -> float:
    """The probability that a judge with a mean gap of 0 to every annotator passes."""
    error, freedom = _spread([gap.over_prompts for gap in gaps])
    drawn = rng.standard_normal((_DRAWS, error.size)) * error
    errors = error * np.sqrt(rng.chisquare(freedom, (_DRAWS, error.size)) / freedom)
    return float((_discoveries(_p_values(drawn, errors, freedom, epsilon), q).mean(axis=1) >= ENOUGH).mean())


def _answer(rate: float | None, parity: float | None) -> str:
    if rate is None or parity is None:
        return CANNOT_TELL
    return PASSES if rate >= ENOUGH else FAILS if parity >= ENOUGH_POWER else CANNOT_TELL


def _advantages(judge: VoteColumns, people: VoteColumns) -> Iterator[tuple[int, Floats, Ints]]:
    """Yield each annotator with the advantages of the judge and of the annotator: float64[items, 2], 1 or 0.

    Also yields the items' prompts, int32[items]. The items are those that others voted on too. If an annotator voted
    twice, the first vote counts.
    """
    order = np.argsort(judge.item, kind="stable")
    items, outcome_of_judge, prompt = judge.item[order], judge.outcome[order], judge.cluster[order]
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
        ours, theirs = others[rows_of, outcome_of_judge[at]], others[rows_of, outcome[mine][first]]
        yield who, np.column_stack((ours >= theirs, theirs >= ours))[met].astype(np.float64), prompt[at[met]]


def _p_values(mean: Floats, error: Floats, freedom: Floats, epsilon: float) -> Floats:
    """The p-values of one-sided t tests that the mean is below *epsilon*.

    They are 0 or 1 where nothing varies, and 1 where *error* is NaN.
    """
    from scipy.special import stdtr  # noqa: PLC0415 - a slow import, needed only here

    t = np.where(mean < epsilon, -np.inf, np.inf)
    np.divide(mean - epsilon, error, out=t, where=np.broadcast_to(error > 0, mean.shape))
    p: Floats = np.where(np.isnan(error), 1.0, stdtr(freedom, t))
    return p


def _discoveries(p: Floats, q: float) -> Flags:
    """The p-values in each row of *p* that are discoveries at the rate *q*, under any dependence: bool[k, m]."""
    m = p.shape[1]
    bound = q * np.arange(1, m + 1) / (m * (1 / np.arange(1, m + 1)).sum())
    order = np.argsort(p, axis=1, kind="stable")
    below = np.take_along_axis(p, order, axis=1) <= bound
    last = np.where(below.any(axis=1), m - below[:, ::-1].argmax(axis=1), 0)
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(m)[None, :].repeat(len(p), axis=0), axis=1)
    discovered: Flags = place < last[:, None]
    return discovered
