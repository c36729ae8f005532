"""Judging one presentation: render the prompt, call the backend, parse the reply. Deadline and retries are here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import stamina

from judge.domain.errors import CallFailed, CallRejected, JudgeUnusable, NotRecorded, TransportFailed
from judge.domain.judge import RECORDED, JudgeDefinition, RenderedPrompt
from judge.domain.outcome import ItemState, Order, VerdictStatus
from judge.domain.usage import Usage
from judge.domain.verdict import CallKey, Comparison, ParsedVerdict, Reply, Shown, digest, recorded_digest
from judge.execution.call_tally import CallTally
from judge.execution.cost import ATTEMPTS, call_cost, characters, likely_tokens, with_cost
from judge.execution.judges import JudgeAtWork, Rule
from judge.log.events import logger
from judge.ports.clock import Clock
from judge.ports.records import ItemRef, OutputText, PromptText, Setback, Settled, StoredAnswer
from judge.prompts.parse import Parser, parse
from judge.prompts.render import render, uses_reference
from judge.prompts.thinking import without_thinking

RESTS = 12.0
"""Seconds that a presentation waits in a round, at most, because the provider names a delay with its failures.

One presentation that always fails must end soon, whatever delay its failures name.
"""
Reserve = Callable[[int, int], Awaitable[bool]]
"""Reserves more micro-USD, and more calls, for a presentation's retry, and returns whether the budget allows it."""
log = logger("calls")


class Work(NamedTuple):
    """A presentation to judge: its key, its texts, and its place in a run if it has one."""

    key: CallKey
    shown: Shown
    item: ItemRef | None = None


def texts(prompt: PromptText, left: OutputText, right: OutputText, turn: int, order: Order) -> Shown:
    """The texts that a judge is shown of a comparison, up to and including *turn*."""
    question = prompt.prompt
    comparison = Comparison(
        prompt=question.turns[:turn],
        left=left.output.turns[:turn],
        right=right.output.turns[:turn],
        category=question.category,
        reference=question.reference[:turn],
    )
    return Shown.of(comparison, order)


def render_prompt(definition: JudgeDefinition, work: Work, *, bare: bool = False) -> RenderedPrompt:
    """Render exactly what *definition* is sent for *work*; without messages if *bare*."""
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
    """The digests of a prompt and an output in the key of an uploaded verdict."""
    return digest("prompt-id", prompt_id), recorded_digest(contestant, sample)


async def judge_comparison(
    judge: JudgeAtWork,
    work: Work,
    attempt: int | None,
    clock: Clock,
    *,
    single: bool = False,
    reserve: Reserve | None = None,
    tally: CallTally | None = None,
) -> Settled:
    """Call *judge* for *work*. Returns the parsed reply, or the state in which the presentation is left without one.

    The first call was leased from the account before; each retry waits for its own turn.

    Args:
        judge: The judge and its backend.
        work: The presentation.
        attempt: The store's number of the attempt that the permit granted.
        clock: The time, and how to wait.
        single: Whether retries use the part of the rate limit that is reserved for single comparisons.
        reserve: Called before a retry. If it returns False, there is no retry. A call that was not sent passes its
            own reservation on. None means that nothing is reserved.
        tally: Counts the calls, for a caller that books them even if this raises.

    Raises:
        JudgeUnusable: No call of this judge can succeed. Calls before the one that showed it may have to be paid.
    """
    if judge.rule is not None:
        return settle_by_rule(judge, judge.rule, work, attempt)
    started = clock.monotonic()
    ends = started + judge.card.limits.deadline_seconds
    tally = CallTally() if tally is None else tally
    calls = _Calls(judge, work, tally, single=single, reserve=reserve, ends=ends)
    reply, parsed_verdict, state, reason = None, None, None, ""
    try:
        if judge.definition.backend == RECORDED:
            raise NotRecorded("no verdict was uploaded for this presentation, and a recorded judge cannot be called")
        prompt = render_prompt(judge.definition, work)
        _check_images(judge, prompt)
        async with asyncio.timeout(judge.card.limits.deadline_seconds):
            answer = await calls.reply(prompt)
    except TimeoutError:
        state, reason = ItemState.TRANSPORT_ERROR, calls.timed_out()
    except JudgeUnusable as unusable:
        _log_failure(judge, unusable.state, unusable.message)
        raise
    except CallFailed as failure:
        state, reason = failure.state, failure.message
    else:
        reply, parsed_verdict = _read(judge, prompt, answer, tally, seconds=clock.monotonic() - started)
    if state is not None:
        _log_failure(judge, state, reason)
    settled = Settled(
        work.key,
        work.item,
        attempt,
        reply=reply,
        parsed_verdict=parsed_verdict,
        state=state,
        reason=reason,
        setback=calls.setback if state is ItemState.TRANSPORT_ERROR else None,
    )
    return tally.added_to(settled)


def _check_images(judge: JudgeAtWork, prompt: RenderedPrompt) -> None:
    """Raise CallRejected if *judge* would be shown images that it does not take, or in a system message."""
    images = prompt.shown.images
    if images and not judge.backend.capabilities.images:
        raise CallRejected(
            f"judge {judge.definition.name!r} takes no images, and the presentation has {images}. "
            "If its model does take them, add capabilities = { images = true }"
        )
    if any(message.parts and message.role == "system" for message in prompt.messages):
        raise CallRejected(
            f"rubric {judge.definition.rubric.name} shows images in its system message; show them in user"
        )


def _read(
    judge: JudgeAtWork, prompt: RenderedPrompt, answer: Reply, tally: CallTally, *, seconds: float
) -> tuple[Reply, ParsedVerdict]:
    """Return *answer* with its cost, and what it says. It is paid even if it cannot be parsed because of an error."""
    cost = call_cost(judge, answer.usage, characters(prompt.shown))
    try:
        judge.warn_once.note(judge.definition.name, judge.definition.model, answer)
        reply = with_cost(checked_reply(answer, prompt), cost, tries=tally.made, seconds=seconds)
        parsed_verdict = parse_reply(judge.definition, reply)
    except Exception:
        tally.lose(cost)
        raise
    tally.note(cost)
    return reply, parsed_verdict


def _log_failure(judge: JudgeAtWork, state: ItemState, message: str) -> None:
    log.info("call.failed", judge=judge.definition.name, state=state.name.lower(), message=message)


def settle_by_rule(judge: JudgeAtWork, rule: Rule, work: Work, attempt: int | None) -> Settled:
    """Settle *work* by *rule*, which takes no time, needs no retry and costs nothing."""
    try:
        reply = rule(render_prompt(judge.definition, work, bare=True))
    except CallFailed as failure:
        return Settled(work.key, work.item, attempt, state=failure.state, calls=1, reason=failure.message)
    parsed_verdict = parse_reply(judge.definition, reply)
    return Settled(work.key, work.item, attempt, reply=reply, parsed_verdict=parsed_verdict, calls=1)


def settle_from_store(definition: JudgeDefinition, work: Work, stored: StoredAnswer) -> Settled:
    """Settle *work* with an answer from the store, and parse it if the judge's parser has not yet."""
    known = definition.backend == RECORDED or any(
        parsed.parser == definition.parser for parsed in stored.parsed_verdicts
    )
    parsed_verdict = None if known else parse_reply(definition, stored.reply)
    return Settled(work.key, work.item, answer=stored.answer, reply=stored.reply, parsed_verdict=parsed_verdict)


def checked_reply(reply: Reply, prompt: RenderedPrompt) -> Reply:
    """Return *reply*, as unreadable if its answer repeats the code of the prompt's fence.

    A judge that repeats the code copies from its prompt, where the judged texts are. Thinking may repeat it.
    """
    if reply.status is VerdictStatus.OK and prompt.nonce in without_thinking(reply.raw).lower():
        return reply._replace(status=VerdictStatus.UNREADABLE)
    return reply


def parse_reply(definition: JudgeDefinition, reply: Reply) -> ParsedVerdict:
    """Parse *reply* with the judge's own parser."""
    return parse(Parser.named(definition.parser), reply)


class _Calls:
    """The calls made for one presentation: up to ATTEMPTS, until one is answered. *tally* counts them.

    Calls that the provider throttles are repeated until *ends*, the deadline, and count as no failed attempt. If the
    account has to rest for longer than that, there is no further call.
    """

    def __init__(
        self,
        judge: JudgeAtWork,
        work: Work,
        tally: CallTally,
        *,
        single: bool,
        reserve: Reserve | None,
        ends: float,
    ) -> None:
        self._tally = tally
        self._ends = ends
        self._throttle: TransportFailed | None = None
        """The last failure, if it was a throttled call."""
        self._started = 0
        """How many calls were started, with those that turned out not to be sent."""
        self._unsent = False
        """Whether the last call was not sent."""
        self._slow = False
        """Whether the first call ran into the deadline."""
        self._rested = 0.0
        """Seconds of waiting that the provider asked for before retries."""
        self._judge, self._key, self._shown = judge, work.key, work.shown
        self._single, self._reserve = single, reserve
        self._reserved_again = 0
        """How much was reserved after the first call, in micro-USD."""
        self._refused = False
        """Whether the budget does not allow another call."""
        self._tokens = likely_tokens(judge, work.shown)
        self._last = ""

    def timed_out(self) -> str:
        """Why the presentation has no verdict if its deadline passed."""
        seconds = f"{self._judge.card.limits.deadline_seconds:g}"
        if self._slow:
            return f"slower than deadline_seconds = {seconds}"
        return f"no answer within deadline_seconds = {seconds}" + (f"; before that, {self._last}" if self._last else "")

    @property
    def setback(self) -> Setback | None:
        """What kept the presentation from an answer, if it is not to blame."""
        if self._slow:
            return Setback.SLOW
        # A provider may refuse one presentation forever with the status of a limit.
        throttle = self._throttle
        limited = throttle is not None and (throttle.daily or self._judge.account.refuses_all)
        return Setback.THROTTLED if limited else None

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """Call until the judge replies. The first call bypasses the retry context, which is slow."""
        try:
            return await self._call(prompt)
        except TransportFailed as failure:
            if self._judge.account.down:
                raise
            first: TransportFailed | None = failure
        async for attempt_context in stamina.retry_context(on=self._retries, attempts=ATTEMPTS, timeout=None):
            with attempt_context:
                if first is not None:
                    # Counts the failure above as the first attempt, so that it decides how long to wait.
                    failed, first = first, None
                    raise failed
                await self._reserve_again()
                await self._judge.account.turn(self._tokens, single=self._single)
                return await self._call(prompt)
        raise AssertionError

    async def _reserve_again(self) -> None:
        """Reserve a further call, what the failed ones may have used, and by how much the next can exceed its maximum.

        If the last call was not sent, the next one takes its place in the budget.

        Raises TransportFailed if that is refused.
        """
        overrun = self._tally.overrun
        excess = overrun.cost_micros - overrun.most_micros if overrun else 0
        more = self._tally.lost_micros + excess - self._reserved_again
        if self._reserve is not None and not await self._reserve(more, 0 if self._unsent else 1):
            self._refused = True
            raise TransportFailed(self._last)
        self._reserved_again += more

    def _retries(self, error: Exception) -> bool | float:
        """Whether to call again after *error*, or after how many seconds."""
        if not isinstance(error, TransportFailed) or error.throttled or self._judge.account.down or self._refused:
            return False
        if error.retry_after is None:
            return True
        seconds = min(error.retry_after, RESTS - self._rested)
        self._rested += seconds
        return seconds if seconds > 0 or not error.retry_after else False

    async def _call(self, prompt: RenderedPrompt) -> Reply:
        account = self._judge.account
        while True:
            self._started += 1
            self._tally.made += 1
            try:
                reply = await self._judge.backend.reply(prompt)
            except TransportFailed as failure:
                self._book(failure)
                if not failure.throttled:
                    self._throttle = None
                    account.record_failure(self._key, failure.message)
                    raise
                self._throttle = failure
                account.record_throttle(failure.retry_after, failure.message, self._key)
                if account.resting_until > self._ends:
                    raise
                await self._reserve_again()
            except CallFailed as failure:
                self._book(failure)
                account.record_answer()
                raise
            except asyncio.CancelledError:
                # The deadline passed while the call was in flight.
                self._book_unanswered(None)
                self._slow = self._started == 1
                self._throttle = None
                account.record_failure(self._key, self.timed_out())
                raise
            except BaseException:
                # An error of ours: the provider may have answered the call.
                self._book_unanswered(None)
                raise
            else:
                account.record_answer()
                used = reply.usage.input_tokens + reply.usage.output_tokens
                account.give_back(0, self._tokens - used if used else 0, single=self._single)
                return reply
            await account.turn(self._tokens, single=self._single)

    def _book(self, failure: CallFailed) -> None:
        """Book what a call without an answer used, and remember why it has none. If it was not sent, it is no call."""
        self._last, self._unsent = failure.message, failure.unsent
        self._tally.made -= failure.unsent
        if failure.usage is not None or failure.maybe_paid:
            self._book_unanswered(failure.usage)

    def _book_unanswered(self, usage: Usage | None) -> None:
        self._tally.lose(call_cost(self._judge, usage, characters(self._shown)))
