"""What the two vendors' SDKs share: each is asked below its typed layer, and told everything.

`client.post` with a bare response keeps an SDK's connections, addresses and errors at a third of its CPU. Both SDKs
would take addresses, keys, proxies and headers from the environment where they are not told otherwise.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from judge.backends.http import Endpoint, failure, own_headers, silenced, unanswered
from judge.domain.judge import RenderedPrompt

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
KEYLESS = "none"
"""Sent as the key to an endpoint that wants none."""


class Sdk:
    """The *vendor*'s *client* at *endpoint*, told *told* besides; it sends the key, *headers* and no others.

    An endpoint's time-out is how long a connection may be silent; the deadline of a call is kept around it, not here.
    """

    def __init__(
        self,
        vendor: ModuleType,
        client: Callable[..., Any],
        endpoint: Endpoint,
        *,
        headers: Mapping[str, str],
        **told: object,
    ) -> None:
        # The SDKs take 0.8 s and more to import: whoever has no such judge does not wait for them.
        import aiohttp  # noqa: PLC0415
        import httpx2  # noqa: PLC0415

        silenced(vendor.__name__, "httpx2")
        key, most = endpoint.api_key or KEYLESS, endpoint.max_connections
        timeout = httpx2.Timeout(endpoint.timeout_seconds, connect=endpoint.connect_timeout_seconds, pool=None)
        sent = {"Authorization": f"Bearer {key}", "User-Agent": "judge", **headers}
        http_client = vendor.DefaultAioHttpClient(
            trust_env=False,
            follow_redirects=False,
            timeout=timeout,
            limits=httpx2.Limits(max_connections=most, max_keepalive_connections=most),
            event_hooks={"request": [own_headers(sent)]},
        )
        self.client = client(
            base_url=endpoint.base_url,
            api_key=key,
            max_retries=0,
            timeout=timeout,
            default_headers={},
            default_query={},
            http_client=http_client,
            **told,
        )
        self._secrets = (endpoint.api_key,) if endpoint.api_key else ()
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

    async def request(self, call: Awaitable[T]) -> T:
        """What a *call* through the SDK gives. Raises a CallFailed."""
        with self._translated(None):
            return await call

    async def listed(self, page: Awaitable[Any], most: int) -> AsyncIterator[Any]:
        """What a listing gives from its first *page* on, until *most* were seen. Raises a CallFailed."""
        while True:
            found = await self.request(page)
            for one in found.data:
                yield one
            most -= len(found.data)
            if most <= 0 or not found.has_next_page():
                return
            page = found.get_next_page()

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
