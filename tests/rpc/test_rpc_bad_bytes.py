"""Ten thousand drawn bodies of each request are decoded, or refused with a code that is documented."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from judge.domain.dataset import BatchResult
from judge.domain.errors import JudgeError, NotFound
from judge.domain.judge import JudgeCard, JudgeDefinition
from judge.execution.single import Single
from judge.prompts.rubrics import RUBRICS
from judge.rpc.agreements import AgreementServicer
from judge.rpc.datasets import DatasetServicer
from judge.rpc.errors import code_of
from judge.rpc.judges import JudgeServicer
from judge.rpc.rankings import RankingServicer
from judge.rpc.runs import RunServicer
from judge.rpc.texts import check_texts
from judge.stats.errors import StatisticsError
from support.fuzzed_service import REFUSALS, names
from support.request_bodies import RequestBodies, methods

BODIES, SEED = 10_000, 1
MISSING = NotFound("there is nothing here")


CARD = JudgeCard(JudgeDefinition(name="j", backend="scripted", rubric=RUBRICS["brackets"], parser="brackets/2"))


class Nothing:
    """A store, runs and computations without content: everything is missing, and what is uploaded is dropped."""

    async def revision(self, *_: object) -> int:
        return 0

    async def card(self, *_: object) -> JudgeCard:
        return CARD

    async def watch(self, *_: object) -> AsyncIterator[Any]:
        raise MISSING
        yield

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # any method
        async def call(*_: object, **__: object) -> BatchResult:
            if name.startswith("add_"):
                return BatchResult()
            raise MISSING

        return call


def servicer(method: MethodDescriptor) -> Any:  # noqa: ANN401  # one of five
    nothing: Any = Nothing()
    servicers = {
        "DatasetService": DatasetServicer(nothing),
        "RunService": RunServicer(store=nothing, runs=nothing, watcher=nothing, fits=nothing, clock=nothing),
        "JudgeService": JudgeServicer(
            store=nothing, judges=nothing, runs=nothing, single=Single(nothing, nothing, nothing)
        ),
        "RankingService": RankingServicer(nothing, nothing),
        "AgreementService": AgreementServicer(nothing, nothing, {}),
    }
    return servicers[method.containing_service.name]


async def stream(message: Message) -> AsyncIterator[Message]:
    yield message


async def answer(handler: Any, method: MethodDescriptor, message: Message) -> str:  # noqa: ANN401  # a method of a servicer
    """Return the code of the answer to *message*, as the interceptors would."""
    try:
        if not method.client_streaming:
            check_texts(message)
        reply = handler(stream(message) if method.client_streaming else message, None)
        if method.server_streaming:
            async for _ in reply:
                pass
        else:
            await reply
    except JudgeError as error:
        return code_of(error).name
    except StatisticsError:
        return "INVALID_ARGUMENT"
    return "OK"


@pytest.mark.parametrize("method", methods(), ids=lambda method: str(method.name))
async def test_every_body_is_decoded_or_refused(method: MethodDescriptor) -> None:
    """No body raises anything but an error with a documented code, and enough of them are whole messages."""
    codes: Counter[str] = Counter()
    parse = GetMessageClass(method.input_type).FromString
    handler = getattr(servicer(method), method.name)

    bodies = RequestBodies(method.input_type, seed=SEED, names=names("runs/r"), mutants=9, most=2**16)

    for body in islice(bodies, BODIES):
        try:
            message = parse(body)
        except DecodeError:
            codes["undecodable"] += 1
            continue
        codes[await answer(handler, method, message)] += 1

    assert set(codes) <= {"OK", "undecodable", *REFUSALS}
    assert 0 < codes["undecodable"] < 0.9 * BODIES
