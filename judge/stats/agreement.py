"""How two sources of outcomes compare on the same comparisons.

The two set-ups are those of L. Zheng et al. (2023), "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena",
arXiv:2306.05685, table 5: S1 keeps ties as a third answer, S2 counts only pairs of votes of which neither is a tie.

Kappa depends on which contestant is called left, and a name should not matter. So by default every pair is counted in
both orientations; "sorted" (left is the smaller name) is there because published figures were computed so.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from judge.stats.arrays import Floats
from judge.stats.battles import TIE
from judge.stats.chance import both_orientations, both_roles, cohen_kappa, gwet_ac1
from judge.stats.clustered import Estimate, jackknife, mean
from judge.stats.votes import VotePairs

Ties = Literal["KEEP", "DROP"]
Orientation = Literal["both", "sorted"]


@dataclass(frozen=True, eq=False)
class AgreementFigure:
    """How two sources agree: what can't be computed is None, and *reason* says why (it is empty otherwise).

    *rate* is *agree* / *n*, over *n* pairs of votes on *prompts* prompts. *kappa* (Cohen) and *ac1* (Gwet) are beyond
    chance. Intervals are for new prompts, at *level*; where there is none, its method begins with "none: ", followed by
    why. *confusion* is int64[3, 3]: what the source said by what the target said (LEFT, RIGHT, TIE), as stored.
    """

    rate: float | None
    agree: int
    n: int
    prompts: int
    interval_low: float | None
    interval_high: float | None
    interval_method: str
    kappa: float | None
    kappa_low: float | None
    kappa_high: float | None
    kappa_method: str
    ac1: float | None
    ac1_low: float | None
    ac1_high: float | None
    ac1_method: str
    confusion: npt.NDArray[np.int64]
    ties: Ties
    orientation: Orientation
    level: float
    reason: str


def agreement(
    pairs: VotePairs,
    ties: Ties = "KEEP",
    orientation: Orientation = "both",
    level: float = 0.95,
) -> AgreementFigure:
    """How the two votes of each of *pairs* agree.

    *ties* is KEEP (S1: a tie is a third answer) or DROP (S2: pairs with a tie on either side are left out);
    *orientation* is both or sorted, and matters to kappa and AC1 only. Raises ValueError for anything else.

    >>> from judge.stats.votes import Votes, pairs_between
    >>> zero = np.zeros(4, dtype=np.int32)
    >>> item = np.arange(4, dtype=np.int32)
    >>> one = Votes(item, np.array([0, 0, 1, 2]), item, zero)
    >>> other = Votes(item, np.array([0, 1, 1, 0]), item, zero)
    >>> found = agreement(pairs_between(one, other))
    >>> found.n, found.agree, found.rate
    (4, 2, 0.5)
    """
    if ties not in ("KEEP", "DROP"):
        raise ValueError(f"The treatment of ties {ties!r} is unknown: there are KEEP and DROP.")
    if orientation not in ("both", "sorted"):
        raise ValueError(f"The orientation {orientation!r} is unknown: there are both and sorted.")
    if ties == "DROP":
        pairs = pairs.where((pairs.source != TIE) & (pairs.target != TIE))
    same = pairs.source == pairs.target
    rate = mean(same.astype(np.float64), pairs.cluster, level, (0.0, 1.0))
    tables = prompt_tables(pairs)
    counted = both_roles(tables) if pairs.exchangeable else tables
    counted = both_orientations(counted) if orientation == "both" else counted
    kappa = jackknife(counted, cohen_kappa, level, pairs.n, (-1.0, 1.0))
    categories = 3 if ties == "KEEP" else 2
    ac1 = jackknife(counted, partial(gwet_ac1, categories=categories), level, pairs.n, (-1.0, 1.0))
    return AgreementFigure(
        *(rate.value, int(np.count_nonzero(same)), pairs.n, rate.clusters, rate.low, rate.high, rate.method),
        *(kappa.value, kappa.low, kappa.high, kappa.method),
        *(ac1.value, ac1.low, ac1.high, ac1.method),
        confusion=tables.sum(axis=0).astype(np.int64),
        ties=ties,
        orientation=orientation,
        level=level,
        reason=_reason(rate, kappa, ties),
    )


def prompt_tables(pairs: VotePairs) -> Floats:
    """How often the source said row and the target column, by prompt: float64[prompts with pairs, 3, 3].

    >>> from judge.stats.votes import Votes, pairs_between
    >>> zero, outcome = np.zeros(2, dtype=np.int32), np.array([0, 1])
    >>> votes = Votes(np.arange(2), outcome, zero, zero)
    >>> prompt_tables(pairs_between(votes, votes)).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]
    """
    prompts, at = np.unique(pairs.cluster, return_inverse=True)
    cell = at * 9 + pairs.source * 3 + pairs.target
    return np.bincount(cell, minlength=9 * prompts.size).astype(np.float64).reshape(-1, 3, 3)


def _reason(rate: Estimate, kappa: Estimate, ties: Ties) -> str:
    if rate.value is None:
        without = " without a tie" if ties == "DROP" else ""
        return f"There is no pair of votes{without} on the same comparison."
    if kappa.value is None:
        return "Kappa is not determined: all votes are the same, so chance alone would always agree."
    return ""
