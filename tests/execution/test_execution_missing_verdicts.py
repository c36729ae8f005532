"""A run says what has no verdict, and stops early if its judge never gives one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from judge.backends.scripted import Line, Scripted
from judge.domain.judge import Limits, RenderedPrompt
from judge.domain.outcome import VerdictStatus
from judge.domain.run import Pairing, Run, RunState
from judge.domain.verdict import ParsedVerdict, Reply
from judge.engines.local import LocalEngine
from judge.execution.missing_verdicts import FIRST_REPLIES, FirstReplies, snippet
from judge.execution.slots import Slots
from judge.ports.clock import SystemClock
from judge.store.sql_store import SqlStore
from support.clocks import QuickClock
from support.engine_service import PLANNED, EngineService, OneJudge
from support.judge_at_work import at_work

HELLO = "Hello! How can I help?"


async def ended_run(script: Callable[[RenderedPrompt], Line], pairing: Pairing, *, share: float = 0.05) -> Run:
    """Execute a run with one call at a time, whose judge may leave a *share* without a verdict."""
    backend = Scripted(script)
    known = OneJudge(backend)
    known.card = replace(known.card, limits=Limits(concurrency=1, max_failed_share=share))
    known.judge = replace(at_work(known.card, backend, QuickClock()), slots=Slots(1))
    store = SqlStore.open("sqlite://", clock=SystemClock())
    engine = LocalEngine(store, known, QuickClock())
    service = EngineService(store=store, backend=backend, engine=engine, judges=known)
    await service.fill()
    ended = await service.ended(await service.begin(pairing=pairing))
    await engine.close()
    await store.close()
    return ended


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (HELLO, "6 of 6 replies were unreadable: the first one is 'Hello! How can I help?'"),
        (Reply("No.", VerdictStatus.REFUSED), "6 of 6 replies were refused: the first one is 'No.'"),
        (Reply("Let", VerdictStatus.TRUNCATED), "6 of 6 replies were cut off at max_output_tokens: the first one is"),
        (Reply("", VerdictStatus.FILTERED), "6 of 6 replies were withheld by the provider's content filter: see"),
    ],
)
async def test_a_run_without_a_single_verdict_says_so(reply: Line, words: str) -> None:
    """It is done, because replies are final, but not like a run that has its verdicts."""
    ended = await ended_run(lambda _: reply, Pairing(prompts=1))

    assert (ended.state, ended.reason) == (RunState.DONE, "TOO_FEW_VERDICTS")
    assert words in ended.message
    assert f"see `judge show {ended.run_id} 0`" in ended.message


@pytest.mark.parametrize(("share", "blamed"), [(0.1, False), (0.09, True)])
async def test_replies_without_a_verdict_count_towards_max_failed_share(share: float, blamed: bool) -> None:
    """A judge that leaves no more than that is not blamed, and the run goes on to its end in both cases."""
    ended = await ended_run(
        lambda prompt: HELLO if " on p7" in prompt.messages[-1].content else "[[A]]", Pairing(), share=share
    )

    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED - 6, "unreadable": 6})
    assert ended.reason == ("TOO_FEW_VERDICTS" if blamed else "")
    assert ended.message.startswith("6 of 60 replies were unreadable: ") if blamed else not ended.message


async def test_a_run_stops_if_the_first_replies_of_its_judge_hold_no_verdict() -> None:
    """What it would pay for the others is not spent."""
    ended = await ended_run(lambda _: HELLO, Pairing())

    assert (ended.state, ended.reason) == (RunState.FAILED, "NO_VERDICTS")
    assert ended.counts.calls == FIRST_REPLIES < PLANNED
    assert ended.message == (
        f"judge 'j' was stopped: none of its first 40 replies holds a verdict. The last one: '{HELLO}'. "
        f"See one with `judge show {ended.run_id} 0`, and read them with another parser with "
        f"`judge reparse {ended.run_id} --parser PARSER`; `judge resume {ended.run_id}` pays for further calls"
    )


def test_a_verdict_ends_the_count_of_first_replies() -> None:
    """A judge that gave one goes on, and so does one whose run was resumed after one."""
    wrong, right = ParsedVerdict("p", None), Reply("[[A]]", VerdictStatus.OK)
    never, resumed = FirstReplies(), FirstReplies(readable=True)
    for _ in range(FIRST_REPLIES):
        for replies in (never, resumed):
            replies.note(right, wrong)

    assert (never.all_without_verdict, resumed.all_without_verdict) == (True, False)


def test_a_long_reply_is_quoted_by_its_beginning_on_one_line() -> None:
    assert snippet("a\n\nb " * 1000) == "a b " * 20 + "..."
