"""The same showings judged twice, by two runs or under two names: what has changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from judge.columns.names import coded
from judge.domain.outcome import Order, Outcome, whole
from judge.stats.drift import Drift, drift
from judge.votes.votes import SourceVotes


def drifted(before: SourceVotes, after: SourceVotes, level: float) -> Drift | str:
    """What has changed from *before* to *after* on the showings judged in both, or why that is not said.

    Nothing is said at all where one of the two is not a single judge.
    """
    if before.source == after.source:
        return (
            f"Both sides are {after.source}: each of its votes meets itself, which says nothing; leave the target out."
        )
    if len(before.behind) != 1 or len(after.behind) != 1:
        return ""
    if shared := len(before.calls & after.calls):
        return f"Not compared as before and after: {shared} verdicts are the same calls in both; use another epoch."
    (old,), (new,) = before.left_scores.values(), after.left_scores.values()
    tables, first, prompts = [], [], []
    for key, by_order in old.items():
        for order, shares in by_order.items():
            counts = [_counted(side) for side in (shares, new.get(key, {}).get(order, ()))]
            if all(map(sum, counts)):
                tables.append(counts)
                first.append(0 if order is Order.LEFT_FIRST else 1)
                prompts.append(key.prompt_id)
    if not tables:
        return "Not compared as before and after: no showing has a verdict in both."
    sides = np.array(tables, dtype=np.float64)
    return drift(sides[:, 0], sides[:, 1], np.array(first, dtype=np.int32), coded(prompts)[1][0], level)


def _counted(shares: Sequence[float | None]) -> list[int]:
    """How many repeats said left, right, tie."""
    said = [whole(share) for share in shares if share is not None]
    return [said.count(outcome) for outcome in Outcome]
