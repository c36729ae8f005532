"""How two sources of outcomes compare on the same comparisons.

The two set-ups are those of L. Zheng et al. (2023), "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena",
arXiv:2306.05685, table 5: S1 keeps ties as a third answer, S2 counts only pairs of votes of which neither is a tie.

Kappa depends on which contestant is called left, and a name should not matter. So by default every pair is counted in
both orientations; "sorted" (left is the smaller name) is there because published figures were computed so.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from judge.columns.arrays import Floats, Ints, places, present
from judge.stats.battles import TIE
from judge.stats.chance import both_orientations, both_roles, cohen_kappa, gwet_ac1, macro_f1
from judge.stats.cluster_intervals import Estimate, jackknife, ratio
from judge.stats.krippendorff import coincidences, krippendorff_alpha
from judge.stats.votes import VotePairs

Ties = Literal["WITH", "WITHOUT"]
Orientation = Literal["both", "sorted"]
_RANGE = (-1.0, 1.0)


IntervalMethod = Callable[[Floats, Callable[[Floats], Floats], float, int, tuple[float, float]], Estimate]
"""How a function of summed tables gets its interval: the jackknife, or a bootstrap."""


@dataclass(frozen=True, eq=False)
class AgreementFigure:
    """How two sources agree: what can't be computed has the value None, and *reason* says why (it is empty otherwise).

    *rate* is *agree* / *n*, over *n* pairs of votes on *comparisons* items of *prompts* prompts. *kappa* (Cohen), *ac1*
    (Gwet), *alpha* and *alpha_ordinal* (Krippendorff) are beyond chance; *macro_f1* takes the target to be right.
    Intervals are for new prompts, at *level*. *confusion* is int64[3, 3]: what the source said by what the target said
    (LEFT, RIGHT, TIE), as stored.
    """

    rate: Estimate
    agree: int
    n: int
    comparisons: int
    prompts: int
    kappa: Estimate
    ac1: Estimate
    alpha: Estimate
    alpha_ordinal: Estimate
    macro_f1: Estimate
    confusion: npt.NDArray[np.int64]
    ties: Ties
    orientation: Orientation
    level: float
    reason: str


def agreement(
    pairs: VotePairs,
    ties: Ties = "WITH",
    orientation: Orientation = "both",
    level: float = 0.95,
    interval_method: IntervalMethod | None = None,
) -> AgreementFigure:
    """How the two votes of each of *pairs* agree.

    *interval_method* gives the intervals, where it is not the sandwich and the jackknife. *ties* is WITH (S1: a tie is
    a third answer) or WITHOUT (S2: pairs with a tie on either side are left out); *orientation* is both or sorted, and
    matters to what is beyond chance only. Raises ValueError for anything else.

    >>> from judge.stats.votes import VoteColumns, pairs_between
    >>> zero = np.zeros(4, dtype=np.int32)
    >>> item = np.arange(4, dtype=np.int32)
    >>> one = VoteColumns(item, np.array([0, 0, 1, 2]), item, zero)
    >>> other = VoteColumns(item, np.array([0, 1, 1, 0]), item, zero)
    >>> found = agreement(pairs_between(one, other))
    >>> found.n, found.agree, found.rate.value
    (4, 2, 0.5)
    """
    if ties not in ("WITH", "WITHOUT"):
        raise ValueError(f"The treatment of ties {ties!r} is unknown: there are WITH and WITHOUT.")
    if orientation not in ("both", "sorted"):
        raise ValueError(f"The orientation {orientation!r} is unknown: there are both and sorted.")
    if ties == "WITHOUT":
        pairs = decided(pairs)
    tables, together = prompt_tables(pairs), coincidences(pairs)
    counted = both_roles(tables) if pairs.exchangeable else tables
    if orientation == "both":
        counted, together = both_orientations(counted), both_orientations(together)
    categories = 3 if ties == "WITH" else 2
    how = interval_method or jackknife
    same = np.trace(tables, axis1=1, axis2=2)
    if interval_method is None:
        # By prompt already, which is faster than by pair.
        rate = replace(ratio(same, tables.sum(axis=(1, 2)), None, level, (0.0, 1.0)), n=pairs.n)
    else:
        rate = interval_method(tables, share_agreeing, level, pairs.n, (0.0, 1.0))
    kappa = how(counted, cohen_kappa, level, pairs.n, _RANGE)
    return AgreementFigure(
        rate,
        int(same.sum()),
        pairs.n,
        present(pairs.item).size,
        rate.clusters,
        kappa,
        how(counted, partial(gwet_ac1, categories=categories), level, pairs.n, _RANGE),
        how(together, krippendorff_alpha, level, pairs.n, _RANGE),
        how(together, partial(krippendorff_alpha, ordinal=True), level, pairs.n, _RANGE),
        how(counted, macro_f1, level, pairs.n, (0.0, 1.0)),
        confusion=tables.sum(axis=0).astype(np.int64),
        ties=ties,
        orientation=orientation,
        level=level,
        reason=_reason(rate, kappa, ties),
    )


def decided(pairs: VotePairs) -> VotePairs:
    """The *pairs* of which neither vote is a tie: set-up S2.

    >>> zero = np.zeros(2, dtype=np.int32)
    >>> decided(VotePairs(np.array([0, 2]), np.array([1, 1]), zero, zero)).n
    1
    """
    return pairs.select((pairs.source != TIE) & (pairs.target != TIE))


def share_agreeing(tables: Floats) -> Floats:
    """The share on the diagonal of each table, float64[...]; NaN where a table is empty.

    >>> float(share_agreeing(np.eye(3)))
    1.0
    """
    whole = tables.sum(axis=(-2, -1))
    share: Floats = np.trace(tables, axis1=-2, axis2=-1) / np.where(whole > 0, whole, np.nan)
    return share


def prompt_tables(pairs: VotePairs, prompts: Ints | None = None) -> Floats:
    """How often the source said row and the target column, by prompt: float64[G, 3, 3].

    *prompts*, sorted codes, says which; by default all that have pairs.

    >>> from judge.stats.votes import VoteColumns, pairs_between
    >>> zero, outcome = np.zeros(2, dtype=np.int32), np.array([0, 1])
    >>> votes = VoteColumns(np.arange(2), outcome, zero, zero)
    >>> prompt_tables(pairs_between(votes, votes)).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]
    """
    prompts = present(pairs.cluster) if prompts is None else prompts
    cell = places(pairs.cluster, prompts) * 9 + pairs.source * 3 + pairs.target
    return np.bincount(cell, minlength=9 * prompts.size).astype(np.float64).reshape(-1, 3, 3)


def _reason(rate: Estimate, kappa: Estimate, ties: Ties) -> str:
    if rate.value is None:
        without = " without a tie" if ties == "WITHOUT" else ""
        return f"There is no pair of votes{without} on the same comparison."
    if kappa.value is None:
        return "Kappa is not determined: all votes are the same, so chance alone would always agree."
    return ""
