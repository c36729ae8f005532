"""A run's plan onto the wire, in batches that fit into messages."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from judge.api.v1.run_service_pb2 import PlannedRound, ReadPlanResponse
from judge.planning.named_plan import named
from judge.planning.plan import Plan
from judge.planning.rounds import Rounds
from judge.ports.dataset_index import DatasetIndex
from judge.rpc import encode

PLAN_ROWS = 1000
"""Showings of a batch."""
PIECE = 1024 * 1024
"""A longer row of a round comes in pieces of so many bytes."""


def plan_batches(index: DatasetIndex, planned: Plan | Rounds) -> Iterator[ReadPlanResponse]:
    """The answers of ReadPlan for what was *planned* over *index*: rounds, if there are any, and then showings."""
    plans = [planned] if isinstance(planned, Plan) else planned.plans
    if isinstance(planned, Rounds):
        for number in range(len(planned)):
            for piece in pieces(encode.planned_round(planned, number)):
                yield ReadPlanResponse(plan_hash=planned.hash, rounds=[piece])
    presentations = named(index, plans)
    while batch := list(islice(presentations, PLAN_ROWS)):
        yield ReadPlanResponse(plan_hash=planned.hash, presentations=map(encode.planned_presentation, batch))


def pieces(whole: PlannedRound, most: int = PIECE) -> Iterator[PlannedRound]:
    """*whole*, its row cut into pieces of at most so many bytes."""
    for at in range(0, len(whole.row), most):
        piece = PlannedRound(number=whole.number, offset=whole.offset, presentations=whole.presentations)
        piece.row = whole.row[at : at + most]
        yield piece
