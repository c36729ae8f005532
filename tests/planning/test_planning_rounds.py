"""Rounds of adaptive runs depend only on what is stored, are the same on any processor, and give valid intervals."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from simulated_rounds import World, measure_coverage

from judge.domain.outcome import ItemState, Order, Preference
from judge.domain.run import OrderPolicy, Pairing, PairPolicy, TurnPolicy
from judge.domain.verdict import ParsedVerdict, PresentationNames, Reply, Verdict
from judge.planning.adaptive import ClosedComparisons, next_row, round_result
from judge.planning.rounds import NOTHING, Ending, RoundResult, RoundRow, Rounds
from support.dataset_indexes import full_index, uneven_index

ADAPTIVE = Pairing(policy=PairPolicy.ADAPTIVE, count=100, round_size=20)


def random_result(rounds: Rounds, seed: int) -> RoundResult:
    """Return a random result of the last round from two judges, some of whose verdicts are missing."""
    rng = np.random.default_rng([seed, len(rounds)])
    n = rounds.rows[-1].drawn.pairs.n
    judged = rng.integers(0, 3, n, dtype=np.int32)
    return RoundResult(rng.integers(0, 2 * judged + 1, dtype=np.int32), judged)


def all_rounds(pairing: Pairing, seed: int = 1) -> Rounds:
    """Return all rounds of a run over an uneven dataset."""
    rounds = Rounds(uneven_index(), pairing, 2)
    rounds.add(0, next_row(rounds, NOTHING).to_bytes())
    while not rounds.ended:
        rounds.add(len(rounds), next_row(rounds, random_result(rounds, seed)).to_bytes())
    return rounds


def test_law_5_a_stored_row_is_decoded_without_loss() -> None:
    """Decoding a row and encoding it again gives the same bytes, for rounds and for the end."""
    bodies = [row.to_bytes() for row in all_rounds(ADAPTIVE).rows]

    assert bodies == [RoundRow.of(body).to_bytes() for body in bodies]
    assert [1, 1, 1, 1, 1, 0] == [body[0] for body in bodies]
    assert bodies[1] == all_rounds(ADAPTIVE).rows[1].to_bytes()


def test_law_5_a_round_depends_only_on_the_seed_and_the_rounds_before_it() -> None:
    """Other verdicts change the rounds after them, but none before. Another seed changes the first round."""
    bodies, with_other_verdicts, reseeded = (
        [row.to_bytes() for row in all_rounds(pairing, seed).rows]
        for pairing, seed in ((ADAPTIVE, 1), (ADAPTIVE, 2), (Pairing(policy=PairPolicy.ADAPTIVE, count=100, seed=9), 1))
    )

    assert bodies[0] == with_other_verdicts[0]
    assert bodies[1] != with_other_verdicts[1]
    assert bodies[0] != reseeded[0]


@pytest.mark.parametrize(
    ("options", "presentations"),
    [
        ({}, 100 * 2),
        ({"repeats": 3}, 100 * 2 * 3),
        ({"orders": OrderPolicy.RANDOM}, 100),
        ({"turns": TurnPolicy.NUMBER, "turn": 2, "count": 10_000}, None),
        ({"turns": TurnPolicy.EACH}, None),
    ],
)
def test_positions_continue_from_round_to_round(options: dict[str, int], presentations: int | None) -> None:
    """Each position is one presentation to one judge, and no comparison is made twice, whatever outputs are missing."""
    rounds = all_rounds(Pairing(**{"policy": PairPolicy.ADAPTIVE, "count": 100, "round_size": 20, **options}))  # type: ignore[arg-type]  # fields

    items = rounds.items(range(rounds.n_positions))

    plans = [plan for number in range(len(rounds)) if (plan := rounds.plan(number))]
    assert list(range(rounds.n_positions)) == [item.position for item in items]
    assert len(items) == len({(i.judge, i.prompt, i.turn, i.left, i.right, i.order, i.repeat) for i in items})
    assert rounds.n_positions == (2 * presentations if presentations else sum(plan.n_positions for plan in plans))
    assert [plan.first(0) for plan in plans[1:]] == [plan.first(2) for plan in plans[:-1]]
    for plan in plans:
        assert {item.judge for item in items[plan.first(1) : plan.first(2)]} == {1}
    assert rounds.rows[-1].ending is (Ending.EXHAUSTED if options.get("count") else Ending.COUNT)


def test_at_least_a_fifth_of_every_round_is_drawn_uniformly() -> None:
    """The first round is drawn uniformly as a whole, so an unbiased sample exists from the start."""
    uniform = [row.drawn.uniform for row in all_rounds(ADAPTIVE).rows[:-1]]

    assert uniform[0].all()
    assert all(0.2 * uniform.size <= uniform.sum() < uniform.size for uniform in uniform[1:])
    assert len(set(all_rounds(ADAPTIVE).uniform_sample())) == sum(int(uniform.sum()) for uniform in uniform)


def verdicts_on(rounds: Rounds, preferences: dict[tuple[int, int, Order], Preference | None]) -> list[Verdict]:
    """Return verdicts on the first round. Without an entry in *preferences*, the output shown first is better."""
    verdicts = []
    for item in rounds.items(range(rounds.n_positions)):
        plan = rounds.plan(0)
        assert plan is not None
        _, at = plan.comparison(item.position)
        names = PresentationNames(prompt_id="p", turn=item.turn, left="left", right="right", order=item.order)
        preference = preferences.get((item.judge, at, item.order), Preference.FIRST)
        parsed_verdict = ParsedVerdict("brackets/1", preference) if preference else None
        verdict = Verdict("j", names, position=item.position)
        verdicts.append(
            replace(verdict, reply=Reply("reply"), parsed_verdicts=(parsed_verdict,))
            if parsed_verdict
            else replace(verdict, state=ItemState.REJECTED)
        )
    return verdicts


def test_a_closed_round_reconciles_both_orders_of_each_judge() -> None:
    """The same side in both orders wins, different sides are a tie, and a missing order gives no outcome."""
    left_first, right_first = Order
    rounds = Rounds(full_index(), ADAPTIVE, 2)
    rounds.add(0, next_row(rounds, NOTHING).to_bytes())

    closed = round_result(
        rounds,
        0,
        verdicts_on(
            rounds,
            {
                (0, 0, right_first): Preference.SECOND,
                (1, 1, left_first): Preference.SECOND,
                (0, 2, left_first): None,
                (0, 3, left_first): None,
                (1, 3, right_first): None,
            },
        ),
    )

    comparisons = ClosedComparisons.by(rounds, closed)
    pairs = rounds.rows[0].drawn.pairs
    assert [3, 1, 1, 0] + [2] * 16 == closed.halves.tolist()
    assert [2, 2, 1, 0] + [2] * 16 == closed.judged.tolist()
    assert comparisons.wins().sum() == 19
    assert (comparisons.battles().n, comparisons.battles().weight is None) == (2 * 19, False)
    assert comparisons.wins()[pairs.left[0], pairs.right[0]] % 0.5 == 0.25


def test_intervals_of_adaptive_runs_have_their_nominal_coverage() -> None:
    """With few prompts that have effects, 95 % intervals of differences cover the truth, also for the worst pair.

    These are too few runs to check the goal itself (93 to 97 %, 90 % for the worst pair). The bench does that with ten
    times as many.
    """
    pairing = Pairing(policy=PairPolicy.ADAPTIVE, count=480, round_size=120)

    whole, uniform = measure_coverage(World(), 80, pairing, 100)

    print(f"bias {whole.mean_bias:+.1f} Elo, uniform sample alone {uniform.mean_bias:+.1f}")  # noqa: T201  # shows the value behind the bounds
    assert 0.925 <= whole.mean <= 0.975
    assert 0.925 <= uniform.mean <= 0.975
    assert min(whole.worst, uniform.worst) >= 0.88
    assert abs(uniform.mean_bias) < 5
    assert abs(whole.mean_bias) < 15


SCRIPT = """
import hashlib
from simulated_rounds import World
from judge.domain.run import Pairing, PairPolicy
from judge.planning.rounds import NOTHING, RoundResult, Rounds
from judge.planning.adaptive import next_row
import numpy as np

index = World(40, 600.0).index(30)
for top in (0, 7):
    pairing = Pairing(policy=PairPolicy.ADAPTIVE, count=6000, round_size=1500, top=top, precision=1.0, separated=True)
    rounds, closed = Rounds(index, pairing, 1), NOTHING
    while not rounds.ended:
        rounds.add(len(rounds), next_row(rounds, closed).to_bytes())
        pairs = rounds.rows[-1].drawn.pairs
        strong = np.random.default_rng(len(rounds)).random(pairs.n) < 0.5 + (pairs.right - pairs.left) / 90
        closed = RoundResult(2 * strong.astype(np.int32), np.ones(pairs.n, dtype=np.int32))
    print(top, [hashlib.sha256(row.to_bytes()).hexdigest() for row in rounds.rows])
"""
KERNELS = ({"OPENBLAS_NUM_THREADS": "1"}, {"OPENBLAS_NUM_THREADS": "2"}, {"OPENBLAS_CORETYPE": "Nehalem"})


def test_law_5_threads_and_kernels_do_not_change_rounds() -> None:
    """One and two BLAS threads, and the kernels of another CPU, plan the same rounds byte for byte, by either rule."""
    path = os.pathsep.join([str(Path.cwd()), *sys.path])
    printed = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONPATH": path, **kernel},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for kernel in KERNELS
    ]

    assert [printed[0]] * len(KERNELS) == printed
    assert printed[0].count(b"\n") == 2
