"""Errors become gRPC statuses with details: the service's own errors are the caller's fault, all others are bugs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import dataset_service_pb2_grpc
from judge.domain.errors import Busy, InvalidInput, NotFound
from judge.rpc.errors import DOMAIN, ErrorInterceptor
from judge.stats.errors import Disconnected, StatisticsError
from judge_client import JudgeClient, JudgeClientError


class Servicer(dataset_service_pb2_grpc.DatasetServiceServicer):
    """Raises what it is given."""

    def __init__(self, fail: Callable[[], object]) -> None:
        self._fail = fail

    async def GetDataset(  # noqa: N802  # the name in the API
        self,
        request: pb.GetDatasetRequest,
        context: Any,  # noqa: ANN401  # grpc has no public type for it
    ) -> pb.GetDatasetResponse:
        self._fail()
        return pb.GetDatasetResponse()


async def error_of(folder: Path, fail: Callable[[], object]) -> JudgeClientError:
    """Return the error that a client gets from a server whose method raises."""
    server = grpc.aio.server(interceptors=[ErrorInterceptor()])
    servicer = Servicer(fail)  # type: ignore[abstract]  # abstract in the stubs only; grpc answers UNIMPLEMENTED
    dataset_service_pb2_grpc.add_DatasetServiceServicer_to_server(servicer, server)
    address = f"unix:{folder / 'socket'}"
    server.add_insecure_port(address)
    await server.start()
    try:
        async with JudgeClient(address) as client:
            with pytest.raises(JudgeClientError) as caught:
                await client.get_dataset("d")
    finally:
        await server.stop(None)
    return caught.value


def failing(error: Exception) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (NotFound("there is no dataset 'd'", reason="UNKNOWN_DATASET"), "NOT_FOUND", "UNKNOWN_DATASET"),
        (InvalidInput("name", "the name is empty"), "INVALID_ARGUMENT", "INVALID"),
        (Busy("512 calls are already running"), "RESOURCE_EXHAUSTED", "BUSY"),
        (StatisticsError("A weight is NaN."), "INVALID_ARGUMENT", "INVALID"),
        (Disconnected((("a",), ("b",))), "INVALID_ARGUMENT", "INVALID"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_an_error_of_ours_has_its_code_and_its_reason(
    tmp_path: Path, error: Exception, code: str, reason: str
) -> None:
    """The caller learns what was wrong with the request, by a code, a reason and a sentence."""
    received = await error_of(tmp_path, failing(error))

    assert (code, reason) == (received.code.name, received.reason)
    assert str(error).removeprefix("name: ") in str(received)


@pytest.mark.parametrize(
    "fail",
    [
        lambda: list(zip([1], [], strict=True)),
        lambda: np.linalg.inv(np.zeros((2, 2))),
        lambda: int("x"),
        lambda: 1 / 0,
        lambda: dict[str, int]()["missing"],
    ],
    ids=["zip", "numpy", "int", "division", "key"],
)
async def test_a_bug_is_internal_and_not_the_callers_fault(tmp_path: Path, fail: Callable[[], object]) -> None:
    """Any other exception is INTERNAL with an ErrorInfo, and says nothing of what happened inside."""
    received = await error_of(tmp_path, fail)

    assert ("INTERNAL", "INTERNAL") == (received.code.name, received.reason)
    assert "an unexpected error; see the server's log" in str(received)


def test_the_error_domain_is_the_apis() -> None:
    """Reasons are unique within the domain, which is the name of the API's package."""
    assert DOMAIN == "judge.api.v1"
