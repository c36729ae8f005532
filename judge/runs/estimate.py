"""What a run would take, before a cent is spent: its calls exactly, its tokens from what such calls used before.

With at least PILOT stored replies of a judge, the mean of their tokens and costs is carried over to the calls that are
missing, with a 95 % prediction interval for their sum: var (1/n + 1/m) m^2 for m calls after n. Without, tokens are
guessed from letters, and the interval is what is possible: from the fewest tokens to the whole output budget.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from judge.domain.judge import AnswerForm, JudgeCard, Price
from judge.domain.verdict import CallKey, Usage
from judge.ports.store import Store
from judge.runs.plan import Plan
from judge.runs.work import PAGE, Keys
from judge.runs.worker import CHARS_PER_TOKEN, letters, worst_usage

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


async def estimate(store: Store, tenant: str, plan: Plan, cards: Sequence[JudgeCard], epoch: str) -> RunEstimate:
    """What *plan* would take of the judges *cards*, in their order."""
    return RunEstimate(
        tuple([await _of_judge(store, tenant, plan, number, card, epoch) for number, card in enumerate(cards)])
    )


async def _of_judge(store: Store, tenant: str, plan: Plan, number: int, card: JudgeCard, epoch: str) -> JudgeEstimate:
    keys = Keys(store, tenant, card.definition, epoch)
    sent: dict[CallKey, int] = {}
    """Letters of each call that is missing."""
    reused = 0
    first = number * plan.per_judge
    for begin in range(first, first + plan.per_judge, PAGE):
        items = [plan.item(at) for at in range(begin, min(begin + PAGE, first + plan.per_judge))]
        work = await keys.work(items)
        stored = await store.answers(tenant, list({one.key for one in work}))
        for one in work:
            if one.key in stored or one.key in sent:
                reused += 1
            else:
                sent[one.key] = letters(one.shown)
    calls = len(sent)
    if card.definition.backend == "recorded" or card.definition.yardstick:
        return JudgeEstimate(card.definition.name, 0 if card.definition.scope else calls, reused)
    pilot = await store.usages(tenant, {key.fingerprint for key in sent}, MOST_PILOT)
    if len(pilot) >= PILOT:
        return _from_pilot(card, calls, reused, pilot)
    return _from_letters(card, list(sent.values()), reused)


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


def _from_letters(card: JudgeCard, sent: Sequence[int], reused: int) -> JudgeEstimate:
    price, budget = card.price or Price(), card.definition.sampling.max_output_tokens
    form = card.definition.rubric.variants[0].form
    output = 1 if form is AnswerForm.CHOICE else min(budget, LIKELY_OUTPUT)
    likely = [Usage(input_tokens=many // CHARS_PER_TOKEN, output_tokens=output) for many in sent]
    fewest = [Usage(input_tokens=many // MOST_CHARS, output_tokens=1) for many in sent]
    most = [worst_usage(card, many) for many in sent]
    cost, low, high = (
        float(sum(price.cost(usage, batch=card.batch) for usage in usages)) for usages in (likely, fewest, most)
    )
    return JudgeEstimate(
        card.definition.name,
        len(sent),
        reused,
        float(sum(usage.input_tokens for usage in likely)),
        float(sum(usage.output_tokens for usage in likely)),
        cost,
        low,
        high,
        price_known=card.price is not None,
    )
