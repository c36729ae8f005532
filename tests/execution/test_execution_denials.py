"""Whatever ends a presentation, the calls that were made for it are counted, and what they may cost is booked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import replace

import pytest

from judge.backends.scripted import Line, Scripted
from judge.domain.errors import JudgeUnusable, TransportFailed
from judge.domain.judge import Price, RenderedPrompt
from judge.domain.run import Budget, Run, RunState
from judge.domain.usage import Usage
from judge.domain.verdict import CallKey, Reply, Shown
from judge.engines.local import LocalEngine
from judge.execution.call_tally import CallTally
from judge.execution.cost import characters, worst_call
from judge.execution.judge_call import Work, judge_comparison
from judge.execution.slots import Slots
from judge.ports.clock import SystemClock
from judge.store.sql_store import SqlStore
from support.clocks import QuickClock
from support.engine_service import PLANNED, EngineService, OneJudge
from support.judge_at_work import at_work

BILL = 500_000
"""In micro-USD."""
USED = Usage(input_tokens=500, output_tokens=5, stated_micros=BILL)
BROKEN = TransportFailed("the reply broke off", maybe_paid=True, usage=USED)
DENIED = JudgeUnusable("the endpoint answered 403")
PRICE = Price(input_micros=1_000_000, output_micros=1_000_000)
WORK = Work(CallKey(fingerprint=1, prompt=1, turn=1, first=1, second=2), Shown(("q",), ("a",), ("b",)))

pytestmark = pytest.mark.usefixtures("quick_retries")


class HangsSecond(Scripted):
    """Answers every call but the second."""

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        if self.calls == 1:
            self.prompts.append(prompt)
            await asyncio.Event().wait()
        return await super().reply(prompt)


async def ended_run(lines: Iterable[Line], *, price: Price | None = None, budget: Budget | None = None) -> Run:
    """Execute a run, one call at a time, whose calls get *lines* and then [[A]]."""
    waiting = iter(lines)
    backend = Scripted(lambda _: next(waiting, "[[A]]"))
    known = OneJudge(backend)
    known.card = replace(known.card, price=price)
    known.judge = replace(at_work(known.card, backend, QuickClock()), slots=Slots(1))
    store = SqlStore.open("sqlite://", clock=SystemClock())
    engine = LocalEngine(store, known, QuickClock())
    service = EngineService(store=store, backend=backend, engine=engine, judges=known)
    await service.fill()
    ended = await service.ended(await service.begin(budget=budget or Budget()))
    await engine.close()
    await store.close()
    assert ended.counts.calls == backend.calls
    return ended


async def test_what_was_paid_before_a_tolerated_denial_is_booked() -> None:
    """A broken reply and the refusal of its retry are two calls, of which the first is paid."""
    ended = await ended_run(["[[A]]", BROKEN, DENIED, BROKEN, DENIED])

    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED - 2, "rejected": 2})
    assert (ended.counts.calls, ended.counts.repeated, ended.cost_micros) == (PLANNED + 2, 2, 2 * BILL)


async def test_what_was_paid_before_a_denial_that_ends_the_run_is_booked() -> None:
    """Seven calls, three of them paid, before the third denial in a row."""
    ended = await ended_run(["[[A]]", *[BROKEN, DENIED] * 3])

    assert (ended.state, ended.reason) == (RunState.FAILED, "JUDGE_UNUSABLE")
    assert (ended.counts.calls, ended.cost_micros, ended.spent[0].calls) == (7, 3 * BILL, 7)
    assert ended.counts.by_status == {"ok": 1, "rejected": 2, "failed": 1}


async def test_a_denial_with_a_bill_is_booked() -> None:
    """As an error 402 in the body of a 200 may have one."""
    ended = await ended_run([JudgeUnusable("no credit", usage=USED)])

    assert (ended.reason, ended.counts.calls, ended.cost_micros) == ("JUDGE_UNUSABLE", 1, BILL)


async def test_a_bill_above_the_maximum_before_a_denial_is_reported() -> None:
    """The provider billed more than the call can cost, although the presentation was refused."""
    ended = await ended_run([BROKEN, DENIED], price=PRICE)

    overrun = ended.overruns[0]
    assert overrun is not None
    assert (ended.cost_micros, overrun.cost_micros) == (BILL, BILL)


async def test_a_hard_budget_counts_what_was_paid_before_denials() -> None:
    """So the run stops before the provider's bills exceed it."""
    broken = TransportFailed("the reply broke off", usage=Usage(input_tokens=1000, output_tokens=5))
    budget = Budget(cost_micros=8000, hard=True)

    ended = await ended_run(["[[A]]", broken, DENIED] * PLANNED, price=PRICE, budget=budget)

    assert (ended.reason, ended.cost_micros) == ("BUDGET_STOPPED", 1005 * ended.counts.repeated)
    assert 0 < ended.cost_micros <= budget.cost_micros


async def test_what_was_called_before_an_unexpected_error_is_booked() -> None:
    """The presentation stays open and is judged again. The call that ended in the error may have been answered."""
    ended = await ended_run([BROKEN, ValueError("a fault of ours")])

    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED})
    assert (ended.counts.calls, ended.counts.repeated, ended.cost_micros) == (PLANNED + 2, 2, BILL)


async def test_a_cancelled_presentation_has_counted_its_calls() -> None:
    """Those before the cancellation, and the one in flight at the most that it can cost."""
    judge = at_work(replace(OneJudge(Scripted([])).card, price=PRICE), HangsSecond([BROKEN]))
    tally = CallTally()
    task = asyncio.create_task(judge_comparison(judge, WORK, 7, SystemClock(), tally=tally))
    while tally.made < 2:  # noqa: ASYNC110  # the retry is made in a task of its own
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

    lost = BILL + worst_call(judge, characters(WORK.shown))
    assert (tally.made, tally.unanswered, tally.uncounted, tally.lost_micros) == (2, 2, 1, lost)
