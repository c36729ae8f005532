"""The contract of a backend, over every one of them; and what the keyless ones say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from judge.backends.anthropic import Anthropic
from judge.backends.baseline import BaselineJudge
from judge.backends.http import Endpoint
from judge.backends.openai import OpenAI
from judge.backends.recorded import Recorded
from judge.backends.scripted import Scripted
from judge.backends.vllm import Vllm
from judge.domain.errors import CallRejected, InvalidInput, NotRecorded, TransportFailed
from judge.domain.judge import BASELINE_JUDGES, RenderedPrompt, Sampling
from judge.domain.outcome import Preference
from judge.domain.verdict import Reply, Shown, Usage
from judge.ports.backend import Backend
from judge.prompts.parse import Parser, parse
from judge.prompts.render import render
from judge.prompts.rubrics import BRACKETS, RUBRICS
from support.backend_contract import (
    TEXTS,
    test_a_reply_is_parsed_as_one_preference,
    test_capabilities_are_known,
    test_closing_twice_is_fine,
    test_concurrent_calls_are_independent,
)
from support.example_prompts import prompt, right_answer, verdict_of
from support.provider import KEY, Provider
from support.provider_server import anthropic_url, serving_provider

__all__ = [
    "test_a_reply_is_parsed_as_one_preference",
    "test_capabilities_are_known",
    "test_closing_twice_is_fine",
    "test_concurrent_calls_are_independent",
]
AT_A_PROVIDER: Mapping[str, Callable[[str], Backend]] = {
    "anthropic": lambda url: Anthropic("m", Endpoint(anthropic_url(url), KEY)),
    "openai": lambda url: OpenAI("m", Endpoint(url, KEY)),
    "vllm": lambda url: Vllm("m", Endpoint(url, KEY), weights="m"),
}


@asynccontextmanager
async def backend_named(name: str) -> AsyncIterator[Backend]:
    """The backend called *name*, ready to answer any prompt of this file."""
    if name in AT_A_PROVIDER:
        provider = Provider(right_answer)
        async with serving_provider(provider) as url:
            one = AT_A_PROVIDER[name](url)
            yield one
            await one.close()
        return
    if name == "recorded":
        prompts = [prompt(*texts, form=form) for texts in TEXTS for form in RUBRICS]
        yield Recorded({one.nonce: scripted(one) for one in prompts})
    elif name == "scripted":
        yield Scripted(scripted)
    else:
        yield BaselineJudge(name)


def scripted(one: RenderedPrompt) -> Reply:
    verdict = "A" if "391" in one.shown.first[-1] else "B"
    return Reply(raw=verdict_of(one, verdict))


NAMES = (*AT_A_PROVIDER, "recorded", "scripted", *BASELINE_JUDGES)


@pytest.fixture(params=NAMES)
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    async with backend_named(request.param) as one:
        yield one


@pytest.fixture(params=RUBRICS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_nothing_is_recorded_without_records() -> None:
    """A recorded judge never makes anything up."""
    with pytest.raises(NotRecorded):
        await Recorded().reply(prompt())


async def said(name: str, one: RenderedPrompt) -> Preference | None:
    return parse(Parser(one.form, one.steps), await BaselineJudge(name).reply(one)).preference


@pytest.mark.parametrize("form", RUBRICS)
async def test_the_longest_answer_in_the_turn_judged_wins(form: str) -> None:
    """Only the turn judged counts, and equal lengths are a tie."""
    shown = Shown(("q", "q"), ("x" * 99, "ab"), ("x", "abc"))

    assert await said("longest", render(BRACKETS, shown, "judge", Sampling())) is Preference.SECOND
    assert await said("longest", prompt("abc", "ab", form=form)) is Preference.FIRST
    assert await said("longest", prompt("abc", "cba", form=form)) is Preference.TIE
    reply = await BaselineJudge("longest").reply(prompt("x" * 120, "x" * 80))
    assert reply == Reply("The first answer is longer: 120 against 80 characters. [[A]]", model="longest")
    assert reply.usage == Usage()


async def test_the_first_answer_wins() -> None:
    """Whatever it says."""
    assert await said("first", prompt("", "better")) is Preference.FIRST


async def test_the_same_call_has_the_same_random_answer() -> None:
    """Drawn by the key: equal for equal keys, and all three over many."""
    prompts = [prompt(str(number)) for number in range(300)]
    drawn = [await said("random", one) for one in prompts]

    assert drawn == [await said("random", one) for one in prompts]
    assert all(70 < drawn.count(preference) < 130 for preference in Preference)


@pytest.mark.parametrize(
    ("reference", "text", "matches"),
    [
        ("391", "It is 391.", True),
        ("391", "**391**", True),
        ("391", "It is 3910.", False),
        ("391", "It is 1391", False),
        ("391", "It is 391.5", False),
        ("391", "It is 0.391", False),
        ("391", "It is -391", False),
        ("391", "17*23=391", True),
        ("0.625", "= 0.625 exactly", True),
        ("New  York", "in new\nyork, of course", True),
        ("New York", "in New Yorkshire", False),
        ("Straße", "die STRASSE", True),
        ("(a+b)*", "the language (A+B)* is", True),
        ("391", "", False),
    ],
)
async def test_a_reference_answer_matches_as_a_phrase_of_its_own(reference: str, text: str, *, matches: bool) -> None:
    """Case and white space do not matter, the borders of words and numbers do; swapping flips."""
    there = prompt(text, "nothing", reference=(reference,))
    swapped = prompt("nothing", text, reference=(reference,))

    assert await said("matches-reference", there) is (Preference.FIRST if matches else Preference.TIE)
    assert await said("matches-reference", swapped) is (Preference.SECOND if matches else Preference.TIE)


async def test_a_reference_answer_in_both_is_a_tie() -> None:
    """Both right is no preference."""
    assert await said("matches-reference", prompt("391", "391!")) is Preference.TIE


@pytest.mark.parametrize("reference", [(), ("",), ("  ",)])
async def test_without_a_reference_answer_there_is_no_match(reference: tuple[str, ...]) -> None:
    """A failure is never a tie."""
    with pytest.raises(CallRejected, match="no reference answer"):
        await BaselineJudge("matches-reference").reply(prompt(reference=reference))


def test_an_unknown_baseline_judge_is_wrong_input() -> None:
    """Its error names those there are."""
    with pytest.raises(InvalidInput, match="longest"):
        BaselineJudge("shortest")


async def test_a_script_is_said_in_order_and_its_errors_are_raised() -> None:
    """One line a call."""
    backend = Scripted(["[[A]]", TransportFailed("cut"), Reply("[[B]]")])

    assert (await backend.reply(prompt())).raw == "[[A]]"
    with pytest.raises(TransportFailed):
        await backend.reply(prompt())
    assert (await backend.reply(prompt())).raw == "[[B]]"
    with pytest.raises(IndexError):
        await backend.reply(prompt())
    assert (backend.calls, backend.max_in_flight, backend.in_flight) == (4, 1, 0)


async def test_a_scripted_judge_waits_at_its_gate() -> None:
    """All calls are in flight until the gate opens; a cancelled one is in flight no more."""
    gate = asyncio.Event()
    backend = Scripted(lambda _: "[[A]]", gate=gate)
    calls = [asyncio.create_task(backend.reply(prompt())) for _ in range(5)]
    while backend.in_flight < 5:  # noqa: ASYNC110
        await asyncio.sleep(0)

    calls[0].cancel()
    gate.set()

    await asyncio.gather(*calls, return_exceptions=True)
    assert calls[0].cancelled()
    assert (backend.calls, backend.max_in_flight, backend.in_flight) == (5, 5, 0)


async def test_a_semaphore_is_a_gate_too() -> None:
    """It is held while a call is answered and let go afterwards."""
    gate = asyncio.Semaphore(1)
    backend = Scripted(lambda _: "[[A]]", gate=gate)

    await asyncio.gather(*(backend.reply(prompt()) for _ in range(5)))

    assert not gate.locked()
