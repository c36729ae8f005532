"""What the order of showing does to a judge: comparisons shown in both orders, and what was said each time.

The shares are those of P. Wang et al. (2023), "Large Language Models are not Fair Evaluators", arXiv:2305.17926, and of
L. Zheng et al. (2023), arXiv:2306.05685, table 2 (consistency, bias towards the first and the second slot).
"""

from dataclasses import dataclass

import numpy as np

from judge.columns import arrays
from judge.columns.arrays import Codes, Ints
from judge.stats.battles import LEFT, RIGHT, TIE
from judge.stats.cluster_intervals import Estimate, ratio


@dataclass(frozen=True, eq=False)
class OrderEffects:
    """What n comparisons shown in both orders tell of a judge.

    *consistency* is the share with the same outcome in both orders (*consistent* of *n*). Of the others,
    *prefers_first* picked whatever was shown first both times, *prefers_second* whatever was shown second;
    *leans_first* and *leans_second* picked so once and said tie the other time. *first_share* is the share of the first
    slot among the showings that were not ties: one half for a judge that does not mind the order.
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
    first_outcome: Codes,
    second_outcome: Codes,
    cluster: Ints | None = None,
    level: float = 0.95,
) -> OrderEffects:
    """How far the order of showing changed outcomes.

    *first_outcome* is int8[n], what was said with left shown first, and *second_outcome* with right shown first, both
    in the comparison's own orientation; *cluster* is int32[n], the prompts. Raises ValueError for an unknown outcome,
    columns of different length or a senseless level.

    >>> found = order_consistency([0, 0, 1], [0, 1, 1])
    >>> found.consistency.value, found.prefers_first
    (0.666666667, 1)
    """
    first = arrays.outcomes("first_outcome", first_outcome)
    second = arrays.outcomes("second_outcome", second_outcome)
    n = arrays.same_length(first_outcome=first, second_outcome=second, cluster=cluster)
    seen = np.bincount(first.astype(np.intp) * 3 + second, minlength=9).reshape(3, 3).tolist()
    won_first = (first == LEFT).astype(np.float64) + (second == RIGHT)
    decided = (first != TIE).astype(np.float64) + (second != TIE)
    return OrderEffects(
        n=n,
        consistent=sum(seen[code][code] for code in (LEFT, RIGHT, TIE)),
        prefers_first=seen[LEFT][RIGHT],
        prefers_second=seen[RIGHT][LEFT],
        leans_first=seen[LEFT][TIE] + seen[TIE][RIGHT],
        leans_second=seen[RIGHT][TIE] + seen[TIE][LEFT],
        consistency=ratio((first == second).astype(np.float64), np.ones(n), cluster, level, (0.0, 1.0)),
        first_share=ratio(won_first, decided, cluster, level, (0.0, 1.0)),
    )
