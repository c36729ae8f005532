"""Notes on intervals that do not hold as often as they say, for the options and the battles of a leaderboard."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from judge.columns.arrays import sums
from judge.ranking.options import RankOptions
from judge.stats.battles import Battles
from judge.stats.cluster_variance import effective
from judge.stats.components import unrankable

EVEN = 0.7
"""With a smaller effective number of prompts, as a share of all, intervals from resampled prompts are too narrow."""
RIDGE_NOTE = "Intervals do not allow for the ridge, which pulls all ratings together."


def limits(battles: Battles, options: RankOptions) -> Iterator[str]:
    """Yield notes on a ridge, and on a bootstrap of uneven prompts."""
    if options.ridge:
        yield RIDGE_NOTE
        names = [battles.contestants[i] for i in unrankable(battles.counts().wins)]
        if names:
            yield f"The ridge alone decides how far these are from the others: {', '.join(names)}."
    if options.intervals != "sandwich":
        yield from uneven_prompts(battles)


def uneven_prompts(battles: Battles) -> Iterator[str]:
    """Yield a note if prompts are so unequal in size or weight that resampling them gives intervals too narrow."""
    if battles.cluster is None:
        return
    weight = np.ones(battles.n) if battles.weight is None else battles.weight
    sizes = sums(battles.cluster, weight, battles.n_clusters)
    sizes = sizes[sizes > 0]
    if sizes.size and effective(sizes) < EVEN * sizes.size:
        yield (
            f"The {sizes.size:,} prompts differ in size and count as {effective(sizes):,.0f} equal ones. Intervals "
            "from resampled prompts are then too narrow; the default intervals of Bradley-Terry allow for it."
        )
