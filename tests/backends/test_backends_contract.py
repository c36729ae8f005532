"""Every backend fulfills the contract, and the backends without a key follow their rules."""

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
from judge.domain.messages import turn_text
from judge.domain.outcome import Preference
from judge.domain.usage import Usage
from judge.domain.verdict import Reply, Shown
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
    """A backend that can answer any prompt of this file."""
    if name in AT_A_PROVIDER:
        provider = Provider(right_answer)
        async with serving_provider(provider) as url:
            backend = AT_A_PROVIDER[name](url)
            yield backend
            await backend.close()
        return
    if name == "recorded":
        prompts = [prompt(*texts, form=form) for texts in TEXTS for form in RUBRICS]
        yield Recorded({rendered.nonce: scripted_reply(rendered) for rendered in prompts})
    elif name == "scripted":
        yield Scripted(scripted_reply)
    else:
        yield BaselineJudge(name)


def scripted_reply(rendered: RenderedPrompt) -> Reply:
    letter = "A" if "391" in turn_text(rendered.shown.first[-1]) else "B"
    return Reply(raw=verdict_of(rendered, letter))


NAMES = (*AT_A_PROVIDER, "recorded", "scripted", *BASELINE_JUDGES)


@pytest.fixture(params=NAMES)
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    async with backend_named(request.param) as named_backend:
        yield named_backend


@pytest.fixture(params=RUBRICS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_call_that_was_not_recorded_is_an_error() -> None:
    """A recorded judge without records has no reply to any prompt."""
    with pytest.raises(NotRecorded):
        await Recorded().reply(prompt())


async def preference_of(name: str, rendered: RenderedPrompt) -> Preference | None:
    reply = await BaselineJudge(name).reply(rendered)
    return parse(Parser(rendered.form, rendered.steps), reply).preference


@pytest.mark.parametrize("form", RUBRICS)
async def test_longest_prefers_the_longer_answer_in_the_judged_turn(form: str) -> None:
    """Only the judged turn counts, and equal lengths are a tie."""
    shown = Shown(("q", "q"), ("x" * 99, "ab"), ("x", "abc"))

    assert await preference_of("longest", render(BRACKETS, shown, "judge", Sampling())) is Preference.SECOND
    assert await preference_of("longest", prompt("abc", "ab", form=form)) is Preference.FIRST
    assert await preference_of("longest", prompt("abc", "cba", form=form)) is Preference.TIE
    reply = await BaselineJudge("longest").reply(prompt("x" * 120, "x" * 80))
    assert reply == Reply("The first answer is longer: 120 against 80 characters. [[A]]", model="longest")
    assert reply.usage == Usage()


async def test_first_prefers_the_first_answer() -> None:
    """The first answer wins even if it is empty."""
    assert await preference_of("first", prompt("", "better")) is Preference.FIRST


async def test_the_same_call_has_the_same_random_answer() -> None:
    """The random judge answers equal prompts equally, and uses all three preferences about equally often."""
    prompts = [prompt(str(number)) for number in range(300)]
    preferences = [await preference_of("random", rendered) for rendered in prompts]

    assert preferences == [await preference_of("random", rendered) for rendered in prompts]
    assert all(70 < preferences.count(preference) < 130 for preference in Preference)


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
async def test_a_reference_answer_matches_only_as_a_separate_phrase(
    reference: str, text: str, *, matches: bool
) -> None:
    """Case and white space do not matter, but the borders of words and numbers do. Swapping flips the preference."""
    shown_first = prompt(text, "nothing", reference=(reference,))
    shown_second = prompt("nothing", text, reference=(reference,))

    assert await preference_of("matches-reference", shown_first) is (Preference.FIRST if matches else Preference.TIE)
    assert await preference_of("matches-reference", shown_second) is (Preference.SECOND if matches else Preference.TIE)


async def test_a_reference_answer_in_both_is_a_tie() -> None:
    """If both answers contain the reference answer, neither is preferred."""
    assert await preference_of("matches-reference", prompt("391", "391!")) is Preference.TIE


@pytest.mark.parametrize("reference", [(), ("",), ("  ",)])
async def test_a_prompt_without_a_reference_answer_is_rejected(reference: tuple[str, ...]) -> None:
    """A missing reference answer is an error and not a tie."""
    with pytest.raises(CallRejected, match="no reference answer"):
        await BaselineJudge("matches-reference").reply(prompt(reference=reference))


def test_an_unknown_baseline_judge_is_invalid_input() -> None:
    """The error names the baseline judges that exist."""
    with pytest.raises(InvalidInput, match="longest"):
        BaselineJudge("shortest")


async def test_each_call_gets_the_next_line_of_the_script() -> None:
    """Replies are returned, errors are raised, and a call after the last line fails."""
    backend = Scripted(["[[A]]", TransportFailed("cut"), Reply("[[B]]")])

    assert (await backend.reply(prompt())).raw == "[[A]]"
    with pytest.raises(TransportFailed):
        await backend.reply(prompt())
    assert (await backend.reply(prompt())).raw == "[[B]]"
    with pytest.raises(IndexError):
        await backend.reply(prompt())
    assert (backend.calls, backend.max_in_flight, backend.in_flight) == (4, 1, 0)


async def test_a_scripted_judge_waits_at_its_gate() -> None:
    """All calls are in flight until the gate opens, and a canceled call no longer is."""
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


async def test_a_scripted_judge_holds_its_semaphore_while_it_answers() -> None:
    """Calls answer one at a time, and the semaphore is free afterwards."""
    gate = asyncio.Semaphore(1)
    backend = Scripted(lambda _: "[[A]]", gate=gate)

    await asyncio.gather(*(backend.reply(prompt()) for _ in range(5)))

    assert not gate.locked()
