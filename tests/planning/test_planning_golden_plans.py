"""Stored runs are rebuilt from their seed: every plan ever made must come out again, byte for byte.

The golden file was written by the first planner, row by row in Python; it is never written anew.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from judge.domain.dataset import Label, ListedComparison
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.domain.run import OrderPolicy, Pairing, PairPolicy, TurnPolicy
from judge.planning.plan import Plan, make_plan
from judge.planning.selection import Named
from judge.ports.dataset_index import DatasetIndex
from support.dataset_indexes import full_index, uneven_index

GOLDEN = json.loads(Path(__file__).with_name("plans.json").read_text())
INDEXES = {"uneven": uneven_index(), "full": full_index()}
POLICIES = {
    "all": Pairing(),
    "against": Pairing(PairPolicy.AGAINST, reference_contestant="bob"),
    "few": Pairing(PairPolicy.RANDOM, count=35, seed=4),
    "many": Pairing(PairPolicy.RANDOM, count=61, seed=5),
    "most": Pairing(PairPolicy.RANDOM, count=10**6, seed=6),
    "labelled": Pairing(PairPolicy.LABELLED),
    "listed": Pairing(PairPolicy.LISTED),
}
NARROWED = {
    "contestants": Pairing(contestants=("eve", "ada", "cy"), seed=2),
    "reference": Pairing(PairPolicy.AGAINST, reference_contestant="cy", contestants=("dan", "ada")),
    "and-reference": Pairing(reference_contestant="cy", contestants=("dan", "ada")),
    "category": Pairing(categories=("code", "maths")),
    "no-category": Pairing(categories=("",)),
    "tags": Pairing(tags=("hard",)),
    "prompts": Pairing(prompts=7, seed=9),
    "everything": Pairing(
        PairPolicy.RANDOM, "", 8, ("ada", "bob", "cy", "élodie"), ("maths", ""), ("hard", "long"), 6, seed=11
    ),
    "repeats": Pairing(repeats=3, cache_tag="again", seed=1),
    "labelled-narrowed": Pairing(PairPolicy.LABELLED, categories=("maths",), contestants=("ada", "bob", "dan")),
    "listed-narrowed": Pairing(PairPolicy.LISTED, tags=("long",), repeats=2),
}


def cases() -> dict[str, tuple[DatasetIndex, Pairing, int]]:
    """Every policy in every order and turn, on both boards, and each way of leaving something out."""
    found = {}
    for where, index in INDEXES.items():
        for name, pairing in POLICIES.items():
            for orders in OrderPolicy:
                for turns in TurnPolicy:
                    turn = 2 if turns is TurnPolicy.NUMBER else 0
                    asked = replace(pairing, orders=orders, turns=turns, turn=turn)
                    found[f"{where}/{name}/{orders.name}/{turns.name}"] = index, asked, 1
    for name, pairing in NARROWED.items():
        for turns in TurnPolicy:
            turn = 1 if turns is TurnPolicy.NUMBER else 0
            asked = replace(pairing, turns=turns, turn=turn, orders=OrderPolicy.RANDOM)
            found[f"narrowed/{name}/{turns.name}"] = INDEXES["uneven"], asked, 2
    return found


def labels_on(index: DatasetIndex) -> list[Label]:
    """Labels on many pairs, some twice and turned round, at turns that exist or not, some of nobody's output."""
    ids = [prompt.prompt_id for prompt in index.prompts]
    names = [*sorted({output.contestant for output in index.outputs}), "nobody"]
    many = len(names)
    made = [
        Label(
            label_id=f"{n}",
            prompt_id=ids[n * 11 % len(ids)],
            left=names[n // 5 % many],
            right=names[(n // 5 + 1 + n % (many - 1)) % many],
            outcome=Outcome.LEFT,
            annotator="x",
            kind=AnnotatorKind.HUMAN,
            turn=n // 3 % 4,
        )
        for n in range(900)
    ]
    return [Label("0", "absent", names[0], names[1], Outcome.TIE, "x", AnnotatorKind.HUMAN), *made]


def listed_on(index: DatasetIndex) -> list[ListedComparison]:
    """The labels' comparisons as the caller's, under ids of his; turn 0 leaves the turn to the pairing."""
    return [
        ListedComparison(f"id {label.label_id}/é", label.prompt_id, label.left, label.right, label.turn)
        for label in labels_on(index)
    ]


CASES = cases()
NAMED = {index: (Named(index, labels_on(index)), Named(index, listed_on(index))) for index in INDEXES.values()}


def plan_of(case: str) -> Plan:
    index, pairing, judges = CASES[case]
    labelled, listed = NAMED[index]
    return make_plan(index, pairing, judges, listed if pairing.policy is PairPolicy.LISTED else labelled)


def told(plan: Plan) -> list[object]:
    """The hash, the number of positions, and a digest of what stands at each."""
    state = hashlib.sha256()
    for item in plan.items(range(plan.n_positions)):
        ends = (item.position, item.judge, item.prompt, item.turn, item.left, item.right, item.order.value, item.repeat)
        state.update(f"{ends} {item.comparison_id}\n".encode())
    return [plan.hash, plan.n_positions, state.hexdigest()]


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_plan_is_what_it_ever_was(case: str) -> None:
    """The hash and every position are those that runs were stored with."""
    assert told(plan_of(case)) == GOLDEN[case]


def test_every_plan_that_was_kept_is_tried() -> None:
    """No golden plan is left out, and none is empty."""
    assert set(GOLDEN) == set(CASES)
    assert all(planned for _, planned, _ in GOLDEN.values())
