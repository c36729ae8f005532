"""What a run would take, before a cent is spent: its calls exactly, its tokens from what such calls used before.

With at least PILOT stored replies of a judge, the mean of their tokens and costs is carried over to the calls that are
missing, with a 95 % prediction interval for their sum: var (1/n + 1/m) m^2 for m calls after n. Without, tokens are
guessed from letters, and the interval is what is possible: from the fewest tokens to the whole output budget.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, variance

import numpy as np

from judge.domain.judge import RECORDED, AnswerForm, JudgeCard, Price
from judge.domain.verdict import Usage
from judge.execution.cost import CHARS_PER_TOKEN, worst_usage
from judge.execution.work_items import Keys
from judge.planning.inputs import PAGE
from judge.planning.plan import Plan
from judge.ports.store import Store
from judge.runs.plan_keys import answered, plan_keys

PILOT = 5
"""So many replies at least make a pilot."""
MOST_PILOT = 1000
NORMAL_95 = 1.96
MOST_CHARS = 6
"""Letters in a token, at the most."""
LIKELY_OUTPUT = 250
"""Tokens of a critique and its verdict, where nothing is known."""


@dataclass(frozen=True, slots=True)
class JudgeEstimate:
    """What one judge would take; cost and its bounds *low* and *high* in micro-USD."""

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


@dataclass(frozen=True, slots=True)
class RunEstimate:
    """What each judge would take."""

    judges: tuple[JudgeEstimate, ...]

    @property
    def whole(self) -> JudgeEstimate:
        """All judges together; the bounds are the sums of theirs."""
        return JudgeEstimate(
            judge="",
            calls=sum(one.calls for one in self.judges),
            reused=sum(one.reused for one in self.judges),
            input_tokens=sum(one.input_tokens for one in self.judges),
            output_tokens=sum(one.output_tokens for one in self.judges),
            cost_micros=sum(one.cost_micros for one in self.judges),
            low=sum(one.low for one in self.judges),
            high=sum(one.high for one in self.judges),
            price_known=all(one.price_known for one in self.judges),
        )


def at_most(found: RunEstimate, presentations: int) -> RunEstimate:
    """What *found*, of all there is to compare, leaves for at most so many *presentations* of each judge."""
    return RunEstimate(tuple(_at_most(one, presentations) for one in found.judges))


def _at_most(one: JudgeEstimate, presentations: int) -> JudgeEstimate:
    """The most calls, each as dear as those of *one* are on average."""
    calls = min(one.calls, presentations)
    share = calls / one.calls if one.calls else 0.0
    return replace(
        one,
        calls=calls,
        reused=min(one.reused, presentations - calls),
        input_tokens=one.input_tokens * share,
        output_tokens=one.output_tokens * share,
        cost_micros=one.cost_micros * share,
        low=one.low * share,
        high=one.high * share,
    )


async def estimate(store: Store, tenant: str, plan: Plan, cards: Sequence[JudgeCard], cache_tag: str) -> RunEstimate:
    """What *plan* would take of the judges *cards*, in their order."""
    return RunEstimate(tuple([await _of_judge(store, tenant, plan, card, cache_tag) for card in cards]))


async def _of_judge(store: Store, tenant: str, plan: Plan, card: JudgeCard, cache_tag: str) -> JudgeEstimate:
    name = card.definition.name
    if card.definition.backend == RECORDED:
        return JudgeEstimate(name, 0, await _recorded(store, tenant, plan, card, cache_tag))
    keys = await plan_keys(store, tenant, card.definition, plan)
    there = await answered(store, tenant, keys, cache_tag, plan.repeats)
    sizes, many = np.unique(np.tile(keys.characters, plan.repeats)[~there.ravel()], return_counts=True)
    sent = Counter(dict(zip(sizes.tolist(), many.tolist(), strict=True)))
    calls = sent.total()
    reused = plan.per_judge - calls
    if card.definition.baseline:
        return JudgeEstimate(name, calls, reused)
    pilot = await store.usages(tenant, np.unique(keys.keys[0]).tolist(), MOST_PILOT)
    if len(pilot) >= PILOT:
        return _from_pilot(card, calls, reused, pilot)
    return _from_characters(card, sent, reused)


async def _recorded(store: Store, tenant: str, plan: Plan, card: JudgeCard, cache_tag: str) -> int:
    """How many of the showings were uploaded: nobody can be asked for the others."""
    keys, many = Keys(store, tenant, card.definition, cache_tag), 0
    for begin in range(0, plan.per_judge, PAGE):
        work = await keys.work(plan.items(range(begin, min(begin + PAGE, plan.per_judge))))
        stored = await store.answers(tenant, list({one.key for one in work}))
        many += sum(one.key in stored for one in work)
    return many


def _from_pilot(card: JudgeCard, calls: int, reused: int, pilot: Sequence[Usage]) -> JudgeEstimate:
    price = card.price or Price()
    costs = [price.cost(usage, batch=card.batch) for usage in pilot]
    cost = calls * fmean(costs)
    spread = NORMAL_95 * math.sqrt(variance(costs) * (calls + calls * calls / len(pilot)))
    return JudgeEstimate(
        card.definition.name,
        calls,
        reused,
        calls * fmean(usage.input_tokens for usage in pilot),
        calls * fmean(usage.output_tokens for usage in pilot),
        cost,
        max(0.0, cost - spread),
        cost + spread,
        len(pilot),
        card.price is not None,
    )


def _from_characters(card: JudgeCard, sent: Counter[int], reused: int) -> JudgeEstimate:
    price, budget = card.price or Price(), card.definition.sampling.max_output_tokens
    form = card.definition.rubric.variants[0].form
    output = 1 if form is AnswerForm.CHOICE else min(budget, LIKELY_OUTPUT)
    tokens = cost = low = high = 0
    for many, calls in sent.items():
        likely = Usage(input_tokens=many // CHARS_PER_TOKEN, output_tokens=output)
        fewest = Usage(input_tokens=many // MOST_CHARS, output_tokens=1)
        tokens += calls * likely.input_tokens
        cost += calls * price.cost(likely, batch=card.batch)
        low += calls * price.cost(fewest, batch=card.batch)
        high += calls * price.cost(worst_usage(card, many), batch=card.batch)
    return JudgeEstimate(
        card.definition.name,
        sent.total(),
        reused,
        float(tokens),
        float(sent.total() * output),
        float(cost),
        float(low),
        float(high),
        price_known=card.price is not None,
    )
