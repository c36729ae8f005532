"""The contract of a backend. A test file that has the fixtures *backend* and *form* imports these tests.

*form* is the name of a rubric. The backend answers in the form of that rubric.
"""

from __future__ import annotations

import asyncio

from judge.domain.judge import Capabilities, Sampling
from judge.domain.outcome import VerdictStatus
from judge.ports.backend import Backend
from judge.prompts.parse import own_parser, parse
from judge.prompts.rubrics import RUBRICS
from support.example_prompts import prompt

TEXTS = (("17 times 23 is 391.", "It is 411."), ("It is 411.", "17 times 23 is 391."))


async def test_a_reply_is_parsed_as_one_preference(backend: Backend, form: str) -> None:
    """A backend replies in the requested form, so the rubric's parser finds one preference."""
    reply = await backend.reply(prompt(form=form))

    assert reply.status is VerdictStatus.OK
    assert parse(own_parser(RUBRICS[form]), reply).preference is not None


async def test_capabilities_are_known(backend: Backend) -> None:
    """A backend reports its capabilities without making a call."""
    assert isinstance(backend.capabilities, Capabilities)


async def test_closing_twice_is_fine(backend: Backend, form: str) -> None:
    """Closing a backend a second time does nothing."""
    await backend.reply(prompt(form=form))

    await backend.close()
    await backend.close()


async def test_concurrent_calls_are_independent(backend: Backend, form: str) -> None:
    """Concurrent calls get the same replies as the same calls made one at a time."""
    cold = Sampling(temperature=0.0)
    prompts = [prompt(*texts, form=form, sampling=cold) for texts in TEXTS] * 10
    alone = {rendered.nonce: (await backend.reply(rendered)).raw for rendered in prompts[:2]}

    together = await asyncio.gather(*(backend.reply(rendered) for rendered in prompts))

    assert [alone[rendered.nonce] for rendered in prompts] == [reply.raw for reply in together]
