"""Judging one showing: render, ask, read. Around the call, once for every backend: deadline, retries, cost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import stamina

from judge.domain.errors import CallFailed, JudgeUnusable, TransportFailed
from judge.domain.judge import JudgeDefinition, RenderedPrompt
from judge.domain.outcome import ItemState
from judge.domain.verdict import CallKey, Comparison, Reading, Reply, Shown, digest, recorded_digest
from judge.ports.clock import Clock
from judge.ports.store import ItemRef, OutputText, PromptText, Settled
from judge.prompts.parse import parse
from judge.prompts.render import render, uses_reference
from judge.runs.judges import JudgeAtWork

ATTEMPTS = 5
"""A transport failure is tried again until so many calls were made, within the call's one deadline."""
BYTES_PER_LETTER = 2
BYTES_PER_TOKEN = 3
"""A cautious guess for what a call may cost at most, used to reserve money before the call."""


@dataclass(frozen=True, slots=True)
class Work:
    """One showing to be judged: its key, its place in a run if it has one, and its texts."""

    key: CallKey
    shown: Shown
    item: ItemRef | None = None


def comparison(prompt: PromptText, left: OutputText, right: OutputText, turn: int) -> Comparison:
    """The texts of a comparison up to *turn*."""
    asked = prompt.prompt
    return Comparison(
        prompt=asked.turns[:turn],
        left=left.output.turns[:turn],
        right=right.output.turns[:turn],
        category=asked.category,
        reference=asked.reference[:turn],
    )


def rendered(definition: JudgeDefinition, work: Work) -> RenderedPrompt:
    """Exactly what *definition* is sent for *work*."""
    return render(
        definition.rubric,
        work.shown,
        definition.fingerprint,
        definition.sampling,
        epoch=work.key.epoch,
        repeat=work.key.repeat,
    )


def shows_reference(definition: JudgeDefinition, shown: Shown) -> bool:
    """Whether the judge's answer depends on the reference answer: its rubric shows it, or it computes with it."""
    return bool(shown.reference) and (
        definition.backend == "matches-reference" or uses_reference(definition.rubric, shown)
    )


def recorded_key(prompt_id: str, contestant: str, sample: int) -> tuple[bytes, bytes]:
    """The digests that stand for a prompt and an output in the key of an imported verdict."""
    return digest("prompt-id", prompt_id), recorded_digest(contestant, sample)


def worst_cost(judge: JudgeAtWork, shown: Shown) -> int:
    """What a showing may cost at most, in micro-USD: every try at its worst."""
    return worst_call(judge, shown) * ATTEMPTS


def worst_call(judge: JudgeAtWork, shown: Shown) -> int:
    """What one call may cost at most, in micro-USD: a cautious token count and the whole output budget."""
    price = judge.card.price
    if price is None:
        return 0
    texts = (*shown.prompt, *shown.first, *shown.second, *shown.reference)
    tokens = sum(map(len, texts)) * BYTES_PER_LETTER // BYTES_PER_TOKEN + 200
    return price.cost(tokens, 0, judge.definition.sampling.max_output_tokens)


async def judge_comparison(judge: JudgeAtWork, work: Work, attempt: int | None, clock: Clock) -> Settled:
    """What becomes of *work*: a reply with its reading, or the state its showing is left in."""
    tries = _Tries(judge)
    begun = clock.monotonic()
    settled = Settled(work.key, work.item, attempt)
    try:
        prompt = rendered(judge.definition, work)
        async with asyncio.timeout(judge.card.limits.deadline_seconds):
            reply = await tries.reply(prompt)
    except TimeoutError:
        settled = replace(settled, state=ItemState.TRANSPORT_ERROR)
    except JudgeUnusable:
        raise
    except CallFailed as failure:
        settled = replace(settled, state=failure.state)
    else:
        reply = _with_usage(judge, reply, tries.made, clock.monotonic() - begun)
        settled = replace(settled, reply=reply, reading=read(judge.definition, reply))
    lost = tries.lost * worst_call(judge, work.shown) if tries.lost else 0
    return replace(settled, calls=tries.made, lost_micros=lost)


class _Tries:
    """Asks a judge until it replies or ATTEMPTS calls were *made*; *lost* are those sent and never answered."""

    def __init__(self, judge: JudgeAtWork) -> None:
        self._judge = judge
        self.made = self.lost = 0

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """The reply. The first call goes without the machinery of retries, which costs more than a yardstick does."""
        try:
            return await self._call(prompt)
        except TransportFailed as failure:
            first: TransportFailed | None = failure
        async for attempt_context in stamina.retry_context(on=_again, attempts=ATTEMPTS, timeout=None):
            with attempt_context:
                if first is not None:
                    # The one that failed above: it decides how long to wait for the next.
                    failed, first = first, None
                    raise failed
                return await self._call(prompt)
        raise AssertionError

    async def _call(self, prompt: RenderedPrompt) -> Reply:
        self.made += 1
        try:
            return await self._judge.backend.reply(prompt)
        except TransportFailed as failure:
            self.lost += failure.maybe_paid
            raise
        except asyncio.CancelledError:
            # The deadline ended it in the middle.
            self.lost += 1
            raise


def read(definition: JudgeDefinition, reply: Reply) -> Reading:
    """What the judge's own parser reads from *reply*."""
    return parse(definition.rubric.variants[0].form, reply.raw)


def _again(error: Exception) -> bool | float:
    if not isinstance(error, TransportFailed):
        return False
    return error.retry_after if error.retry_after is not None else True


def _with_usage(judge: JudgeAtWork, reply: Reply, tries: int, seconds: float) -> Reply:
    usage, price = reply.usage, judge.card.price
    cost = price.cost(usage.input_tokens, usage.cached_input_tokens, usage.output_tokens) if price else 0
    return replace(reply, usage=replace(usage, tries=tries, latency_ms=round(seconds * 1000), cost_micros=cost))
