"""Rounds of a bundle: one that does not follow from the seed and the rounds before it is reported."""

from __future__ import annotations

import numpy as np
import pytest

from judge.bundles.round_checks import late_answers, wrong_rounds
from judge.domain.errors import InvalidInput
from judge.domain.outcome import Preference
from judge.domain.run import Pairing, PairPolicy
from judge.domain.verdict import ParsedVerdict, PresentationNames, Reply, Verdict
from judge.planning.adaptive import next_row, round_result
from judge.planning.rounds import NOTHING, RoundResult, Rounds
from support.dataset_indexes import full_index, uneven_index

PAIRING = Pairing(policy=PairPolicy.ADAPTIVE, count=24, round_size=8, seed=3)
INDEX = uneven_index()
HEAD, COMPARISON = 20, 13
"""Bytes of a row: before its comparisons, and of each."""
EVERY = 3
"""Every third byte is changed."""


def all_rounds() -> Rounds:
    """Plan all rounds of a run with two judges."""
    rounds, closed = Rounds(INDEX, PAIRING, 2), NOTHING
    while not rounds.ended:
        rounds.add(len(rounds), next_row(rounds, closed).to_bytes())
        rng = np.random.default_rng(len(rounds))
        judged = rng.integers(0, 3, rounds.rows[-1].drawn.pairs.n, dtype=np.int32)
        closed = RoundResult(rng.integers(0, 2 * judged + 1, dtype=np.int32), judged)
    return rounds


def problems_in(bodies: list[bytes]) -> str:
    """Say why a row is refused, or what does not follow."""
    rounds = Rounds(INDEX, PAIRING, 2)
    try:
        for body in bodies:
            rounds.restore(body)
    except InvalidInput as error:
        return error.message
    return "; ".join(wrong_rounds(INDEX, rounds, 3))


def test_what_was_planned_follows() -> None:
    """Stored rows have no problem, with or without the row of the end."""
    bodies = [row.to_bytes() for row in all_rounds().rows]

    assert ["", ""] == [problems_in(bodies), problems_in(bodies[:-1])]
    assert problems_in(bodies[:-2]) == "there are 2 rounds, but the run counts 3"
    assert problems_in([]) == "there are 0 rounds, but the run counts 3"


@pytest.mark.parametrize("number", range(4))
def test_no_byte_of_what_a_row_plans_changes_unseen(number: int) -> None:
    """A changed byte makes a row unusable, or it no longer follows. The record of the round before is left out."""
    bodies = [row.to_bytes() for row in all_rounds().rows]
    body, plans = bodies[number], HEAD + COMPARISON * all_rounds().rows[number].drawn.pairs.n

    for at in range(number % EVERY, plans, EVERY):
        changed = body[:at] + bytes([body[at] ^ (1 << at % 8)]) + body[at + 1 :]
        assert problems_in([*bodies[:number], changed, *bodies[number + 1 :]]), at


def test_rows_have_one_order_and_one_end() -> None:
    """Rows that are missing, repeated, after the end, too short, or too long are reported."""
    bodies = [row.to_bytes() for row in all_rounds().rows]
    goes_on = "it does not follow from the row before it"

    assert problems_in([*bodies, bodies[-1]]) == goes_on
    assert problems_in([bodies[0], bodies[0]]) == goes_on
    assert problems_in([bodies[0], bodies[2]]) == goes_on
    assert problems_in(bodies[1:]) == goes_on
    assert problems_in([bodies[0] + b"\0"]) == "its bytes are not the bytes that a row has"
    assert {"it is not the row of a round over these outputs"} == {
        problems_in([bodies[0][:n_bytes]]) for n_bytes in (0, HEAD - 1, HEAD, len(bodies[0]) - 1)
    }


def test_answers_that_a_round_did_not_know_are_counted() -> None:
    """There is no note if all answers were known. A comparison with another answer counts once, whatever its orders."""
    index = full_index()
    rounds = Rounds(index, PAIRING, 1)
    rounds.add(0, next_row(rounds, NOTHING).to_bytes())
    before = [verdict_at(rounds, position, Preference.FIRST) for position in range(16)]
    rounds.add(1, next_row(rounds, round_result(rounds, 0, before)).to_bytes())
    open_round = [verdict_at(rounds, position, Preference.SECOND) for position in range(16, 32)]

    later = [
        verdict_at(rounds, position, Preference.SECOND if position in (4, 6, 7) else Preference.FIRST)
        for position in range(16)
    ]

    assert [] == list(late_answers(rounds, before + open_round))
    [note] = late_answers(rounds, before[:2] + later[2:] + open_round)
    assert note.startswith("1 comparison has other answers than when the next round was planned")
    [note] = late_answers(rounds, before[2:])
    assert note.startswith("1 comparison has")


def verdict_at(rounds: Rounds, position: int, preference: Preference) -> Verdict:
    """Make a verdict on the presentation at *position*."""
    [item] = rounds.items([position])
    names = PresentationNames("p", item.turn, "left", "right", item.order)
    return Verdict(
        "j", names, position=position, reply=Reply("said"), parsed_verdicts=(ParsedVerdict("brackets/1", preference),)
    )
