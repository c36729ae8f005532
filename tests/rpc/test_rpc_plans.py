"""Plans in messages: long rows are split into pieces."""

from __future__ import annotations

import pytest

from judge.api.v1.run_service_pb2 import PlannedRound
from judge.cli.bundle_export import join_pieces
from judge.domain.run import Pairing, PairPolicy
from judge.planning.adaptive import next_row
from judge.planning.rounds import NOTHING, Rounds
from judge.rpc.plans import pieces, plan_batches
from support.dataset_indexes import full_index


@pytest.mark.parametrize("most", [1, 7, 39, 40, 1000])
def test_rows_of_rounds_are_whole_again_once_joined(most: int) -> None:
    """Joining the pieces of rounds gives the rounds back, for any size of pieces; a row that fits is one piece."""
    rounds = [PlannedRound(number=n, offset=n * 8, presentations=n, row=bytes(range(20 * n))) for n in (1, 2, 3)]

    cut = [piece for planned_round in rounds for piece in pieces(planned_round, most)]

    assert max(len(piece.row) for piece in cut) <= most
    assert (len(cut) == len(rounds)) == (most >= 60)
    assert rounds == list(join_pieces(cut))


def test_a_run_that_has_not_begun_tells_the_first_round_that_it_will_have() -> None:
    """The presentations of the first round follow from the seed; once the round has begun, its row is sent too."""
    rounds = Rounds(index := full_index(), Pairing(policy=PairPolicy.ADAPTIVE, count=40, round_size=10), 1)

    waiting = list(plan_batches(index, rounds))
    rounds.add(0, next_row(rounds, NOTHING).to_bytes())
    begun = list(plan_batches(index, rounds))

    assert [0] == [len(batch.rounds) for batch in waiting]
    assert [1, 0] == [len(batch.rounds) for batch in begun]
    assert list(waiting[0].presentations) == list(begun[1].presentations)
    assert len(waiting[0].presentations) == 2 * 10
