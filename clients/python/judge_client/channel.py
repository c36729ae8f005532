"""A channel whose methods send the token and know their endpoint."""

from __future__ import annotations

from typing import Any

from grpc import aio

from judge_client.connection_problems import Endpoint


class Method:
    """A method of a service, called as gRPC's own, with *metadata* before the caller's."""

    def __init__(self, method: Any, endpoint: Endpoint, metadata: tuple[tuple[str, str], ...]) -> None:  # noqa: ANN401  # any of gRPC's four kinds
        self.endpoint = endpoint
        self._method, self._metadata = method, metadata

    def __call__(self, *requests: Any, metadata: Any = None, **options: Any) -> Any:  # noqa: ANN401  # as gRPC's own
        """Begin a call."""
        return self._method(*requests, metadata=(*self._metadata, *(metadata or ())), **options)


class AuthorizedChannel:
    """Wraps an open *channel*. Stubs are made of it as of gRPC's own."""

    def __init__(self, channel: aio.Channel, endpoint: Endpoint, token: str) -> None:
        self._channel, self._endpoint = channel, endpoint
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the channel has
        """Return an attribute of the channel. What makes a method makes one that sends the token."""
        attribute = getattr(self._channel, name)
        if not name.startswith(("unary_", "stream_")):
            return attribute
        return lambda *args, **options: Method(attribute(*args, **options), self._endpoint, self._metadata)
