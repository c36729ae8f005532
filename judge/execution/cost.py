"""What calls send, use and cost: known only roughly before they are made, exactly afterward."""

from __future__ import annotations

import math
from typing import NamedTuple

from judge.domain.judge import JudgeCard
from judge.domain.messages import IMAGE_TOKENS, ChatTurn, Image, Turn
from judge.domain.spending import Overrun
from judge.domain.usage import Usage
from judge.domain.verdict import Reply, Shown
from judge.execution.judges import JudgeAtWork

ATTEMPTS = 5
"""Calls that may be made for one presentation before its deadline, if they get no answer."""
OVERHEAD_CHARS = 2400
"""Characters that a rubric adds to the texts, roughly."""
CHARS_PER_TOKEN, FEWEST_CHARS = 4, 1.5
"""Characters in a token: usual, and fewest."""


def characters(shown: Shown) -> int:
    """Characters that are sent to judge *shown*, roughly."""
    return sum(map(turn_characters, (*shown.prompt, *shown.first, *shown.second, *shown.reference))) + OVERHEAD_CHARS


def turn_characters(turn: Turn) -> int:
    """Characters of *turn*, roughly. An image counts as many as IMAGE_TOKENS usually have."""
    if isinstance(turn, str):
        return len(turn)
    return len(turn.text) + turn.images * IMAGE_TOKENS * CHARS_PER_TOKEN


def held_characters(shown: Shown) -> int:
    """Characters that a call on *shown* keeps in memory, roughly: what is sent, with images in base64."""
    turns = (turn for turns in (shown.prompt, shown.first, shown.second) for turn in turns)
    images = (part for turn in turns if isinstance(turn, ChatTurn) for part in turn.parts if isinstance(part, Image))
    return characters(shown) + sum(-(-len(image.data) // 3) * 4 for image in images)


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


class CallCost(NamedTuple):
    """What a call costs in micro-USD."""

    micros: int
    uncounted: bool = False
    """Whether the tokens that it used are not known, so that this is the most that it can cost."""
    overrun: Overrun | None = None
    """What the provider billed, if that is more than the call can cost."""


def call_cost(judge: JudgeAtWork, usage: Usage | None, sent: int) -> CallCost:
    """Return what a call of *sent* characters costs that used *usage*; None if that is not known.

    That is the price of its tokens, or what the provider itself says that it costs, if that is more. Without a price,
    only what the provider says counts.
    """
    price, used = judge.card.price, usage or Usage(counted=False)
    if price is None:
        return CallCost(used.stated_micros)
    billed = max(price.cost(used, batch=judge.card.batch), used.stated_micros)
    worst = worst_call(judge, sent)
    overrun = _overrun(judge.card, used, sent, billed) if billed > worst else None
    return CallCost(billed if used.counted else max(billed, worst), not used.counted, overrun)


def with_cost(reply: Reply, cost: CallCost, *, tries: int, seconds: float) -> Reply:
    """Return *reply* with its cost, the number of calls made for it, and how long they took."""
    usage = reply.usage._replace(cost_micros=cost.micros, latency_ms=round(seconds * 1000), tries=tries)
    return reply._replace(usage=usage)


def _overrun(card: JudgeCard, used: Usage, sent: int, billed: int) -> Overrun:
    most = worst_usage(card, sent)
    return Overrun(
        cost_micros=billed,
        most_micros=card.price.cost(most, batch=card.batch) if card.price else 0,
        input_tokens=used.input_tokens,
        most_input_tokens=most.input_tokens,
        output_tokens=used.output_tokens,
        most_output_tokens=most.output_tokens,
    )
