"""The intervals of agreement over prompts and annotators at once; see `judge.stats.two_way`."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from judge.columns.arrays import Floats, Ints
from judge.stats.agreement import AgreementFigure, Orientation, prompt_tables, share_agreeing, without_ties
from judge.stats.chance import both_orientations, both_roles, cohen_kappa, gwet_ac1, macro_f1
from judge.stats.cluster_intervals import Estimate, without_interval
from judge.stats.krippendorff import coincidences, krippendorff_alpha
from judge.stats.two_way import Tables, two_way
from judge.stats.votes import VotePairs

OF_PROMPTS = "none: the mean of the prompts has no interval over annotators"


def agreement_of_new_annotators(figure: AgreementFigure, pairs: VotePairs) -> AgreementFigure:
    """The *figure* of *pairs*, with intervals for new prompts and new annotators.

    Pairs are those that `agreement` was given. An annotator in all pairs, such as the judge, stays the same.

    >>> import numpy as np
    >>> from judge.stats.agreement import agreement
    >>> from judge.stats.votes import VoteColumns, pairs_within
    >>> item, rng = np.repeat(np.arange(20), 3), np.random.default_rng(1)
    >>> pairs = pairs_within(VoteColumns(item, rng.integers(0, 2, 60), item, np.tile(np.arange(6), 10)))
    >>> agreement_of_new_annotators(agreement(pairs), pairs).rate.method
    'two-way-jackknife-wilson'
    """
    pairs = without_ties(pairs) if figure.ties == "WITHOUT" else pairs
    counted, together = counted_tables(figure.orientation), coincidence_tables(figure.orientation)
    categories = 3 if figure.ties == "WITH" else 2

    def interval(tables: Tables, statistic: Callable[[Floats], Floats], least: float = -1.0) -> Estimate:
        return two_way([pairs], tables, lambda t: statistic(t[:, 0]), figure.level, pairs.n, (least, 1.0))

    by_prompt = figure.rate_by_prompt
    return replace(
        figure,
        rate=interval(prompt_tables, share_agreeing, 0.0),
        rate_by_prompt=without_interval(by_prompt.value, OF_PROMPTS, figure.level, by_prompt.n, by_prompt.clusters),
        kappa=interval(counted, cohen_kappa),
        ac1=interval(counted, partial(gwet_ac1, categories=categories)),
        alpha=interval(together, krippendorff_alpha),
        alpha_ordinal=interval(together, partial(krippendorff_alpha, ordinal=True)),
        macro_f1=interval(counted, macro_f1, 0.0),
    )


def counted_tables(orientation: Orientation) -> Tables:
    """The tables of kappa: in both roles for one group of annotators, and in both orientations if asked for.

    >>> import numpy as np
    >>> zero = np.zeros(1, dtype=np.int32)
    >>> counted_tables("both")(VotePairs(zero, zero, zero, zero), zero).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]
    """

    def tables(pairs: VotePairs, clusters: Ints) -> Floats:
        counts = prompt_tables(pairs, clusters)
        counts = both_roles(counts) if pairs.exchangeable else counts
        return both_orientations(counts) if orientation == "both" else counts

    return tables


def coincidence_tables(orientation: Orientation) -> Tables:
    """The tables of alpha, in both orientations if asked for.

    >>> import numpy as np
    >>> zero = np.zeros(1, dtype=np.int32)
    >>> coincidence_tables("sorted")(VotePairs(zero, zero, zero, zero), zero).tolist()
    [[[2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]
    """

    def tables(pairs: VotePairs, clusters: Ints) -> Floats:
        together = coincidences(pairs, clusters)
        return both_orientations(together) if orientation == "both" else together

    return tables
