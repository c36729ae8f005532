"""The contract of a backend: a test file that has the fixtures *backend* and *form* imports these tests.

*form* is the name of a rubric in whose form the backend can be made to answer.
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


async def test_a_reply_is_read_as_one_preference(backend: Backend, form: str) -> None:
    """Each backend answers in the form that is asked for."""
    reply = await backend.reply(prompt(form=form))

    assert reply.status is VerdictStatus.OK
    assert parse(own_parser(RUBRICS[form]), reply).preference is not None


async def test_capabilities_are_told(backend: Backend) -> None:
    """What a backend can do is known without a call."""
    assert isinstance(backend.capabilities, Capabilities)


async def test_closing_twice_is_fine(backend: Backend, form: str) -> None:
    """A second close does nothing."""
    await backend.reply(prompt(form=form))

    await backend.close()
    await backend.close()


async def test_concurrent_calls_are_independent(backend: Backend, form: str) -> None:
    """Many calls at once get what each would get alone."""
    cold = Sampling(temperature=0.0)
    prompts = [prompt(*texts, form=form, sampling=cold) for texts in TEXTS] * 10
    alone = {one.nonce: (await backend.reply(one)).raw for one in prompts[:2]}

    together = await asyncio.gather(*(backend.reply(one) for one in prompts))

    assert [alone[one.nonce] for one in prompts] == [reply.raw for reply in together]
