"""Intra-annotator agreement: how often an annotator who votes again on a comparison says the same.

Each annotator counts once on a comparison, with the share of pairs of their votes that are alike.
"""

from dataclasses import replace

from judge.columns.arrays import Floats
from judge.stats.cluster_intervals import Estimate, ratio
from judge.stats.votes import VoteColumns, pairs_of_repeats


def intra_annotator_agreement(votes: VoteColumns, level: float = 0.95) -> Estimate | None:
    """The share of pairs of repeated votes that are alike, over prompts; None if no annotator voted twice on an item.

    *n* counts the annotators with repeated votes, once on each item.

    >>> import numpy as np
    >>> item = np.repeat(np.arange(6, dtype=np.int32), 2)
    >>> agreement = intra_annotator_agreement(VoteColumns(item, np.tile([0, 0, 0, 1], 3), item, np.zeros(12)))
    >>> agreement.value, agreement.n
    (0.5, 6)
    """
    pairs = pairs_of_repeats(votes)
    if pairs.weight is None or pairs.n == 0:
        return None
    alike: Floats = pairs.weight * (pairs.source == pairs.target)
    return replace(ratio(alike, pairs.weight, pairs.cluster, level, (0.0, 1.0)), n=pairs.n)
