"""Stored runs are rebuilt from their seed, so every plan must stay the same, byte for byte.

The golden file was written by the first planner, which worked row by row in Python. Never regenerate it.
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
from judge.planning.selection import NamedComparisons
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
    "labelled": Pairing(PairPolicy.LABELED),
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
        policy=PairPolicy.RANDOM,
        count=8,
        contestants=("ada", "bob", "cy", "élodie"),
        categories=("maths", ""),
        tags=("hard", "long"),
        prompts=6,
        seed=11,
    ),
    "repeats": Pairing(repeats=3, cache_tag="again", seed=1),
    "labelled-narrowed": Pairing(PairPolicy.LABELED, categories=("maths",), contestants=("ada", "bob", "dan")),
    "listed-narrowed": Pairing(PairPolicy.LISTED, tags=("long",), repeats=2),
}


def cases() -> dict[str, tuple[DatasetIndex, Pairing, int]]:
    """Return every policy in every order and turn, on both datasets, and each way to select a part of a dataset."""
    by_name = {}
    for index_name, index in INDEXES.items():
        for name, pairing in POLICIES.items():
            for orders in OrderPolicy:
                for turns in TurnPolicy:
                    turn = 2 if turns is TurnPolicy.NUMBER else 0
                    asked = replace(pairing, orders=orders, turns=turns, turn=turn)
                    by_name[f"{index_name}/{name}/{orders.name}/{turns.name}"] = index, asked, 1
    for name, pairing in NARROWED.items():
        for turns in TurnPolicy:
            turn = 1 if turns is TurnPolicy.NUMBER else 0
            asked = replace(pairing, turns=turns, turn=turn, orders=OrderPolicy.RANDOM)
            by_name[f"narrowed/{name}/{turns.name}"] = INDEXES["uneven"], asked, 2
    return by_name


def labels_on(index: DatasetIndex) -> list[Label]:
    """Return labels on many pairs: some repeated or swapped, some at turns or of contestants that do not exist."""
    ids = [prompt.prompt_id for prompt in index.prompts]
    names = [*sorted({output.contestant for output in index.outputs}), "nobody"]
    n_names = len(names)
    labels = [
        Label(
            label_id=f"{n}",
            prompt_id=ids[n * 11 % len(ids)],
            left=names[n // 5 % n_names],
            right=names[(n // 5 + 1 + n % (n_names - 1)) % n_names],
            outcome=Outcome.LEFT,
            annotator="x",
            kind=AnnotatorKind.HUMAN,
            turn=n // 3 % 4,
        )
        for n in range(900)
    ]
    absent = Label(
        label_id="0",
        prompt_id="absent",
        left=names[0],
        right=names[1],
        outcome=Outcome.TIE,
        annotator="x",
        kind=AnnotatorKind.HUMAN,
    )
    return [absent, *labels]


def listed_on(index: DatasetIndex) -> list[ListedComparison]:
    """Return the labels' comparisons as listed by a caller, with ids. Turn 0 leaves the turn to the pairing."""
    return [
        ListedComparison(
            comparison_id=f"id {label.label_id}/é",
            prompt_id=label.prompt_id,
            left=label.left,
            right=label.right,
            turn=label.turn,
        )
        for label in labels_on(index)
    ]


CASES = cases()
NAMED = {
    index: (NamedComparisons(index, labels_on(index)), NamedComparisons(index, listed_on(index)))
    for index in INDEXES.values()
}


def plan_of(case: str) -> Plan:
    index, pairing, judges = CASES[case]
    labeled, listed = NAMED[index]
    return make_plan(index, pairing, judges, listed if pairing.policy is PairPolicy.LISTED else labeled)


def summary(plan: Plan) -> list[object]:
    """Return the hash, the number of positions, and a digest of all presentations."""
    state = hashlib.sha256()
    for item in plan.items(range(plan.n_positions)):
        ends = (item.position, item.judge, item.prompt, item.turn, item.left, item.right, item.order.value, item.repeat)
        state.update(f"{ends} {item.comparison_id}\n".encode())
    return [plan.hash, plan.n_positions, state.hexdigest()]


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_plan_never_changes(case: str) -> None:
    """The hash and every position are the same as when runs were stored."""
    assert summary(plan_of(case)) == GOLDEN[case]


def test_every_golden_plan_is_checked() -> None:
    """Every golden plan has a case, and none is empty."""
    assert set(GOLDEN) == set(CASES)
    assert all(planned for _, planned, _ in GOLDEN.values())
