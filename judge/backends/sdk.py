"""What the two vendors' SDKs share: each is asked below its typed layer, and told everything.

`client.post` with a bare response keeps an SDK's connections, addresses and errors at a third of its CPU. Both SDKs
would take addresses, keys, proxies and headers from the environment where they are not told otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from judge.backends.http import failure, own_headers, silenced, unanswered
from judge.domain.judge import RenderedPrompt

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


class Sdk:
    """The *vendor*'s client, made by *make* from what every client is told, with *headers* and no others.

    *timeout_seconds* is how long a connection may be silent; the deadline of a call is kept around it, not here.
    """

    def __init__(
        self,
        vendor: ModuleType,
        make: Callable[..., Any],
        *,
        headers: Mapping[str, str],
        secrets: Sequence[str],
        timeout_seconds: float,
        connect_timeout_seconds: float,
        max_connections: int,
    ) -> None:
        # The SDKs take 0.8 s and more to import: whoever has no such judge does not wait for them.
        import aiohttp  # noqa: PLC0415
        import httpx2  # noqa: PLC0415

        silenced(vendor.__name__, "httpx2")
        timeout = httpx2.Timeout(timeout_seconds, connect=connect_timeout_seconds, pool=None)
        http_client = vendor.DefaultAioHttpClient(
            trust_env=False,
            follow_redirects=False,
            timeout=timeout,
            limits=httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
            event_hooks={"request": [own_headers(headers)]},
        )
        self.client = make(
            max_retries=0, timeout=timeout, default_headers={}, default_query={}, http_client=http_client
        )
        self._secrets = tuple(secret for secret in secrets if secret)
        self._response_type = httpx2.Response
        self._status_error = vendor.APIStatusError
        self._unsent = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
        self._no_answer = (vendor.APIError, httpx2.HTTPError, aiohttp.ClientError, OSError)

    async def post(self, path: str, body: Mapping[str, Any], prompt: RenderedPrompt) -> tuple[bytes, int]:
        """The content of the answer to one call, and the milliseconds it took. Raises a CallFailed."""
        started = time.perf_counter()
        with self._translated(prompt):
            response = await self.client.post(path, body=body, cast_to=self._response_type)
        return response.content, round((time.perf_counter() - started) * 1000)

    async def get(self, path: str) -> bytes:
        """The content behind *path*. Raises a CallFailed."""
        with self._translated(None):
            response = await self.client.get(path, cast_to=self._response_type)
        content: bytes = response.content
        return content

    async def asked(self, call: Awaitable[T]) -> T:
        """What a *call* through the SDK gives. Raises a CallFailed."""
        with self._translated(None):
            return await call

    @contextmanager
    def _translated(self, prompt: RenderedPrompt | None) -> Iterator[None]:
        try:
            yield
        except self._status_error as error:
            code = error.status_code
            raise failure(code, error.body, error.response.headers, secrets=self._secrets, prompt=prompt) from None
        except self._no_answer as error:
            raise unanswered(error, self._unsent) from None

    async def close(self) -> None:
        """Let go of connections."""
        await self.client.close()
