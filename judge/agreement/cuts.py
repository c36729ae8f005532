"""The parts of the data that a report on agreement has figures for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from judge.agreement.options import TIES, AgreeOptions
from judge.stats.agreement import AgreementFigure, agreement
from judge.stats.agreement_two_way import agreement_of_new_annotators
from judge.stats.votes import NOBODY, VoteColumns, VotePairs
from judge.votes.shared_codes import Table
from judge.votes.votes import Part


@dataclass(frozen=True, slots=True)
class Cut:
    """What one figure counts: a part of the data, and one of the target's annotators (empty for all)."""

    part: Part
    annotator: str = ""

    def of(self, table: Table, votes: VoteColumns) -> VoteColumns:
        """Those of *votes*, coded by *table*, that this figure counts."""
        rows = table.inside(self.part)[votes.item]
        if self.annotator:
            rows &= votes.annotator == table.annotators.index(self.annotator)
        return votes if rows.all() else votes.select(rows)


def list_cuts(table: Table, votes: VoteColumns, options: AgreeOptions) -> list[Cut]:
    """The whole of the data first, then the sorted cuts that *options* ask for and *votes* have."""
    base, items = options.part, np.unique(votes.item)
    cuts: set[Cut] = set()
    if options.by_turn:
        cuts |= {Cut(replace(base, turn=turn)) for turn in np.unique(table.turn[items]).tolist()}
    if options.by_category:
        names, code = table.category
        cuts |= {Cut(replace(base, category=names[at])) for at in np.unique(code[items]).tolist()}
    if options.by_pair:
        names, left, right = table.contestants
        pairs = np.unique(np.stack((left[items], right[items])), axis=1).T.tolist()
        cuts |= {Cut(replace(base, left=names[i], right=names[j])) for i, j in pairs}
    if options.by_annotator:
        cuts |= {Cut(base, table.annotators[at]) for at in np.unique(votes.annotator).tolist() if at != NOBODY}
    whole = Cut(base)
    return [
        whole,
        *sorted(
            cuts - {whole},
            key=lambda cut: (cut.part.turn, cut.part.category, cut.part.left, cut.part.right, cut.annotator),
        ),
    ]


def agreement_by_ties(pairs: VotePairs, options: AgreeOptions) -> Iterator[tuple[str, AgreementFigure]]:
    """The agreement of *pairs* with ties, without ties, or both, as *options* ask for."""
    pairs = replace(pairs, by_comparison=options.weighting == "COMPARISONS")
    for ties in TIES[options.ties]:
        figure = agreement(pairs, ties, options.orientation, options.level, options.interval_method)
        yield ties, agreement_of_new_annotators(figure, pairs) if options.new_annotators else figure
