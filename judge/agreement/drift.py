"""What changed between two verdicts on the same presentations, by two runs or under two names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from judge.columns.names import encode_names
from judge.domain.outcome import Order, Outcome, whole
from judge.stats.drift import Drift, drift
from judge.votes.votes import SourceVotes


def measure_drift(before: SourceVotes, after: SourceVotes, level: float, margin: float) -> Drift | str:
    """The change from *before* to *after* on the presentations that both have verdicts on, or why it is unknown.

    *margin* is the largest change that counts as no more than noise. The reason is empty if one of the two is not a
    single judge.
    """
    if before.source == after.source:
        return (
            f"Both sides are {after.source}, so each vote is compared with itself, which means nothing; "
            "leave the target out."
        )
    if len(before.behind) != 1 or len(after.behind) != 1:
        return ""
    if shared := len(before.calls & after.calls):
        return f"No drift: {shared:,} verdicts are the same calls in both; use another cache tag."
    (old,), (new,) = before.left_scores.values(), after.left_scores.values()
    tables, first, prompts = [], [], []
    for key, by_order in old.items():
        for order, left_scores in by_order.items():
            counts = [_outcome_counts(side) for side in (left_scores, new.get(key, {}).get(order, ()))]
            if all(map(sum, counts)):
                tables.append(counts)
                first.append(0 if order is Order.LEFT_FIRST else 1)
                prompts.append(key.prompt_id)
    if not tables:
        return "No drift: no presentation has a verdict in both."
    sides = np.array(tables, dtype=np.float64)
    shown_first = np.array(first, dtype=np.int32)
    return drift(sides[:, 0], sides[:, 1], shown_first, encode_names(prompts)[1][0], level, margin)


def _outcome_counts(left_scores: Sequence[float | None]) -> list[int]:
    """How many repeats are left, right and tie."""
    outcomes = [whole(left_score) for left_score in left_scores if left_score is not None]
    return [outcomes.count(outcome) for outcome in Outcome]
