"""What calls send, use and cost: known only roughly before they are made, exactly afterward."""

from __future__ import annotations

import math

from judge.domain.judge import JudgeCard
from judge.domain.verdict import Reply, Shown, Usage
from judge.execution.judges import JudgeAtWork

ATTEMPTS = 5
"""Calls that may be made for one presentation before its deadline, if they get no answer."""
OVERHEAD_CHARS = 2400
"""Characters that a rubric adds to the texts, roughly."""
CHARS_PER_TOKEN, FEWEST_CHARS = 4, 1.5
"""Characters in a token: usual, and fewest."""


def characters(shown: Shown) -> int:
    """Characters that are sent to judge *shown*, roughly."""
    return sum(map(len, (*shown.prompt, *shown.first, *shown.second, *shown.reference))) + OVERHEAD_CHARS


def likely_tokens(judge: JudgeAtWork, shown: Shown) -> int:
    """Tokens that a call takes from the account's limit, roughly: the input and the whole output budget."""
    return characters(shown) // CHARS_PER_TOKEN + judge.definition.sampling.max_output_tokens


def worst_usage(card: JudgeCard, sent: int) -> Usage:
    """The most that a call of *sent* characters can use: a cautious count of tokens and the whole output budget."""
    tokens = math.ceil(sent / FEWEST_CHARS)
    return Usage(
        input_tokens=tokens, written_input_tokens=tokens, output_tokens=card.definition.sampling.max_output_tokens
    )


def worst_call(judge: JudgeAtWork, sent: int) -> int:
    """The most that one call of *sent* characters can cost, in micro-USD; 0 if the judge has no price."""
    card = judge.card
    return card.price.cost(worst_usage(card, sent), batch=card.batch) if card.price else 0


def with_cost(judge: JudgeAtWork, reply: Reply, *, tries: int, seconds: float, sent: int) -> Reply:
    """Return *reply* with its cost, the number of calls made for it, and how long they took.

    *sent* is the number of characters that the call sent. If the provider did not count its tokens, it costs the most
    that such a call can.
    """
    cost = cost_of(judge, reply.usage, sent)
    usage = reply.usage._replace(cost_micros=cost, latency_ms=round(seconds * 1000), tries=tries)
    return reply._replace(usage=usage)


def cost_of(judge: JudgeAtWork, usage: Usage | None, sent: int) -> int:
    """The cost in micro-USD of a call of *sent* characters that used *usage*, or if that is not known, at most."""
    price = judge.card.price
    if price is None:
        return 0
    counted = price.cost(usage, batch=judge.card.batch) if usage is not None else 0
    return counted if usage is not None and usage.counted else max(counted, worst_call(judge, sent))


def is_uncounted(judge: JudgeAtWork, usage: Usage | None) -> bool:
    """Whether a call costs something, but the tokens that it used are not known."""
    return judge.card.price is not None and (usage is None or not usage.counted)
