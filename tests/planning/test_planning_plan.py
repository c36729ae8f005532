from __future__ import annotations

from dataclasses import replace

import pytest

from judge.domain.dataset import Label, ListedComparison
from judge.domain.errors import InvalidInput, Precondition
from judge.domain.outcome import AnnotatorKind, Order, Outcome
from judge.domain.run import OrderPolicy, Pairing, PairPolicy, TurnPolicy
from judge.planning.plan import Plan, make_plan
from judge.planning.rounds import Rounds
from judge.planning.selection import NamedComparisons
from judge.ports.dataset_index import DatasetIndex, IndexedOutput, IndexedPrompt
from support.dataset_indexes import full_index, index_of


def index(
    names: tuple[str, ...] = ("ada", "bob", "cy"), prompts: int = 4, turns: int = 2, base: int = 0
) -> DatasetIndex:
    rows = [
        IndexedPrompt(row=base + p, prompt_id=f"p{p}", category="even" if p % 2 == 0 else "odd", tags=(), turns=turns)
        for p in range(1, prompts + 1)
    ]
    outputs = [
        IndexedOutput(row=base + 100 + p.row * 10 + i, prompt=p.row, contestant=name, sample=0, turns=turns)
        for p in rows
        for i, name in enumerate(names)
    ]
    return index_of(rows, outputs)


def turns(plan: Plan) -> list[int]:
    return [item.turn for item in plan.items(range(plan.n_positions))]


def test_all_pairs_are_shown_in_both_orders() -> None:
    """Three contestants on four prompts make 12 comparisons and 24 presentations for each judge."""
    plan = make_plan(index(), Pairing(), judges=2)

    assert (plan.presentations, plan.n_positions) == (24, 48)
    assert {Order.LEFT_FIRST, Order.RIGHT_FIRST} == {item.order for item in plan.items(range(2))}
    assert [item.judge for item in plan.items([23, 24])] == [0, 1]


def test_law_5_same_inputs_and_seed_make_the_same_plan() -> None:
    """The plan's hash depends on the names, the pairing and the seed, but not on row ids of the store."""
    pairing = Pairing(policy=PairPolicy.RANDOM, count=7, orders=OrderPolicy.RANDOM, seed=11)

    plan = make_plan(index(base=0), pairing, 1)
    with_other_rows = make_plan(index(base=5000), pairing, 1)
    reseeded = make_plan(index(), Pairing(policy=PairPolicy.RANDOM, count=7, orders=OrderPolicy.RANDOM, seed=12), 1)

    assert plan.hash == with_other_rows.hash
    assert plan.hash != reseeded.hash


def test_each_turn_policy_plans_its_turns() -> None:
    """EACH plans every turn that both outputs have, LAST only the last one, and NUMBER the given one."""
    each, last, first = (
        turns(make_plan(index(prompts=1), Pairing(turns=policy, turn=turn), 1))
        for policy, turn in ((TurnPolicy.EACH, 0), (TurnPolicy.LAST, 0), (TurnPolicy.NUMBER, 1))
    )

    assert sorted([1, 1, 2, 2] * 3) == sorted(each)
    assert {2} == set(last)
    assert {1} == set(first)


def test_against_plans_only_pairs_with_the_reference_contestant() -> None:
    """Every presentation has the reference contestant on one side."""
    plan = make_plan(index(), Pairing(policy=PairPolicy.AGAINST, reference_contestant="bob"), 1)
    bobs = {o.row for o in index().outputs if o.contestant == "bob"}

    assert plan.presentations == 16
    assert all(len({item.left, item.right} & bobs) == 1 for item in plan.items(range(plan.n_positions)))


def test_labeled_comparisons_are_planned_once() -> None:
    """Two labels on the same comparison, in both orientations, plan it once."""
    labels = [
        Label(
            label_id=label_id,
            prompt_id="p1",
            left=left,
            right=right,
            outcome=Outcome.LEFT,
            annotator=annotator,
            kind=AnnotatorKind.HUMAN,
        )
        for label_id, left, right, annotator in (
            ("1", "ada", "bob", "x"),
            ("2", "bob", "ada", "y"),
            ("3", "bob", "nobody", "y"),
        )
    ]
    plan = make_plan(
        index(), Pairing(policy=PairPolicy.LABELED, turns=TurnPolicy.EACH), 1, NamedComparisons(index(), labels)
    )

    assert plan.presentations == 2


def test_listed_comparisons_keep_the_callers_ids() -> None:
    """Both presentations of the comparison have its id."""
    listed = [ListedComparison(comparison_id="mine", prompt_id="p2", left="cy", right="ada", turn=1)]
    plan = make_plan(index(), Pairing(policy=PairPolicy.LISTED), 1, NamedComparisons(index(), listed))

    assert [item.comparison_id for item in plan.items([0, 1])] == ["mine", "mine"]


def test_a_pairing_without_comparisons_is_refused() -> None:
    """No pairs, an unknown contestant, an unknown category, and a top 3 of 3 contestants are clear errors."""
    with pytest.raises(Precondition, match="0 pairs"):
        make_plan(index(names=("ada",)), Pairing(), 1)
    with pytest.raises(InvalidInput, match="'zed' has no output"):
        make_plan(index(), Pairing(contestants=("zed",)), 1)
    with pytest.raises(InvalidInput, match="category 'maths'"):
        make_plan(index(), Pairing(categories=("maths",)), 1)
    with pytest.raises(InvalidInput, match="the best 3 of 3 contestants leave nobody out"):
        make_plan(index(), Pairing(policy=PairPolicy.ADAPTIVE, count=9, top=3), 1)


def test_items_do_not_depend_on_which_positions_are_read_together() -> None:
    """Positions in any order, across judges and repeats, have the same items as each position alone."""
    plan = make_plan(index(), Pairing(repeats=2, orders=OrderPolicy.RANDOM), judges=3)
    positions = [71, 0, 23, 24, 25, 24]

    items = plan.items(positions)

    assert positions == [item.position for item in items]
    assert items == [plan.items([position])[0] for position in positions]
    assert {(item.judge, item.repeat) for item in plan.items(range(72))} == {(j, r) for j in range(3) for r in range(2)}
    assert plan.items([]) == []


def test_a_million_comparisons_are_a_few_arrays() -> None:
    """2,000 prompts and 33 contestants, all pairs in both orders: 2.1 million presentations of less than 16 bytes."""
    large = full_index(2000, [f"contestant {n:02}" for n in range(33)])

    plan = make_plan(large, Pairing(), judges=1)

    held = sum(column.nbytes for column in (plan.prompt, plan.turn, plan.left, plan.right, plan.order))
    assert plan.presentations == 2 * 2000 * 33 * 32 // 2
    assert held < 16 * plan.presentations
    assert [1, 2] == [item.order.value for item in plan.items(range(plan.n_positions - 2, plan.n_positions))]


def test_rows_beyond_32_bits_are_planned() -> None:
    """Row ids may need more than 32 bits, which does not change the plan's hash."""
    far = make_plan(index(base=2**40), Pairing(), 1)

    assert far.hash == make_plan(index(), Pairing(), 1).hash
    assert [item.prompt - 2**40 for item in far.items(range(6))] == [1] * 6


@pytest.mark.parametrize("policy", [PairPolicy.ALL, PairPolicy.RANDOM])
def test_a_plan_has_no_more_positions_than_the_api_can_count(policy: PairPolicy) -> None:
    """Four comparisons in one order may be repeated 2**29 - 1 times, and not once more."""
    most = Pairing(policy=policy, count=4, orders=OrderPolicy.ONE, repeats=2**29 - 1)
    two = index(("ada", "bob"))

    largest = make_plan(two, most, judges=1)
    with pytest.raises(InvalidInput, match="at most 2,147,483,647") as caught:
        make_plan(two, replace(most, repeats=2**29), judges=1)

    assert largest.n_positions == 2**31 - 4
    assert (caught.value.field, caught.value.reason) == ("pairing.repeats", "TOO_MANY_PRESENTATIONS")


def test_all_rounds_together_have_no_more_positions_than_the_api_can_count() -> None:
    """An adaptive run is refused if its rounds together could be too large, even if the first one is not."""
    pairing = Pairing(policy=PairPolicy.ADAPTIVE, count=4, round_size=1, orders=OrderPolicy.ONE, repeats=2**29)

    assert make_plan(index(("ada", "bob")), pairing, judges=1).n_positions == 2**29
    with pytest.raises(InvalidInput, match="at most 2,147,483,647"):
        Rounds(index(("ada", "bob")), pairing, judges=1)
