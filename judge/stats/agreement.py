"""The agreement of two sources of outcomes on the same comparisons.

The two setups are those of L. Zheng et al. (2023), "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena",
arXiv:2306.05685, table 5: S1 counts a tie as a third answer, S2 counts only pairs of votes without a tie.

Every pair of annotators counts once on a comparison, so that a comparison with many votes counts for more, as in the
published figures. Pairs with `by_comparison` count every comparison once.

Kappa depends on which contestant is called left, although a name should not matter. So by default every pair is counted
in both orientations. The orientation "sorted" (left is the smaller name) reproduces published figures.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from judge.columns.arrays import Floats, Ints, places, present, round_to, sums
from judge.stats.battles import TIE
from judge.stats.chance import both_orientations, both_roles, cohen_kappa, gwet_ac1, macro_f1
from judge.stats.cluster_intervals import Estimate, jackknife, mean_by_cluster, share_of_counts
from judge.stats.errors import StatisticsError
from judge.stats.krippendorff import coincidences, krippendorff_alpha
from judge.stats.votes import VotePairs

Ties = Literal["WITH", "WITHOUT"]
Orientation = Literal["both", "sorted"]
_RANGE = (-1.0, 1.0)
_PLACES = 9


IntervalMethod = Callable[[Floats, Callable[[Floats], Floats], float, int, tuple[float, float]], Estimate]
"""Computes the interval of a function of summed tables: the jackknife, or a bootstrap."""


@dataclass(frozen=True, eq=False)
class AgreementFigure:
    """The agreement of two sources. A figure that cannot be computed is None, and *reason* says why (else it is empty).

    *rate* is *agree* / *n*, over *n* pairs of annotators on *comparisons* items of *prompts* prompts. *rate_by_prompt*
    is the mean rate of the prompts, each of which counts once. *agree* is a fraction if an annotator voted several
    times on an item, or if each comparison counts once. *kappa* (Cohen), *ac1* (Gwet), *alpha* and *alpha_ordinal*
    (Krippendorff) are corrected for chance; *macro_f1* takes the target as the truth. Intervals are for new prompts, at
    *level*. *confusion* is float64[3, 3] and sums to *n*: the source's outcome (row) by the target's (column), in the
    order LEFT, RIGHT, TIE, as stored.
    """

    rate: Estimate
    rate_by_prompt: Estimate
    agree: float
    n: int
    comparisons: int
    prompts: int
    kappa: Estimate
    ac1: Estimate
    alpha: Estimate
    alpha_ordinal: Estimate
    macro_f1: Estimate
    confusion: Floats
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
    """Measure how the two votes of each of *pairs* agree.

    *ties* is WITH (S1: a tie is a third answer) or WITHOUT (S2: pairs with a tie are left out). *orientation* is both
    or sorted; it changes only the figures that are corrected for chance. *interval_method* replaces the
    intervals of `cluster_intervals`. Raises StatisticsError for other values of *ties* or *orientation*.

    >>> from judge.stats.votes import VoteColumns, pairs_between
    >>> zero = np.zeros(4, dtype=np.int32)
    >>> item = np.arange(4, dtype=np.int32)
    >>> source = VoteColumns(item, np.array([0, 0, 1, 2]), item, zero)
    >>> target = VoteColumns(item, np.array([0, 1, 1, 0]), item, zero)
    >>> figure = agreement(pairs_between(source, target))
    >>> figure.n, figure.agree, figure.rate.value
    (4, 2.0, 0.5)
    """
    if ties not in ("WITH", "WITHOUT"):
        raise StatisticsError(f"Unknown treatment of ties {ties!r}: choose WITH or WITHOUT.")
    if orientation not in ("both", "sorted"):
        raise StatisticsError(f"Unknown orientation {orientation!r}: choose both or sorted.")
    if ties == "WITHOUT":
        pairs = without_ties(pairs)
    tables, together = prompt_tables(pairs), coincidences(pairs)
    counted = both_roles(tables) if pairs.exchangeable else tables
    if orientation == "both":
        counted, together = both_orientations(counted), both_orientations(together)
    categories = 3 if ties == "WITH" else 2
    interval = interval_method or jackknife
    same, counts = np.trace(tables, axis1=1, axis2=2), tables.sum(axis=(1, 2))
    if interval_method is None:
        # The tables are counted by prompt already, which is faster than counting pairs again.
        rate = replace(share_of_counts(same, counts, level), n=pairs.n)
    else:
        rate = interval_method(tables, share_agreeing, level, pairs.n, (0.0, 1.0))
    kappa = interval(counted, cohen_kappa, level, pairs.n, _RANGE)
    return AgreementFigure(
        rate=rate,
        rate_by_prompt=mean_by_cluster(same, counts, None, level, (0.0, 1.0)),
        agree=round(float(same.sum()), _PLACES),
        n=pairs.n,
        comparisons=present(pairs.item).size,
        prompts=rate.clusters,
        kappa=kappa,
        ac1=interval(counted, partial(gwet_ac1, categories=categories), level, pairs.n, _RANGE),
        alpha=interval(together, krippendorff_alpha, level, pairs.n, _RANGE),
        alpha_ordinal=interval(together, partial(krippendorff_alpha, ordinal=True), level, pairs.n, _RANGE),
        macro_f1=interval(counted, macro_f1, level, pairs.n, (0.0, 1.0)),
        confusion=round_to(tables.sum(axis=0), _PLACES),
        ties=ties,
        orientation=orientation,
        level=level,
        reason=_reason(rate, kappa, ties),
    )


def without_ties(pairs: VotePairs) -> VotePairs:
    """The *pairs* in which neither vote is a tie (setup S2). Annotators and comparisons count as much as before.

    >>> zero = np.zeros(2, dtype=np.int32)
    >>> without_ties(VotePairs(np.array([0, 2]), np.array([1, 1]), zero, zero)).n
    1
    """
    return pairs.select((pairs.source != TIE) & (pairs.target != TIE))


def share_agreeing(tables: Floats) -> Floats:
    """The share on the diagonal of each of *tables* (float64[..., 3, 3]): float64[...], NaN where a table is empty.

    >>> float(share_agreeing(np.eye(3)))
    1.0
    """
    whole = tables.sum(axis=(-2, -1))
    share: Floats = np.trace(tables, axis1=-2, axis2=-1) / np.where(whole > 0, whole, np.nan)
    return share


def prompt_tables(pairs: VotePairs, prompts: Ints | None = None) -> Floats:
    """Count the source's outcomes (rows) by the target's (columns), for each prompt: float64[G, 3, 3], by weight.

    *prompts* are the G sorted codes of the prompts; by default all that have pairs.

    >>> from judge.stats.votes import VoteColumns, pairs_between
    >>> zero, outcome = np.zeros(2, dtype=np.int32), np.array([0, 1])
    >>> votes = VoteColumns(np.arange(2), outcome, zero, zero)
    >>> prompt_tables(pairs_between(votes, votes)).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]
    """
    prompts = present(pairs.cluster) if prompts is None else prompts
    cell = places(pairs.cluster, prompts) * 9 + pairs.source * 3 + pairs.target
    return sums(cell, pairs.weight, 9 * prompts.size).reshape(-1, 3, 3)


def _reason(rate: Estimate, kappa: Estimate, ties: Ties) -> str:
    if rate.value is None:
        without = " without a tie" if ties == "WITHOUT" else ""
        return f"There is no pair of votes{without} on the same comparison."
    if kappa.value is None:
        return "Kappa is not determined: all votes are the same, so chance alone would always agree."
    return ""
