"""How much the verdicts of a judge or a jury vary with prompts, judges, orders and repeats."""

from __future__ import annotations

import numpy as np

from judge.columns.names import encode_names
from judge.domain.errors import Precondition
from judge.domain.outcome import Order
from judge.stats.variance import Component, components_of_variance
from judge.votes.votes import SourceVotes


def variance_of(votes: SourceVotes) -> tuple[Component, ...]:
    """The variance of the left scores by level. Raises Precondition NO_OUTCOMES if there are no verdicts."""
    rows = [
        ((key.left, key.right), (key.prompt_id, key.turn), judge, order, left_score)
        for judge, by_key in votes.left_scores.items()
        for key, by_order in by_key.items()
        for order, left_scores in by_order.items()
        for left_score in left_scores
        if left_score is not None
    ]
    if not rows:
        message = f"source {votes.source} has no outcomes to split the variance of: {votes.coverage}"
        raise Precondition(message, reason="NO_OUTCOMES")
    pairs, prompts, judges, orders, left_scores = zip(*rows, strict=True)
    pair, prompt, judge = (encode_names(column)[1][0] for column in (pairs, prompts, judges))
    first = np.array([order is Order.LEFT_FIRST for order in orders], dtype=np.int32)
    return tuple(components_of_variance(np.array(left_scores), pair, prompt, judge, first))
