from __future__ import annotations

import pytest

from judge.domain.dataset import Label, ListedComparison
from judge.domain.errors import InvalidInput, Precondition
from judge.domain.outcome import AnnotatorKind, Order, Outcome
from judge.domain.run import OrderPolicy, Pairing, PairPolicy, TurnPolicy
from judge.planning.plan import Plan, make_plan
from judge.planning.selection import Named
from judge.ports.dataset_index import DatasetIndex, IndexedOutput, IndexedPrompt
from support.dataset_indexes import full_index, index_of


def index(
    names: tuple[str, ...] = ("ada", "bob", "cy"), prompts: int = 4, turns: int = 2, base: int = 0
) -> DatasetIndex:
    rows = [IndexedPrompt(base + p, f"p{p}", "even" if p % 2 == 0 else "odd", (), turns) for p in range(1, prompts + 1)]
    outputs = [
        IndexedOutput(base + 100 + p.row * 10 + i, p.row, name, 0, turns) for p in rows for i, name in enumerate(names)
    ]
    return index_of(rows, outputs)


def turns(plan: Plan) -> list[int]:
    return [item.turn for item in plan.items(range(plan.n_positions))]


def test_all_pairs_are_shown_in_both_orders() -> None:
    """Three contestants on four prompts make 12 comparisons and 24 showings, for each judge."""
    plan = make_plan(index(), Pairing(), judges=2)

    assert (plan.presentations, plan.n_positions) == (24, 48)
    assert {Order.LEFT_FIRST, Order.RIGHT_FIRST} == {item.order for item in plan.items(range(2))}
    assert [item.judge for item in plan.items([23, 24])] == [0, 1]


def test_law_5_same_inputs_and_seed_make_the_same_plan() -> None:
    """The plan's hash depends on names, pairing and seed, never on a store's row ids."""
    pairing = Pairing(policy=PairPolicy.RANDOM, count=7, orders=OrderPolicy.RANDOM, seed=11)

    one = make_plan(index(base=0), pairing, 1)
    other = make_plan(index(base=5000), pairing, 1)
    reseeded = make_plan(index(), Pairing(policy=PairPolicy.RANDOM, count=7, orders=OrderPolicy.RANDOM, seed=12), 1)

    assert one.hash == other.hash
    assert one.hash != reseeded.hash


def test_each_turn_is_planned_when_asked() -> None:
    """Turns EACH plans every turn both have, LAST only the last, NUMBER the one given."""
    each, last, first = (
        turns(make_plan(index(prompts=1), Pairing(turns=policy, turn=turn), 1))
        for policy, turn in ((TurnPolicy.EACH, 0), (TurnPolicy.LAST, 0), (TurnPolicy.NUMBER, 1))
    )

    assert sorted([1, 1, 2, 2] * 3) == sorted(each)
    assert {2} == set(last)
    assert {1} == set(first)


def test_against_plans_only_pairs_with_the_reference_contestant() -> None:
    """Every showing has the reference contestant on one side."""
    plan = make_plan(index(), Pairing(policy=PairPolicy.AGAINST, reference_contestant="bob"), 1)
    bobs = {o.row for o in index().outputs if o.contestant == "bob"}

    assert plan.presentations == 16
    assert all(len({item.left, item.right} & bobs) == 1 for item in plan.items(range(plan.n_positions)))


def test_labelled_plans_what_was_labelled_once_each() -> None:
    """Two labels on one comparison, in both orientations, plan it once."""
    labels = [
        Label("1", "p1", "ada", "bob", Outcome.LEFT, "x", AnnotatorKind.HUMAN),
        Label("2", "p1", "bob", "ada", Outcome.LEFT, "y", AnnotatorKind.HUMAN),
        Label("3", "p1", "bob", "nobody", Outcome.LEFT, "y", AnnotatorKind.HUMAN),
    ]
    plan = make_plan(index(), Pairing(policy=PairPolicy.LABELLED, turns=TurnPolicy.EACH), 1, Named(index(), labels))

    assert plan.presentations == 2


def test_listed_comparisons_keep_the_callers_ids() -> None:
    """The id comes back on both showings of the comparison."""
    listed = [ListedComparison("mine", "p2", "cy", "ada", 1)]
    plan = make_plan(index(), Pairing(policy=PairPolicy.LISTED), 1, Named(index(), listed))

    assert [item.comparison_id for item in plan.items([0, 1])] == ["mine", "mine"]


def test_nothing_to_compare_is_refused_by_name() -> None:
    """0 pairs, an unknown contestant, an unknown category and a best three of three are clear errors."""
    with pytest.raises(Precondition, match="0 pairs"):
        make_plan(index(names=("ada",)), Pairing(), 1)
    with pytest.raises(InvalidInput, match="'zed' has no output"):
        make_plan(index(), Pairing(contestants=("zed",)), 1)
    with pytest.raises(InvalidInput, match="category 'maths'"):
        make_plan(index(), Pairing(categories=("maths",)), 1)
    with pytest.raises(InvalidInput, match="the best 3 of 3 contestants leave nobody out"):
        make_plan(index(), Pairing(policy=PairPolicy.ADAPTIVE, count=9, top=3), 1)


def test_a_shard_is_what_stands_at_its_positions() -> None:
    """Any positions, in any order, across judges and repeats, are what each alone is."""
    plan = make_plan(index(), Pairing(repeats=2, orders=OrderPolicy.RANDOM), judges=3)
    positions = [71, 0, 23, 24, 25, 24]

    found = plan.items(positions)

    assert positions == [item.position for item in found]
    assert found == [plan.items([position])[0] for position in positions]
    assert {(item.judge, item.repeat) for item in plan.items(range(72))} == {(j, r) for j in range(3) for r in range(2)}
    assert plan.items([]) == []


def test_a_million_comparisons_are_a_few_arrays() -> None:
    """2,000 prompts and 33 contestants, each pair in both orders: 2.1 million showings in under 16 bytes each."""
    many = full_index(2000, [f"contestant {n:02}" for n in range(33)])

    plan = make_plan(many, Pairing(), judges=1)

    held = sum(column.nbytes for column in (plan.prompt, plan.turn, plan.left, plan.right, plan.order))
    assert plan.presentations == 2 * 2000 * 33 * 32 // 2
    assert held < 16 * plan.presentations
    assert [1, 2] == [item.order.value for item in plan.items(range(plan.n_positions - 2, plan.n_positions))]


def test_rows_beyond_32_bits_are_planned() -> None:
    """A store's ids may outgrow 32 bits; the plan's hash does not see it."""
    far = make_plan(index(base=2**40), Pairing(), 1)

    assert far.hash == make_plan(index(), Pairing(), 1).hash
    assert [item.prompt - 2**40 for item in far.items(range(6))] == [1] * 6
