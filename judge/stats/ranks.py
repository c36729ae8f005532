"""Ranks: 1 is best, and ties share the better rank."""

import numpy as np

from judge.columns.arrays import Floats, Ints


def ranks(ratings: Floats) -> Ints:
    """The rank of each of the m *ratings* (float64[m], larger is better), int32[m]: 1 plus the number of better ones.

    >>> ranks(np.array([900.0, 1100.0, 900.0])).tolist()
    [2, 1, 2]
    """
    ascending = np.sort(ratings)
    return (1 + ratings.size - np.searchsorted(ascending, ratings, side="right")).astype(np.int32)
