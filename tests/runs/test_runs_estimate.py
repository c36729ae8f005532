"""Estimates of runs: how many calls they make, and what these send."""

from __future__ import annotations

import time
from dataclasses import astuple

import pytest

from judge.domain.dataset import Output, Prompt
from judge.domain.judge import JudgeCard, JudgeDefinition, Price
from judge.domain.run import Budget, OrderPolicy, Pairing, RunSpec, TurnPolicy
from judge.execution.cost import characters
from judge.execution.work_items import Keys
from judge.planning.inputs import build_plan
from judge.prompts.rubrics import RUBRICS
from judge.runs.estimate import BudgetReach, JudgeEstimate, RunEstimate, budget_reach, estimate
from judge.runs.plan_keys import plan_keys
from judge.store.sql_store import SqlStore
from support.clocks import StillClock

FAR = JudgeCard(
    JudgeDefinition(name="far", backend="openai", rubric=RUBRICS["brackets"], parser="brackets/1", model="m"),
    price=Price(3_000_000, 0, 9_000_000),
)


async def estimate_run(texts: list[str], pairing: Pairing) -> JudgeEstimate:
    """Estimate a run over one prompt with one contestant per text."""
    store = SqlStore.open("sqlite://", clock=StillClock())
    await store.create_dataset("t", "d")
    await store.add_prompts("t", "d", [Prompt("p", ("ask",))], replace=False)
    outputs = [Output("p", f"c{n}", (text,)) for n, text in enumerate(texts)]
    revision = (await store.add_outputs("t", "d", outputs, replace=False)).revision
    plan = await build_plan(store, "t", RunSpec("d", ("far",), pairing), revision)
    whole = (await estimate(store, "t", plan, [FAR], "")).whole
    await store.close()
    return whole


async def test_a_call_that_presentations_share_is_counted_once() -> None:
    """With two equal outputs of three, six presentations are three calls."""
    estimated = await estimate_run(["short", "the same", "the same"], Pairing())

    assert (3, 3) == (estimated.calls, estimated.reused)


async def test_each_repeat_is_a_call_of_its_own() -> None:
    """Repeats multiply calls, tokens and costs alike."""
    once, four = [await estimate_run(["short", "longer " * 99], Pairing(repeats=n)) for n in (1, 4)]

    assert (2, 8, 0) == (once.calls, four.calls, four.reused)
    assert [4 * n for n in (once.input_tokens, once.output_tokens, once.cost_micros, once.low, once.high)] == [
        *(four.input_tokens, four.output_tokens, four.cost_micros, four.low, four.high)
    ]
    assert 0 < once.low < once.cost_micros < once.high


async def test_repeats_cost_an_estimate_no_time() -> None:
    """A run with a million repeats is estimated as fast as one without."""
    begun = time.process_time()
    estimated = await estimate_run(["short", "longer"], Pairing(repeats=10**6))

    assert (2 * 10**6, 0) == (estimated.calls, estimated.reused)
    assert time.process_time() - begun < 3


@pytest.mark.parametrize("orders", list(OrderPolicy))
async def test_the_keys_of_a_plan_are_those_of_its_presentations(orders: OrderPolicy) -> None:
    """The columns of a plan hold the key and the size that each presentation has by itself."""
    store = SqlStore.open("sqlite://", clock=StillClock())
    await store.create_dataset("t", "d")
    prompts = [
        Prompt("p", ("ask", "and again?")),
        Prompt("q", ("ask", "and again?"), category="math", reference=("42", "43")),
        Prompt("r", ("one turn",), category="math", reference=("41",)),
    ]
    await store.add_prompts("t", "d", prompts, replace=False)
    outputs = [
        Output(prompt.prompt_id, who, tuple(f"{who[: n % 2]} says {n}" for n in range(len(prompt.turns))))
        for prompt in prompts
        for who in ("ann", "anna", "ben")
    ]
    revision = (await store.add_outputs("t", "d", outputs, replace=False)).revision
    pairing = Pairing(turns=TurnPolicy.EACH, orders=orders, repeats=2, seed=3)
    plan = await build_plan(store, "t", RunSpec("d", ("far",), pairing), revision)

    keys = await plan_keys(store, "t", FAR.definition, plan)

    work = await Keys(store=store, tenant="t", definition=FAR.definition, cache_tag="").work(
        plan.items(range(plan.per_judge))
    )
    expected = {(*item.key[:5], characters(item.shown)) for item in work}
    assert {(*key, sent) for key, sent in zip(keys.keys.T.tolist(), keys.characters.tolist(), strict=True)} == expected
    assert len(keys.characters) == len(expected)
    await store.close()


@pytest.mark.parametrize(
    ("budget", "reach"),
    [
        (Budget(), None),
        (Budget(calls=30), (110, 40, 40)),
        # A call may cost 40, which does not fit.
        (Budget(cost_micros=39), (110, 10, 10)),
        # The worst call is more than a tenth of the budget, so a tenth is kept.
        (Budget(cost_micros=120), (110, 10 + 1 + (120 - 12) // 2, 13)),
        # The worst call is less than a tenth of the budget, so its cost is kept.
        (Budget(cost_micros=1000), (110, 110, 10 + 25)),
        (Budget(cost_micros=120, hard=True), (110, 10 + 1 + (120 - 40) // 2, 13)),
        (Budget(cost_micros=120, calls=5), (110, 15, 13)),
        (Budget(cost_micros=4000), (110, 110, 110)),
    ],
)
def test_an_estimate_says_how_far_a_budget_reaches(budget: Budget, reach: tuple[int, int, int] | None) -> None:
    """Of 110 presentations, 10 are stored; each call is expected to cost 2 and may cost 40."""
    judge = JudgeEstimate("far", calls=100, reused=10, cost_micros=200.0, worst=4000.0)

    reached = budget_reach(RunEstimate((judge,)), budget)

    assert reach == (reached and astuple(reached))


def test_without_a_price_no_reach_is_estimated() -> None:
    """A budget in calls reaches as far as without a price; one in money says nothing."""
    run = RunEstimate((JudgeEstimate("far", calls=100, price_known=False),))

    assert budget_reach(run, Budget(cost_micros=1)) is None
    assert budget_reach(run, Budget(calls=1)) == BudgetReach(planned=100, expected=1, at_worst=1)


async def test_the_worst_cost_does_not_depend_on_earlier_replies() -> None:
    """The worst is what all calls cost with their whole output budget, as the upper bound is without a pilot."""
    estimated = await estimate_run(["short", "longer " * 99], Pairing())

    assert estimated.worst == estimated.high > estimated.cost_micros
