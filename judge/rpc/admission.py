"""Admits a call by its access token, before its body is read, and names the caller in the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import structlog

from judge.access.tokens import CALLER, AcceptedTokens
from judge.domain.errors import JudgeError
from judge.log.events import logger
from judge.rpc.errors import abort
from judge.rpc.limits import REQUEST_ID, request_id

HEALTH = "/grpc.health.v1.Health/"
"""Probes have no token, and learn nothing but whether the server can work."""
AUTHORIZATION = "authorization"
log = logger("access")


class AdmissionInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls without a token that permits them, and leaves the others' tokens in CALLER."""

    def __init__(self, tokens: AcceptedTokens) -> None:
        self._tokens = tokens

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler, or one that refuses the call whatever its kind."""
        method = handler_call_details.method
        if not method.startswith(HEALTH):
            try:
                caller = self._tokens.accept(method, _authorization(handler_call_details.invocation_metadata))
            except JudgeError as error:
                return _refusal(error, method)
            if caller is not None:
                CALLER.set(caller)
                structlog.contextvars.bind_contextvars(caller=caller.name)
        return await continuation(handler_call_details)


def _authorization(metadata: Any) -> str | None:
    """Return the header, or what no token can be if there are several or it is not a text."""
    values = [value for key, value in metadata or () if key == AUTHORIZATION]
    if not values:
        return None
    return values[0] if len(values) == 1 and isinstance(values[0], str) else ""


def _refusal(error: JudgeError, method: str) -> grpc.RpcMethodHandler[Any, Any]:
    async def refuse(_: AsyncIterator[Any], context: Any) -> None:
        identity = request_id(context)
        context.set_trailing_metadata(((REQUEST_ID, identity),))
        log.info("call.refused", method=method, reason=error.reason, request_id=identity, **error.fields)
        await abort(context, error)

    # Neither side has to have a stream: the call ends before its body is read.
    return grpc.stream_stream_rpc_method_handler(refuse)
