"""The channel to a service."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import grpc
from grpc import aio

from judge_client.channel import AuthorizedChannel
from judge_client.connection_problems import Endpoint
from judge_client.security import Security, is_local, security_of_environment

MESSAGE_BYTES = 16 * 1024 * 1024
"""The largest message in either direction."""
OPTIONS = (("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.max_send_message_length", MESSAGE_BYTES))
NO_PROXY = ("grpc.enable_http_proxy", 0)


class Connection:
    """A channel to *address* (`HOST:PORT` or `unix:/path`), which is open inside `async with`.

    *timeout* is the deadline of a single call in seconds. Streams have none.

    With *tls*, the channel is encrypted. *ca* is the file of the authorities that the server's certificate must come
    from, and *cert* and *key* are the client's own certificate; any of them means *tls*. *credentials* are gRPC's own,
    in place of all four. The *token*, or what *token_file* holds, goes with each call. What is None comes from the
    environment: `JUDGE_TLS`, `JUDGE_CA`, `JUDGE_CERT`, `JUDGE_KEY`, `JUDGE_TOKEN`, `JUDGE_TOKEN_FILE`.

    Raises:
        ValueError: A file cannot be read, or a token would be sent in plaintext to another machine.

    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float | None = None,
        tls: bool | None = None,
        ca: str | Path | None = None,
        cert: str | Path | None = None,
        key: str | Path | None = None,
        token: str | None = None,
        token_file: str | Path | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.address = address
        self.timeout = timeout
        given = Security(tls=tls, ca=ca, cert=cert, key=key, token=token, token_file=token_file)
        security = given.or_else(security_of_environment(os.environ, address))
        self._credentials = security.credentials() if credentials is None and security.uses_tls else credentials
        self._endpoint = Endpoint(address=address, security=security if credentials is None else None)
        self._token = security.read_token()
        if self._token and self._credentials is None and not is_local(address):
            message = f"a token is not sent to {address} in plaintext: use --tls, or tls=True, or unset the token"
            raise ValueError(message)
        self._channel: aio.Channel | None = None

    @property
    def channel(self) -> aio.Channel:
        """The open channel. Raises RuntimeError outside of `async with`."""
        if self._channel is None:
            message = "the client is not open; use `async with JudgeClient(...)`"
            raise RuntimeError(message)
        return self._channel

    async def __aenter__(self) -> Self:
        # Through a proxy, a plaintext token for this machine would leave it.
        options = (*OPTIONS, NO_PROXY) if is_local(self.address) else OPTIONS
        if self._credentials is None:
            channel = aio.insecure_channel(self.address, options=options)
        else:
            channel = aio.secure_channel(self.address, self._credentials, options=options)
        self._channel = cast("aio.Channel", AuthorizedChannel(channel, self._endpoint, self._token))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()
