"""Krippendorff's alpha: agreement corrected for chance among any number of votes per comparison.

A comparison with m votes adds each ordered pair of them, with weight 1 / (m - 1), to a table of coincidences o. n_c is
the sum of a row, and n the sum of the table. With d(c, k) the distance between two outcomes,

    alpha = 1 - (n - 1) * sum of o_ck d(c, k) / sum of n_c n_k d(c, k).

Nominal: d is 1 if they differ. Ordinal, in the order left, tie, right: d is the squared number of votes between the
two, with half of the votes at either end. K. Krippendorff (2004), "Content Analysis", chapter 11; A. F. Hayes, K.
Krippendorff (2007), "Answering the Call for a Standard Reliability Measure for Coding Data", Communication Methods and
Measures 1(1).
"""

import numpy as np

from judge.columns.arrays import Floats, Ints, places, present, sums
from judge.stats.battles import LEFT, RIGHT, TIE
from judge.stats.votes import VotePairs

_SCALE = [LEFT, TIE, RIGHT]
"""The outcomes in ordinal order."""


def coincidences(pairs: VotePairs, prompts: Ints | None = None) -> Floats:
    """The table of coincidences of each prompt, float64[G, 3, 3].

    *prompts* are the G sorted codes of the prompts; by default all that have pairs. If *pairs* are between two sources,
    each pair counts as a comparison with two votes. If they are within one group, all votes on an item belong together,
    and an annotator with several votes on it has one vote, in parts. With `by_comparison`, each item has two votes.

    >>> from judge.stats.votes import VoteColumns, pairs_within
    >>> zero = np.zeros(3, dtype=np.int32)
    >>> coincidences(pairs_within(VoteColumns(zero, np.array([0, 0, 1]), zero, np.arange(3)))).tolist()
    [[[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]
    """
    prompts = present(pairs.cluster) if prompts is None else prompts
    weight = pairs.weight
    if pairs.exchangeable and not pairs.by_comparison:
        # The votes of m annotators are m (m - 1) / 2 pairs.
        of_item = (2 / (np.sqrt(1 + 8 * np.maximum(sums(pairs.item, weight), 1)) - 1))[pairs.item]
        weight = of_item if weight is None else weight * of_item
    cell = places(pairs.cluster, prompts) * 9 + pairs.source * 3 + pairs.target
    tables = sums(cell, weight, 9 * prompts.size).reshape(-1, 3, 3)
    return tables + np.swapaxes(tables, -1, -2)


def krippendorff_alpha(tables: Floats, *, ordinal: bool = False) -> Floats:
    """Alpha of each table of coincidences, float64[...]; NaN where a table is empty or all votes are the same.

    >>> source, target, prompt = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2]), np.arange(4)
    >>> tables = coincidences(VotePairs(source, target, prompt, prompt)).sum(axis=0)
    >>> round(float(krippendorff_alpha(tables)), 4), round(float(krippendorff_alpha(tables, ordinal=True)), 4)
    (0.6667, 0.4167)
    """
    tables = tables[..., _SCALE, :][..., :, _SCALE]
    each = tables.sum(axis=-1)
    n = each.sum(axis=-1)
    apart = _ordinal(each) if ordinal else np.broadcast_to(1 - np.eye(3), tables.shape)
    observed = (tables * apart).sum(axis=(-2, -1))
    expected = (each[..., :, None] * each[..., None, :] * apart).sum(axis=(-2, -1))
    alpha: Floats = 1 - (n - 1) * observed / np.where(expected > 0, expected, np.nan)
    return alpha


def _ordinal(each: Floats) -> Floats:
    """The ordinal distance of outcomes, float64[..., 3, 3], from the number of votes *each* has."""
    upto = np.cumsum(each, axis=-1) - each / 2
    return np.square(upto[..., :, None] - upto[..., None, :])
