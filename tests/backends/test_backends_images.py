"""Images are sent in each provider's shape to models that take them, and to no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from judge.backends import anthropic, openai, vllm
from judge.backends.anthropic import Anthropic
from judge.backends.http import Endpoint
from judge.backends.openai import OpenAI
from judge.backends.scripted import Scripted
from judge.backends.vllm import Vllm
from judge.domain.judge import Capabilities, JudgeCard, JudgeDefinition, RenderedPrompt, Rubric, RubricVariant, Sampling
from judge.domain.messages import IMAGE_TOKENS, ChatMessage, ChatTurn, Image, Role, TextPart
from judge.domain.outcome import ItemState
from judge.domain.verdict import CallKey, Shown
from judge.execution.cost import characters, held_characters
from judge.execution.judge_call import Work, judge_comparison
from judge.ports.backend import Backend, BatchItem
from judge.ports.clock import SystemClock
from judge.prompts.render import render
from judge.prompts.rubrics import RUBRICS
from support.judge_at_work import at_work
from support.provider import KEY, Provider
from support.provider_server import anthropic_url, serving_provider

IMAGE = Image(b"\x89PNG", "image/png")
QUESTION = ChatTurn((ChatMessage(Role.USER, (TextPart("What is it?"), IMAGE)),))
SHOWN = Shown((QUESTION,), ("A cat.",), ("A dog.",))
RUBRIC = RUBRICS["brackets"]
DEFINITION = JudgeDefinition(name="j", backend="scripted", rubric=RUBRIC, parser="brackets/1", model="m")
WORK = Work(CallKey(fingerprint=1, prompt=1, turn=1, first=1, second=2), SHOWN)


def prompt() -> RenderedPrompt:
    return render(RUBRIC, SHOWN, "f", Sampling())


async def _sent(vendor: str) -> list[dict[str, Any]]:
    """Return the content of the user's message that a backend sends."""
    bodies: list[dict[str, Any]] = []

    def reply(asked: Any) -> str:  # noqa: ANN401  # a provider's call
        bodies.append(dict(asked.body))
        return "[[A]]"

    async with serving_provider(Provider(reply)) as url:
        backends: dict[str, Callable[[], Backend]] = {
            "openai": lambda: OpenAI("m", Endpoint(url, KEY)),
            "anthropic": lambda: Anthropic("m", Endpoint(anthropic_url(url), KEY)),
            "vllm": lambda: Vllm("m", Endpoint(url, KEY)),
        }
        backend = backends[vendor]()
        assert (await backend.reply(prompt())).raw == "[[A]]"
        await backend.close()
    content: list[dict[str, Any]] = bodies[0]["messages"][-1]["content"]
    return content


@pytest.mark.parametrize("vendor", ["openai", "vllm", "anthropic"])
async def test_an_image_is_sent_between_the_texts_around_it(vendor: str) -> None:
    """As an image_url with a data URL, or as a block with base64."""
    before, image, after = await _sent(vendor)

    assert before["text"].endswith("image/png, 4 bytes\n")
    assert after["text"].startswith("\n<<<end ")
    assert image == (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}}
        if vendor == "anthropic"
        else {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}
    )


async def test_a_batch_has_the_same_body() -> None:
    """Images are in the file that is uploaded."""
    async with serving_provider(provider := Provider(lambda _: "[[A]]")) as url:
        backend = OpenAI("gpt-4o", Endpoint(url, KEY))
        await backend.submit([BatchItem("c", prompt())], "mark")
        await backend.close()

    assert "data:image/png;base64,iVBORw==" in json.dumps([str(batch.__dict__) for batch in provider.batches])


@pytest.mark.parametrize(
    ("can", "takes"),
    [
        (openai.capabilities("gpt-4o-mini"), True),
        (openai.capabilities("openai/gpt-5.1"), True),
        (openai.capabilities("gpt-6"), True),
        (openai.capabilities("gpt-4.1"), True),
        (openai.capabilities("o3"), True),
        (openai.capabilities("gpt-3.5-turbo"), False),
        (openai.capabilities("gpt-4"), False),
        (openai.capabilities("o1-mini"), False),
        (openai.capabilities("o3-mini"), False),
        (openai.capabilities("my-deployment", strict=True), False),
        (anthropic.capabilities("claude-sonnet-4-5"), True),
        (vllm.capabilities("m"), False),
    ],
)
def test_the_name_of_a_model_tells_whether_it_takes_images(can: Capabilities, *, takes: bool) -> None:
    """The configuration can override it."""
    assert can.images is takes


async def test_a_judge_that_takes_no_images_is_not_called() -> None:
    """The presentation ends as rejected, with the reason and what to do."""
    backend = Scripted(["[[A]]"])

    settled = await judge_comparison(at_work(JudgeCard(DEFINITION), backend), WORK, 1, SystemClock())

    assert (backend.calls, settled.state) == (0, ItemState.REJECTED)
    assert settled.reason == (
        "judge 'j' takes no images, and the presentation has 1. "
        "If its model does take them, add capabilities = { images = true }"
    )


async def test_a_judge_that_takes_images_is_called() -> None:
    """With the image in its prompt."""
    backend = Scripted(["[[A]]"], capabilities=Capabilities(images=True))

    settled = await judge_comparison(at_work(JudgeCard(DEFINITION), backend), WORK, 1, SystemClock())

    assert settled.state is None
    assert IMAGE in backend.prompts[0].messages[1].parts


async def test_a_rubric_with_images_in_its_system_message_is_refused() -> None:
    """Providers take none there, and to leave them out would change what is judged."""
    variant = RubricVariant("v", "{{ question }}", "{{ answer_a }} {{ answer_b }}", RUBRIC.variants[0].form)
    definition = JudgeDefinition(name="j", backend="scripted", rubric=Rubric("odd", (variant,)), parser="brackets/1")
    backend = Scripted(["[[A]]"], capabilities=Capabilities(images=True))

    settled = await judge_comparison(at_work(JudgeCard(definition), backend), WORK, 1, SystemClock())

    assert settled.reason == "rubric odd shows images in its system message; show them in user"


def test_an_image_counts_as_its_tokens() -> None:
    """Estimates and reservations count a fixed number; memory is that of its base64."""
    text = Shown((QUESTION.text,), SHOWN.first, SHOWN.second)

    assert characters(SHOWN) - characters(text) == 4 * IMAGE_TOKENS
    assert held_characters(SHOWN) - characters(SHOWN) == len("iVBORw==")
