"""Encode a run's plan, in batches that fit into messages."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from judge.api.v1.run_service_pb2 import PlannedRound, ReadPlanResponse
from judge.planning.named_plan import plan_entries
from judge.planning.plan import Plan
from judge.planning.rounds import Rounds
from judge.ports.dataset_index import DatasetIndex
from judge.rpc import encode

PLAN_ROWS = 1000
"""Presentations in a batch."""
PIECE = 1024 * 1024
"""The maximum size in bytes of a piece of a round's row."""


def plan_batches(index: DatasetIndex, planned: Plan | Rounds) -> Iterator[ReadPlanResponse]:
    """Yield the responses of ReadPlan: the rounds of an adaptive run first, then all presentations."""
    plans = [planned] if isinstance(planned, Plan) else planned.plans
    if isinstance(planned, Rounds):
        for number in range(len(planned)):
            for piece in pieces(encode.planned_round(planned, number)):
                yield ReadPlanResponse(plan_hash=planned.hash, rounds=[piece])
    presentations = plan_entries(index, plans)
    while batch := list(islice(presentations, PLAN_ROWS)):
        yield ReadPlanResponse(plan_hash=planned.hash, presentations=map(encode.planned_presentation, batch))


def pieces(whole: PlannedRound, most: int = PIECE) -> Iterator[PlannedRound]:
    """Yield the round *whole* with its row cut into pieces of at most *most* bytes."""
    for at in range(0, len(whole.row), most):
        piece = PlannedRound(number=whole.number, offset=whole.offset, presentations=whole.presentations)
        piece.row = whole.row[at : at + most]
        yield piece
