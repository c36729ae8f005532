"""The effect of presentation order on a judge, from comparisons that were shown in both orders.

The figures are those of P. Wang et al. (2023), "Large Language Models are not Fair Evaluators", arXiv:2305.17926, and
of L. Zheng et al. (2023), arXiv:2306.05685, table 2 (consistency, bias towards the first and the second position).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from judge.columns import arrays
from judge.columns.arrays import Ints
from judge.stats.battles import LEFT, RIGHT, TIE
from judge.stats.cluster_intervals import Estimate, ratio
from judge.stats.errors import column_errors


@dataclass(frozen=True, eq=False)
class OrderEffects:
    """A judge's outcomes on *n* comparisons that were shown in both orders.

    *consistency* is the share with the same outcome in both orders (*consistent* of *n*). The other counts divide the
    rest: in *prefers_first* the judge chose the output shown first both times, in *prefers_second* the output shown
    second; in *leans_first* and *leans_second* it did so once and called the other a tie. *first_share* is how often
    the first position wins among presentations without a tie: 0.5 for a judge without a position bias.
    """

    n: int
    consistent: int
    prefers_first: int
    prefers_second: int
    leans_first: int
    leans_second: int
    consistency: Estimate
    first_share: Estimate


def order_consistency(
    first_outcome: npt.ArrayLike,
    second_outcome: npt.ArrayLike,
    cluster: Ints | None = None,
    level: float = 0.95,
) -> OrderEffects:
    """Measure how far presentation order changed outcomes.

    *first_outcome* is int8[n], the outcomes with left shown first, and *second_outcome* those with right shown first,
    both in the comparison's own orientation. *cluster* is int32[n], the prompts. Raises StatisticsError for an unknown
    outcome, columns of different length or a level outside 0 to 1.

    >>> effects = order_consistency([0, 0, 1], [0, 1, 1])
    >>> effects.consistency.value, effects.prefers_first
    (0.666666667, 1)
    """
    with column_errors():
        first = arrays.outcomes("first_outcome", first_outcome)
        second = arrays.outcomes("second_outcome", second_outcome)
        n = arrays.same_length(first_outcome=first, second_outcome=second, cluster=cluster)
    counts = np.bincount(first.astype(np.intp) * 3 + second, minlength=9).reshape(3, 3).tolist()
    won_first = (first == LEFT).astype(np.float64) + (second == RIGHT)
    not_tied = (first != TIE).astype(np.float64) + (second != TIE)
    return OrderEffects(
        n=n,
        consistent=sum(counts[code][code] for code in (LEFT, RIGHT, TIE)),
        prefers_first=counts[LEFT][RIGHT],
        prefers_second=counts[RIGHT][LEFT],
        leans_first=counts[LEFT][TIE] + counts[TIE][RIGHT],
        leans_second=counts[RIGHT][TIE] + counts[TIE][LEFT],
        consistency=ratio((first == second).astype(np.float64), np.ones(n), cluster, level, (0.0, 1.0)),
        first_share=ratio(won_first, not_tied, cluster, level, (0.0, 1.0)),
    )
