"""Estimating a run before it starts: the exact number of calls, and their likely tokens and cost.

If the store has at least PILOT replies of a judge, the missing calls are expected to use the mean tokens and cost of
those replies. The bounds are a 95 % prediction interval for the sum: its variance is var (1/n + 1/m) m^2 for m missing
calls after n replies. Otherwise tokens are estimated from characters, and the bounds are the least and the most that
the calls can cost: from the fewest tokens to the whole output budget.

Replies whose tokens the provider did not count say nothing about the mean and are left out of it. If there are any, the
bounds are what is possible: each call costs between the mean of the counted ones and the most that it can.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, variance

import numpy as np

from judge.domain.judge import RECORDED, AnswerForm, JudgeCard, Price
from judge.domain.run import Budget
from judge.domain.verdict import Usage
from judge.execution.cost import CHARS_PER_TOKEN, worst_usage
from judge.execution.work_items import Keys
from judge.planning.inputs import PAGE
from judge.planning.plan import Plan
from judge.ports.store import Store
from judge.runs.plan_keys import plan_keys, stored_repeats

PILOT = 5
"""Stored replies needed for an estimate from earlier calls."""
MOST_PILOT = 1000
"""Most stored replies that are used."""
NORMAL_95 = 1.96
MOST_CHARS = 6
"""Most characters in a token."""
LIKELY_OUTPUT = 250
"""Tokens of a critique and its verdict, if nothing is known."""


@dataclass(frozen=True, slots=True)
class JudgeEstimate:
    """What a run takes from one judge. The cost and its bounds *low* and *high* are in micro-USD."""

    judge: str
    calls: int = 0
    reused: int = 0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    cost_micros: float = 0.0
    low: float = 0.0
    high: float = 0.0
    pilot: int = 0
    price_known: bool = True
    worst: float = 0.0
    """The most that all calls can cost, in micro-USD."""
    uncounted: int = 0
    """Stored replies whose tokens the provider did not count, so that they cost the most that they could."""
    exceeds_maximum: bool = False
    """Whether stored replies used more than a call can, so that *worst* assumes the dearest of them for each call."""

    @property
    def booked(self) -> float:
        """What a budget is expected to be charged: as many calls as so far are not counted and cost their maximum."""
        uncounted = self.uncounted / (self.uncounted + self.pilot) if self.uncounted else 0.0
        return self.cost_micros + uncounted * max(self.worst - self.cost_micros, 0.0)


@dataclass(frozen=True, slots=True)
class BudgetReach:
    """How many of *planned* presentations a budget is enough for, with those whose verdicts are stored already."""

    planned: int
    expected: int
    """If each call costs what is expected."""
    at_worst: int
    """If each call costs the most that it can."""


@dataclass(frozen=True, slots=True)
class RunEstimate:
    """What a run takes from each of its judges, and how far its budget reaches if it has one."""

    judges: tuple[JudgeEstimate, ...]
    reach: BudgetReach | None = None

    @property
    def whole(self) -> JudgeEstimate:
        """The sum over all judges. Its bounds are the sums of theirs."""
        return JudgeEstimate(
            judge="",
            calls=sum(judge.calls for judge in self.judges),
            reused=sum(judge.reused for judge in self.judges),
            input_tokens=sum(judge.input_tokens for judge in self.judges),
            output_tokens=sum(judge.output_tokens for judge in self.judges),
            cost_micros=sum(judge.cost_micros for judge in self.judges),
            low=sum(judge.low for judge in self.judges),
            high=sum(judge.high for judge in self.judges),
            worst=sum(judge.worst for judge in self.judges),
            price_known=all(judge.price_known for judge in self.judges),
        )


def at_most(everything: RunEstimate, presentations: int) -> RunEstimate:
    """Scale an estimate of *everything* there is to compare down to at most so many *presentations* of each judge."""
    return RunEstimate(tuple(_at_most(judge, presentations) for judge in everything.judges))


def _at_most(everything: JudgeEstimate, presentations: int) -> JudgeEstimate:
    """Take as many calls as possible, each as expensive as the average call of *everything*."""
    calls = min(everything.calls, presentations)
    share = calls / everything.calls if everything.calls else 0.0
    return replace(
        everything,
        calls=calls,
        reused=min(everything.reused, presentations - calls),
        input_tokens=everything.input_tokens * share,
        output_tokens=everything.output_tokens * share,
        cost_micros=everything.cost_micros * share,
        low=everything.low * share,
        high=everything.high * share,
        worst=everything.worst * share,
    )


def budget_reach(run: RunEstimate, budget: Budget) -> BudgetReach | None:
    """Return how far *budget* reaches; None if there is none, or if it is in money and a price is not known.

    As `judge.store.budgets` does, this keeps the worst cost of one call, or a tenth of the budget if that is less.

    >>> judge = JudgeEstimate("j", calls=100, reused=20, cost_micros=100.0, worst=4000.0)
    >>> budget_reach(RunEstimate((judge,)), Budget(cost_micros=80))
    BudgetReach(planned=120, expected=93, at_worst=22)
    """
    whole = run.whole
    if budget == Budget() or (budget.cost_micros and not whole.price_known):
        return None
    expected = at_worst = min(whole.calls, budget.calls or whole.calls)
    if budget.cost_micros and whole.calls and whole.worst:
        worst = max(judge.worst / judge.calls for judge in run.judges if judge.calls)
        spendable = budget.cost_micros - (worst if budget.hard else min(worst, budget.cost_micros / 10))
        fits = worst <= budget.cost_micros
        if booked := sum(judge.booked for judge in run.judges):
            expected = min(expected, fits * (1 + int(spendable * whole.calls / booked)))
        at_worst = min(at_worst, fits * int(budget.cost_micros * whole.calls / whole.worst))
    return BudgetReach(whole.calls + whole.reused, whole.reused + expected, whole.reused + at_worst)


async def estimate(store: Store, tenant: str, plan: Plan, cards: Sequence[JudgeCard], cache_tag: str) -> RunEstimate:
    """Estimate what *plan* takes from each judge of *cards*, in the same order."""
    return RunEstimate(tuple([await _estimate_judge(store, tenant, plan, card, cache_tag) for card in cards]))


async def _estimate_judge(store: Store, tenant: str, plan: Plan, card: JudgeCard, cache_tag: str) -> JudgeEstimate:
    name = card.definition.name
    if card.definition.backend == RECORDED:
        return JudgeEstimate(name, calls=0, reused=await _count_recorded(store, tenant, plan, card, cache_tag))
    keys = await plan_keys(store, tenant, card.definition, plan)
    missing = plan.repeats - await stored_repeats(store, tenant, keys, cache_tag, plan.repeats)
    sizes, which = np.unique(keys.characters, return_inverse=True)
    counts = np.zeros(sizes.size, dtype=np.int64)
    np.add.at(counts, which, missing)
    calls_by_size = Counter({size: n for size, n in zip(sizes.tolist(), counts.tolist(), strict=True) if n})
    calls = calls_by_size.total()
    reused = plan.per_judge - calls
    if card.definition.baseline:
        return JudgeEstimate(name, calls=calls, reused=reused)
    stored_usages = await store.usages(tenant, np.unique(keys.keys[0]).tolist(), MOST_PILOT)
    counted = [usage for usage in stored_usages if usage.input_tokens and usage.output_tokens]
    by_characters = replace(_from_characters(card, calls_by_size, reused), uncounted=len(stored_usages) - len(counted))
    return _from_pilot(card, by_characters, counted) if len(counted) >= PILOT else by_characters


async def _count_recorded(store: Store, tenant: str, plan: Plan, card: JudgeCard, cache_tag: str) -> int:
    """Count the presentations whose verdicts were uploaded. A recorded judge cannot be called for the others."""
    keys, n_stored = Keys(store=store, tenant=tenant, definition=card.definition, cache_tag=cache_tag), 0
    for begin in range(0, plan.per_judge, PAGE):
        async for page in keys.pages(plan.items(range(begin, min(begin + PAGE, plan.per_judge)))):
            answers = await store.answers(tenant, list({work.key for work in page}))
            n_stored += sum(work.key in answers for work in page)
    return n_stored


def _from_pilot(card: JudgeCard, by_characters: JudgeEstimate, pilot: Sequence[Usage]) -> JudgeEstimate:
    """Estimate from the stored and counted usage of similar calls, and the maximum from their characters."""
    calls, worst = by_characters.calls, by_characters.worst
    costs = [_cost(card, usage) for usage in pilot]
    cost = calls * fmean(costs)
    spread = NORMAL_95 * math.sqrt(variance(costs) * (calls + calls * calls / len(pilot)))
    low, high = max(0.0, cost - spread), cost + spread
    most_output = card.definition.sampling.max_output_tokens
    exceeds_maximum = cost > worst or any(usage.output_tokens > most_output for usage in pilot)
    if exceeds_maximum:
        worst = max(worst, float(calls * max(costs)))
    if by_characters.uncounted:
        low, high = cost, worst
    return replace(
        by_characters,
        input_tokens=calls * fmean(usage.input_tokens for usage in pilot),
        output_tokens=calls * fmean(usage.output_tokens for usage in pilot),
        cost_micros=cost,
        low=low,
        high=high,
        pilot=len(pilot),
        worst=worst,
        exceeds_maximum=exceeds_maximum,
    )


def _cost(card: JudgeCard, usage: Usage) -> int:
    """What a call with the *usage* of a stored one costs in micro-USD.

    That is the price of its tokens, or what was booked for it, if that is more because its provider said so. What was
    booked is not compared where calls get a discount now that the stored one may not have had.
    """
    priced = (card.price or Price()).cost(usage, batch=card.batch)
    return priced if card.batch or card.price is None else max(priced, usage.cost_micros)


def _from_characters(card: JudgeCard, calls_by_size: Counter[int], reused: int) -> JudgeEstimate:
    """Estimate from the number of characters that each call sends."""
    price, budget = card.price or Price(), card.definition.sampling.max_output_tokens
    form = card.definition.rubric.variants[0].form
    output = 1 if form is AnswerForm.CHOICE else min(budget, LIKELY_OUTPUT)
    tokens = cost = low = high = 0
    for sent, calls in calls_by_size.items():
        likely = Usage(input_tokens=sent // CHARS_PER_TOKEN, output_tokens=output)
        fewest = Usage(input_tokens=sent // MOST_CHARS, output_tokens=1)
        tokens += calls * likely.input_tokens
        cost += calls * price.cost(likely, batch=card.batch)
        low += calls * price.cost(fewest, batch=card.batch)
        high += calls * price.cost(worst_usage(card, sent), batch=card.batch)
    return JudgeEstimate(
        judge=card.definition.name,
        calls=calls_by_size.total(),
        reused=reused,
        input_tokens=float(tokens),
        output_tokens=float(calls_by_size.total() * output),
        cost_micros=float(cost),
        low=float(low),
        high=float(high),
        worst=float(high),
        price_known=card.price is not None,
    )
