"""How far a judge's, or a jury's, verdicts vary with prompts, judges, orders and repeats."""

from __future__ import annotations

import numpy as np

from judge.columns.names import coded
from judge.domain.errors import Precondition
from judge.domain.outcome import Order
from judge.stats.variance import Component, components_of_variance
from judge.votes.votes import SourceVotes


def variance_of(votes: SourceVotes) -> tuple[Component, ...]:
    """The variance of what goes to the left, by level. Precondition where there are no verdicts."""
    rows = [
        ((key.left, key.right), (key.prompt_id, key.turn), judge, order, share)
        for judge, told in votes.left_scores.items()
        for key, by_order in told.items()
        for order, shares in by_order.items()
        for share in shares
        if share is not None
    ]
    if not rows:
        raise Precondition(f"source {votes.source} has no verdicts whose variance could be split", reason="NO_OUTCOMES")
    pairs, prompts, judges, orders, outcome = zip(*rows, strict=True)
    pair, prompt, judge = (coded(column)[1][0] for column in (pairs, prompts, judges))
    first = np.array([order is Order.LEFT_FIRST for order in orders], dtype=np.int32)
    return tuple(components_of_variance(np.array(outcome), pair, prompt, judge, first))
