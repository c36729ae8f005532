"""Judging one presentation: retries, deadlines, and the state it is left in when all of them fail."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest

from judge.backends.recorded import Recorded
from judge.backends.scripted import Scripted
from judge.domain.errors import (
    CallFailed,
    CallRejected,
    JudgeUnusable,
    PromptTooLong,
    ReplyTooLarge,
    TransportFailed,
)
from judge.domain.judge import RECORDED, JudgeCard, JudgeDefinition, Limits, Price, RenderedPrompt, Rubric
from judge.domain.money import usd
from judge.domain.outcome import ItemState, Preference, VerdictStatus
from judge.domain.usage import Usage
from judge.domain.verdict import CallKey, Reply, Shown
from judge.execution.call_tally import CallTally
from judge.execution.cost import ATTEMPTS, characters, worst_call
from judge.execution.judge_call import Work, judge_comparison
from judge.execution.judges import JudgeAtWork
from judge.ports.clock import SystemClock
from judge.prompts.rubrics import RUBRICS
from support.judge_at_work import at_work

WORK = Work(CallKey(fingerprint=1, prompt=1, turn=1, first=1, second=2), Shown(("q",), ("a",), ("b",)))


pytestmark = pytest.mark.usefixtures("quick_retries")


PRICE = Price(input_micros=1_000_000, output_micros=2_000_000)
CARD = JudgeCard(
    JudgeDefinition(name="j", backend="scripted", rubric=RUBRICS["brackets"], parser="brackets/1"), price=PRICE
)
WORST = worst_call(at_work(CARD, Scripted([])), characters(WORK.shown))


def judge(backend: Scripted, *, deadline: float = 60.0) -> JudgeAtWork:
    return at_work(replace(CARD, limits=Limits(deadline_seconds=deadline)), backend)


@pytest.mark.parametrize("failures", range(ATTEMPTS))
async def test_a_transport_failure_is_tried_again(failures: int) -> None:
    """The verdict's usage counts the failed calls and the one that was answered."""
    backend = Scripted([*(TransportFailed("gone") for _ in range(failures)), "[[B]]"])

    settled = await judge_comparison(judge(backend), WORK, 7, SystemClock())

    assert settled.reply is not None
    assert (backend.calls, settled.calls, settled.reply.usage.tries) == (failures + 1,) * 3
    assert settled.parsed_verdict is not None
    assert settled.parsed_verdict.status is VerdictStatus.OK


async def test_law_2_after_the_last_try_a_presentation_has_a_state_and_no_verdict() -> None:
    """If every call fails in transport, the state is transport_error after ATTEMPTS calls."""
    backend = Scripted(lambda _: TransportFailed("gone"))

    settled = await judge_comparison(judge(backend), WORK, 7, SystemClock())

    assert (settled.reply, settled.parsed_verdict, settled.state) == (None, None, ItemState.TRANSPORT_ERROR)
    assert (backend.calls, settled.calls) == (ATTEMPTS, ATTEMPTS)


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_retry_reserves_again_what_the_calls_before_may_have_cost(*, allowed: bool) -> None:
    """A call that was refused reserves no more money, but a call. Where the budget refuses, there is no retry."""
    backend = Scripted([TransportFailed("503"), TransportFailed("cut", maybe_paid=True), "[[A]]"])
    reserved = []

    async def reserve(micros: int, calls: int) -> bool:
        reserved.append((micros, calls))
        return allowed or not micros

    settled = await judge_comparison(judge(backend), WORK, 7, SystemClock(), reserve=reserve)

    assert (reserved, settled.lost_micros, settled.uncounted) == ([(0, 1), (WORST, 1)], WORST, 1)
    assert (backend.calls, settled.state) == ((3, None) if allowed else (2, ItemState.TRANSPORT_ERROR))


async def test_a_call_that_was_not_sent_is_no_call() -> None:
    """It counts and costs nothing, and what it had reserved passes on to the next, whatever was sent before."""
    unsent = TransportFailed("refused", unsent=True)
    backend = Scripted([unsent, unsent, TransportFailed("cut", maybe_paid=True), unsent, "[[A]]"])
    reserved = []

    async def reserve(micros: int, calls: int) -> bool:
        reserved.append((micros, calls))
        return True

    settled = await judge_comparison(judge(backend), WORK, 7, SystemClock(), reserve=reserve)
    never = await judge_comparison(judge(Scripted(lambda _: unsent)), WORK, 7, SystemClock())

    assert settled.reply is not None
    assert (settled.calls, settled.reply.usage.tries, settled.unanswered, settled.lost_micros) == (2, 2, 1, WORST)
    assert reserved == [(0, 0), (0, 0), (WORST, 1), (0, 0)]
    assert (never.calls, never.lost_micros, never.state) == (0, 0, ItemState.TRANSPORT_ERROR)


async def test_a_denial_that_was_not_sent_is_no_call() -> None:
    """As if a server serves other weights than before: no reply was asked for."""
    tally = CallTally()

    with pytest.raises(JudgeUnusable):
        await judge_comparison(
            judge(Scripted([JudgeUnusable("other weights", unsent=True)])), WORK, 7, SystemClock(), tally=tally
        )

    assert tally == CallTally()


async def test_a_rejected_call_is_not_tried_again() -> None:
    backend = Scripted([TransportFailed("gone"), CallRejected("no")])

    settled = await judge_comparison(judge(backend), WORK, 7, SystemClock())

    assert (backend.calls, settled.state) == (2, ItemState.REJECTED)


async def test_law_2_what_is_not_recorded_has_a_state_and_is_no_call() -> None:
    """A recorded judge has only stored replies: nothing is rendered, and nothing is called."""
    card = JudgeCard(JudgeDefinition(name="old", backend=RECORDED, rubric=Rubric("brackets", ()), parser="brackets/1"))

    settled = await judge_comparison(at_work(card, Recorded()), WORK, 7, SystemClock())

    assert (settled.state, settled.reply, settled.calls) == (ItemState.NOT_RECORDED, None, 0)


async def test_a_judge_that_cannot_be_called_is_an_error() -> None:
    """A wrong credential is not a presentation's state: it is raised, and ends the run."""
    with pytest.raises(JudgeUnusable):
        await judge_comparison(judge(Scripted([JudgeUnusable("no key")])), WORK, 7, SystemClock())


async def test_one_deadline_covers_all_attempts() -> None:
    """The judge's deadline ends a call that hangs."""
    backend = Scripted([], gate=asyncio.Event())

    settled = await judge_comparison(judge(backend, deadline=0.01), WORK, 7, SystemClock())

    assert (backend.calls, settled.state) == (1, ItemState.TRANSPORT_ERROR)
    assert (settled.lost_micros, settled.unanswered) == (WORST, 1)


async def test_what_was_sent_and_not_answered_is_booked_as_maybe_paid() -> None:
    """A call that broke off counts at its worst cost, on top of the reply's cost; a refused call costs nothing."""
    broken = Scripted([TransportFailed("cut", maybe_paid=True), TransportFailed("429"), "[[B]]"])

    settled = await judge_comparison(judge(broken), WORK, 7, SystemClock())

    assert (settled.calls, settled.unanswered, settled.lost_micros) == (3, 1, WORST)
    assert WORST > 0


async def test_a_reply_that_nobody_counted_costs_the_most_that_it_can() -> None:
    """Unknown usage is not free, and usage that is known in part costs at least what is known."""
    dear = Usage(input_tokens=10**9, counted=False)
    for usage, cost in ((Usage(counted=False), WORST), (dear, 10**9), (Usage(input_tokens=10, output_tokens=5), 20)):
        settled = await judge_comparison(judge(Scripted([Reply("[[A]]", usage=usage)])), WORK, 7, SystemClock())

        assert settled.reply is not None
        assert settled.reply.usage.cost_micros == cost


async def test_the_larger_of_the_stated_cost_and_the_priced_tokens_is_booked() -> None:
    """So no cost is understated. Without a price, only what the provider says counts."""
    usage = Usage(input_tokens=10, output_tokens=5)
    costs = []
    for stated, price in ((7, PRICE), (25, PRICE), (25, None), (0, None)):
        card = replace(CARD, price=price)
        backend = Scripted([Reply("[[A]]", usage=usage._replace(stated_micros=stated))])
        settled = await judge_comparison(at_work(card, backend), WORK, 7, SystemClock())
        assert settled.reply is not None
        costs.append((settled.reply.usage.cost_micros, settled.uncounted))

    assert costs == [(20, 0), (25, 0), (25, 0), (0, 0)]


async def test_a_bill_above_the_maximum_is_booked_and_reported() -> None:
    """By its output, its input, or the cost that the provider states."""
    output, sent = CARD.definition.sampling.max_output_tokens, characters(WORK.shown)
    dear = Usage(input_tokens=10, output_tokens=100 * output)
    long, stated = Usage(input_tokens=10**6, output_tokens=5), Usage(input_tokens=10, output_tokens=5)
    messages = []
    for usage in (dear, long, stated._replace(stated_micros=2 * WORST)):
        settled = await judge_comparison(judge(Scripted([Reply("[[A]]", usage=usage)])), WORK, 7, SystemClock())
        assert settled.overrun is not None
        assert settled.reply is not None
        assert (settled.overrun.cost_micros, settled.overrun.most_micros) == (settled.reply.usage.cost_micros, WORST)
        messages.append(settled.overrun.message.partition(": ")[2].partition(";")[0])

    assert messages == [
        f"{100 * output:,} output tokens where at most {output:,} were asked for",
        f"1,000,000 input tokens where at most {math.ceil(sent / 1.5):,} were expected",
        f"${usd(2 * WORST)} where its tokens cost at most ${usd(WORST)}",
    ]


async def test_a_retry_after_a_bill_above_the_maximum_reserves_as_much_more() -> None:
    """The next try can exceed what is reserved for it by as much as the one before."""
    broken = TransportFailed("the reply broke off", usage=Usage(input_tokens=3 * WORST, output_tokens=0))
    reserved = []

    async def reserve(micros: int, calls: int) -> bool:
        reserved.append((micros, calls))
        return True

    settled = await judge_comparison(
        judge(Scripted([broken, TransportFailed("gone"), "[[A]]"])), WORK, 7, SystemClock(), reserve=reserve
    )

    assert (reserved, settled.lost_micros) == ([(3 * WORST + 2 * WORST, 1), (0, 1)], 3 * WORST)


async def test_what_a_broken_reply_used_is_booked_and_the_next_reply_counts() -> None:
    """It is no answer: the call is made again, and both are paid."""
    broken = TransportFailed("the reply broke off", maybe_paid=True, usage=Usage(input_tokens=10, output_tokens=5))
    settled = await judge_comparison(judge(Scripted([broken, "[[B]]"])), WORK, 7, SystemClock())

    assert settled.reply is not None
    assert (settled.lost_micros, settled.uncounted, settled.calls, settled.reply.raw) == (20, 0, 2, "[[B]]")


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (CallRejected("the endpoint answered 400: no"), ItemState.REJECTED),
        (PromptTooLong("the endpoint answered 400: too long"), ItemState.TOO_LONG),
        (ReplyTooLarge("the endpoint's answer is larger than 4 MiB"), ItemState.REPLY_TOO_LARGE),
        (TransportFailed("the endpoint answered 500: oops"), ItemState.TRANSPORT_ERROR),
    ],
)
async def test_the_providers_words_stay_with_the_presentation(failure: CallFailed, state: ItemState) -> None:
    """The reason of a state is what the provider said."""
    settled = await judge_comparison(judge(Scripted(lambda _: failure)), WORK, 7, SystemClock())

    assert (settled.state, settled.reason) == (state, failure.message)


async def test_a_reply_larger_than_any_verdict_is_paid_and_not_asked_for_again() -> None:
    """Nobody knows what it used, so it is booked at the most that it can."""
    backend = Scripted(lambda _: ReplyTooLarge("too large"))
    settled = await judge_comparison(judge(backend), WORK, 7, SystemClock())

    assert (backend.calls, settled.lost_micros) == (1, WORST)


@pytest.mark.parametrize("quote", ["{}", "<<<end {}>>>", "The code is {}."])
async def test_a_reply_that_repeats_the_code_of_its_prompt_is_unreadable(quote: str) -> None:
    """It copies from its prompt, so its verdict may be copied too. It is stored once; thinking may repeat the code."""

    def copies(rendered: RenderedPrompt) -> Reply:
        return Reply(f"{quote.format(rendered.nonce.upper())} [[A]]")

    def thinks(rendered: RenderedPrompt) -> Reply:
        return Reply(f"<think>{quote.format(rendered.nonce)}</think> [[A]]")

    copied = await judge_comparison(judge(Scripted(copies)), WORK, 7, SystemClock())
    thought = await judge_comparison(judge(Scripted(thinks)), WORK, 7, SystemClock())

    assert copied.reply is not None
    assert thought.parsed_verdict is not None
    assert copied.parsed_verdict is not None
    assert (copied.reply.status, copied.parsed_verdict.preference) == (VerdictStatus.UNREADABLE, None)
    assert (copied.calls, thought.parsed_verdict.preference) == (1, Preference.FIRST)
