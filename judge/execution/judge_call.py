"""Judging one showing: render, ask, read. Around the call, once for every backend: deadline, retries, cost."""

from __future__ import annotations

import asyncio
import math
from typing import NamedTuple

import stamina

from judge.domain.errors import CallFailed, JudgeUnusable, NotRecorded, TransportFailed
from judge.domain.judge import RECORDED, JudgeCard, JudgeDefinition, RenderedPrompt
from judge.domain.outcome import ItemState, Order
from judge.domain.verdict import CallKey, Comparison, ParsedVerdict, Reply, Shown, Usage, digest, recorded_digest
from judge.execution.judges import JudgeAtWork, Rule
from judge.ports.clock import Clock
from judge.ports.records import ItemRef, OutputText, PromptText, Settled, StoredAnswer
from judge.prompts.parse import Parser, parse
from judge.prompts.render import render, uses_reference

ATTEMPTS = 5
"""A transport failure is tried again until so many calls were made, within the call's one deadline."""
OVERHEAD_CHARS = 2400
"""About what a rubric adds to the texts."""
CHARS_PER_TOKEN, FEWEST_CHARS = 4, 1.5
"""Letters in a token: of most text, and at the least."""


class Work(NamedTuple):
    """One showing to be judged: its key, its place in a run if it has one, and its texts."""

    key: CallKey
    shown: Shown
    item: ItemRef | None = None


def texts(prompt: PromptText, left: OutputText, right: OutputText, turn: int, order: Order) -> Shown:
    """What is shown of a comparison up to *turn*."""
    asked = prompt.prompt
    ends = left.output.turns[:turn], right.output.turns[:turn]
    return Shown.of(Comparison(asked.turns[:turn], *ends, asked.category, asked.reference[:turn]), order)


def rendered(definition: JudgeDefinition, work: Work, *, bare: bool = False) -> RenderedPrompt:
    """Exactly what *definition* is sent for *work*; if *bare*, without messages."""
    return render(
        definition.rubric,
        work.shown,
        definition.call_fingerprint(work.shown),
        definition.sampling,
        cache_tag=work.key.cache_tag,
        repeat=work.key.repeat,
        bare=bare,
    )


def shows_reference(definition: JudgeDefinition, shown: Shown) -> bool:
    """Whether the judge's answer depends on the reference answer: its rubric shows it, or it computes with it."""
    return bool(shown.reference) and (
        definition.backend == "matches-reference" or uses_reference(definition.rubric, shown)
    )


def recorded_key(prompt_id: str, contestant: str, sample: int) -> tuple[bytes, bytes]:
    """The digests that stand for a prompt and an output in the key of an imported verdict."""
    return digest("prompt-id", prompt_id), recorded_digest(contestant, sample)


def characters(shown: Shown) -> int:
    """About how many letters are sent to judge *shown*."""
    return sum(map(len, (*shown.prompt, *shown.first, *shown.second, *shown.reference))) + OVERHEAD_CHARS


def likely_tokens(judge: JudgeAtWork, shown: Shown) -> int:
    """About how many tokens a call takes from its account: what is sent, and the output budget, as providers count."""
    return characters(shown) // CHARS_PER_TOKEN + judge.definition.sampling.max_output_tokens


def worst_usage(card: JudgeCard, sent: int) -> Usage:
    """What a call of *sent* letters may use at most: a cautious token count and the whole output budget."""
    tokens = math.ceil(sent / FEWEST_CHARS)
    return Usage(
        input_tokens=tokens, written_input_tokens=tokens, output_tokens=card.definition.sampling.max_output_tokens
    )


def worst_cost(judge: JudgeAtWork, sent: int) -> int:
    """What a showing of *sent* letters may cost at most, in micro-USD: every try at its worst."""
    return worst_call(judge, sent) * (1 if judge.card.batch else ATTEMPTS)


def worst_call(judge: JudgeAtWork, sent: int) -> int:
    """What one call of *sent* letters may cost at most, in micro-USD."""
    card = judge.card
    return card.price.cost(worst_usage(card, sent), batch=card.batch) if card.price else 0


async def judge_comparison(
    judge: JudgeAtWork, work: Work, attempt: int | None, clock: Clock, *, single: bool = False
) -> Settled:
    """What becomes of *work*: a reply with its reading, or the state its showing is left in.

    The call's turn at its account has come already; tries after the first wait for theirs.
    """
    if judge.rule is not None:
        return settle_by_rule(judge, judge.rule, work, attempt)
    tries = _Tries(judge, likely_tokens(judge, work.shown), single=single)
    begun = clock.monotonic()
    reply, parsed_verdict, state = None, None, None
    try:
        if judge.definition.backend == RECORDED:
            # All that it ever said is in the store: there is nobody to ask, and nothing to ask with.
            raise NotRecorded("no verdict is recorded for this showing")
        prompt = rendered(judge.definition, work)
        async with asyncio.timeout(judge.card.limits.deadline_seconds):
            came = await tries.reply(prompt)
    except TimeoutError:
        state = ItemState.TRANSPORT_ERROR
    except JudgeUnusable:
        raise
    except CallFailed as failure:
        state = failure.state
    else:
        reply = priced(judge, came, tries=tries.made, seconds=clock.monotonic() - begun)
        parsed_verdict = read(judge.definition, reply)
    lost = tries.lost * worst_call(judge, characters(work.shown)) if tries.lost else 0
    return Settled(
        work.key,
        work.item,
        attempt,
        reply=reply,
        parsed_verdict=parsed_verdict,
        state=state,
        calls=tries.made,
        lost_micros=lost,
    )


def settle_by_rule(judge: JudgeAtWork, rule: Rule, work: Work, attempt: int | None) -> Settled:
    """What becomes of *work* where *rule* judges: there is nothing to wait for, to repeat or to pay."""
    try:
        reply = rule(rendered(judge.definition, work, bare=True))
    except CallFailed as failure:
        return Settled(work.key, work.item, attempt, state=failure.state, calls=1)
    return Settled(work.key, work.item, attempt, reply=reply, parsed_verdict=read(judge.definition, reply), calls=1)


def settle_from_store(definition: JudgeDefinition, work: Work, stored: StoredAnswer) -> Settled:
    """Settle *work* with an answer from the store, and parse it if the judge's parser has not yet."""
    known = definition.backend == RECORDED or any(
        parsed.parser == definition.parser for parsed in stored.parsed_verdicts
    )
    parsed_verdict = None if known else read(definition, stored.reply)
    return Settled(work.key, work.item, answer=stored.answer, reply=stored.reply, parsed_verdict=parsed_verdict)


class _Tries:
    """Asks a judge until it replies or ATTEMPTS calls were *made*; *lost* are those sent and never answered.

    What the provider throttles is asked again as long as the call's deadline lets it, and is no failed attempt.
    """

    def __init__(self, judge: JudgeAtWork, tokens: int, *, single: bool) -> None:
        self._judge, self._tokens, self._single = judge, tokens, single
        self.made = self.lost = 0

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """The reply. The first call goes without the machinery of retries, which is dear."""
        try:
            return await self._call(prompt)
        except TransportFailed as failure:
            if self._judge.account.down:
                raise
            first: TransportFailed | None = failure
        async for attempt_context in stamina.retry_context(on=self._again, attempts=ATTEMPTS, timeout=None):
            with attempt_context:
                if first is not None:
                    # The one that failed above: it decides how long to wait for the next.
                    failed, first = first, None
                    raise failed
                await self._judge.account.turn(self._tokens, single=self._single)
                return await self._call(prompt)
        raise AssertionError

    def _again(self, error: Exception) -> bool | float:
        if not isinstance(error, TransportFailed) or self._judge.account.down:
            return False
        return error.retry_after if error.retry_after is not None else True

    async def _call(self, prompt: RenderedPrompt) -> Reply:
        account = self._judge.account
        while True:
            self.made += 1
            try:
                reply = await self._judge.backend.reply(prompt)
            except TransportFailed as failure:
                self.lost += failure.maybe_paid
                if not failure.throttled:
                    account.record_failure()
                    raise
                account.record_throttle(failure.retry_after)
            except CallFailed:
                account.record_answer()
                raise
            except asyncio.CancelledError:
                # The deadline ended it in the middle.
                self.lost += 1
                account.record_failure()
                raise
            else:
                account.record_answer()
                used = reply.usage.input_tokens + reply.usage.output_tokens
                account.give_back(0, self._tokens - used if used else 0, single=self._single)
                return reply
            await account.turn(self._tokens, single=self._single)


def read(definition: JudgeDefinition, reply: Reply) -> ParsedVerdict:
    """What the judge's own parser reads from *reply*."""
    return parse(Parser.named(definition.parser), reply)


def priced(judge: JudgeAtWork, reply: Reply, *, tries: int, seconds: float) -> Reply:
    """*reply* with what it cost and how long it took."""
    usage, price = reply.usage, judge.card.price
    cost = price.cost(usage, batch=judge.card.batch) if price else 0
    used = Usage(
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.output_tokens,
        cost,
        round(seconds * 1000),
        tries,
        usage.written_input_tokens,
    )
    return Reply(reply.raw, reply.status, used, reply.model, reply.logprobs)
