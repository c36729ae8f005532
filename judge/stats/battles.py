"""Battles as columns of integer codes: two contestants, an outcome, a weight and a cluster each."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from judge.columns import arrays
from judge.columns.arrays import Codes, Column, Floats, Ints
from judge.columns.names import Arrow, encode_names, is_arrow, look_up_codes
from judge.stats.errors import StatisticsError, column_errors

LEFT = 0
"""The left contestant won."""

RIGHT = 1
"""The right contestant won."""

TIE = 2
"""Neither won: half a win for each."""

FLIPPED = np.array([RIGHT, LEFT, TIE], dtype=np.int8)
"""An outcome's code with left and right exchanged."""

OUTCOMES = {"left": LEFT, "right": RIGHT, "tie": TIE}
"""The words for the outcome codes."""

MOST_CONTESTANTS = 3000
"""More contestants would need gigabytes for the tables of pairs."""


@dataclass(frozen=True, eq=False)
class WinCounts:
    """The sums of wins and ties by pair.

    *wins* is float64[m, m]: the weighted wins of row over column, plus half of their ties. *ties* is float64[m, m],
    symmetric: their weighted ties. *n* is the number of battles.
    """

    wins: Floats
    ties: Floats
    n: int


@dataclass(frozen=True, eq=False)
class Battles:
    """Columns of n battles between m contestants.

    *contestants* are the m names, sorted and distinct. *left* and *right* are int32[n], codes of contestants; *outcome*
    is int8[n] (LEFT, RIGHT, TIE); *weight* is float64[n], or None for 1 each; *cluster* is int32[n], the code of the
    battle's prompt below *n_clusters*, or None if every battle is its own cluster.

    Raises StatisticsError if there are no battles, the columns differ in length, a code is out of range, a weight is
    NaN, infinite or negative, or a contestant meets itself.
    """

    contestants: tuple[str, ...]
    left: Ints
    right: Ints
    outcome: Codes
    weight: Floats | None = None
    cluster: Ints | None = None
    n_clusters: int = 0

    def __post_init__(self) -> None:
        """Check every column and convert it to its type."""
        m = len(self.contestants)
        if any(first >= second for first, second in zip(self.contestants, self.contestants[1:], strict=False)):
            raise StatisticsError("The contestants must be sorted and distinct.")
        with column_errors():
            checked: dict[str, Column | None] = {
                "left": arrays.codes("left", self.left, m),
                "right": arrays.codes("right", self.right, m),
                "outcome": arrays.outcomes("outcome", self.outcome),
                "weight": None if self.weight is None else arrays.weights("weight", self.weight),
                "cluster": None if self.cluster is None else arrays.codes("cluster", self.cluster, self.n_clusters),
            }
            n = arrays.same_length(**checked)
        if n == 0:
            raise StatisticsError("There are no battles.")
        for name, column in checked.items():
            object.__setattr__(self, name, column)
        itself = self.left == self.right
        if itself.any():
            name = self.contestants[int(self.left[int(itself.argmax())])]
            raise StatisticsError(f"Contestant {name!r} meets itself in battle {int(itself.argmax())}.")

    @classmethod
    def from_names(
        cls,
        left: Sequence[str] | Arrow,
        right: Sequence[str] | Arrow,
        outcomes: Sequence[str] | Arrow | npt.NDArray[np.integer],
        weight: Sequence[float] | Floats | None = None,
        cluster: Sequence[Hashable] | Arrow | npt.NDArray[np.integer] | None = None,
    ) -> "Battles":
        """Code the battles of contestants given by name, in the given order.

        *left* and *right* are n names; *outcomes* n words (left, right, tie) or an array of codes; *weight* n numbers;
        *cluster* n names or numbers of prompts. Names and words may be columns of Arrow or polars.
        Contestants and clusters are coded in sorted order, so that the codes do not depend on the order of battles.
        Raises StatisticsError as the constructor does, and for an unknown outcome.

        >>> Battles.from_names(["b", "a"], ["a", "c"], ["left", "tie"]).contestants
        ('a', 'b', 'c')
        """
        with column_errors():
            contestants, (left_codes, right_codes) = encode_names(left, right)
        for name in contestants:
            if not isinstance(name, str):
                raise StatisticsError(f"A contestant must be a name (str), not {name!r}.")
        clusters, n_clusters = (None, 0) if cluster is None else cluster_codes(cluster)
        return cls(
            contestants=contestants,
            left=left_codes,
            right=right_codes,
            outcome=outcome_codes(outcomes),
            weight=None if weight is None else np.asarray(weight, dtype=np.float64),
            cluster=clusters,
            n_clusters=n_clusters,
        )

    @property
    def n(self) -> int:
        """The number of battles."""
        return self.left.size

    def counts(self) -> WinCounts:
        """The weighted sums of wins and ties by pair."""
        return self.tally(self.weight)

    def tally(self, weight: Floats | None) -> WinCounts:
        """The sums of *weight* (float64[n], or None for 1 each) over wins and ties by pair."""
        return self.win_counts(self.cells(weight))

    def win_counts(self, cells: Floats) -> WinCounts:
        """The sums of wins and ties by pair, from *cells* (float64[m, m, 3])."""
        ties = cells[:, :, TIE] + cells[:, :, TIE].T
        return WinCounts(cells[:, :, LEFT] + cells[:, :, RIGHT].T + ties / 2, ties, self.n)

    def cells(self, weight: Floats | None) -> Floats:
        """The sums of *weight* (float64[n], or None for 1 each) by left, right and outcome, float64[m, m, 3].

        Raises StatisticsError for more than 3,000 contestants.
        """
        m = len(self.contestants)
        return arrays.sums(self._keys(), weight, len(OUTCOMES) * m * m).reshape(m, m, len(OUTCOMES))

    def own_prompts(self) -> npt.NDArray[np.integer]:
        """The number of prompts on which each contestant has a battle of positive weight, [m].

        >>> battles = Battles.from_names(["a", "a", "b"], ["b", "c", "c"], ["left"] * 3, cluster=["p", "p", "q"])
        >>> battles.own_prompts().tolist()
        [1, 2, 2]
        """
        m, rows = len(self.contestants), slice(None) if self.weight is None else self.weight > 0
        left, right = self.left[rows], self.right[rows]
        if self.cluster is None:
            return np.bincount(np.concatenate((left, right)), minlength=m)
        at = self.cluster[rows].astype(np.intp) * m
        seen = np.zeros(self.n_clusters * m, dtype=np.bool_)
        seen[at + left] = seen[at + right] = True
        prompts: npt.NDArray[np.integer] = seen.reshape(self.n_clusters, m).sum(axis=0)
        return prompts

    def _keys(self) -> npt.NDArray[np.integer]:
        """The index of each battle in the flattened cells."""
        m = len(self.contestants)
        if m > MOST_CONTESTANTS:
            raise StatisticsError(f"There are {m:,} contestants; at most {MOST_CONTESTANTS:,} can be ranked at once.")
        # 32-bit keys are made in a third of the time; 64 bits are needed above 26,000 contestants.
        fits = len(OUTCOMES) * m * m <= np.iinfo(np.int32).max
        key: npt.NDArray[np.integer] = np.multiply(self.left, m, dtype=np.int32 if fits else np.int64)
        key += self.right
        key *= len(OUTCOMES)
        key += self.outcome
        return key

    def among(self, contestants: Sequence[int]) -> "Battles":
        """The battles between these *contestants* (codes). Raises StatisticsError if there are none."""
        kept = np.zeros(len(self.contestants), dtype=bool)
        kept[list(contestants)] = True
        rows = kept[self.left] & kept[self.right]
        code = (np.cumsum(kept) - 1).astype(np.int32)
        return Battles(
            contestants=tuple(name for name, keep in zip(self.contestants, kept, strict=True) if keep),
            left=code[self.left[rows]],
            right=code[self.right[rows]],
            outcome=self.outcome[rows],
            weight=None if self.weight is None else self.weight[rows],
            cluster=None if self.cluster is None else self.cluster[rows],
            n_clusters=self.n_clusters,
        )


def outcome_codes(outcomes: Sequence[str] | Arrow | npt.NDArray[np.integer]) -> Codes:
    """The outcome codes, int8[n], of n words (left, right, tie) or codes.

    Raises StatisticsError for an unknown outcome.

    >>> outcome_codes(["left", "tie", "right"]).tolist()
    [0, 2, 1]
    """
    if not is_arrow(outcomes) and (len(outcomes) == 0 or not isinstance(outcomes[0], str)):
        with column_errors():
            return arrays.outcomes("outcome", outcomes)
    try:
        with column_errors():
            return look_up_codes(cast("Sequence[str] | Arrow", outcomes), OUTCOMES)
    except KeyError as unknown:
        raise StatisticsError(f"Unknown outcome {unknown.args[0]!r}: use left, right or tie.") from None


def cluster_codes(cluster: Sequence[Hashable] | Arrow | npt.NDArray[np.integer]) -> tuple[Ints, int]:
    """The codes of n clusters given by name or number, int32[n], in sorted order, and the number of clusters.

    >>> codes, clusters = cluster_codes(["q2", "q1", "q2"])
    >>> codes.tolist(), clusters
    ([1, 0, 1], 2)
    """
    if isinstance(cluster, np.ndarray):
        distinct, inverse = np.unique(cluster, return_inverse=True)
        return inverse.astype(np.int32), distinct.size
    with column_errors():
        names, (codes,) = encode_names(cluster)
    return codes, len(names)
