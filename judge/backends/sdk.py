"""The client of a vendor's SDK, used below its typed layer and configured completely.

`client.post` with a bare response keeps an SDK's connections, addresses and errors, and needs a third of the CPU of the
typed layer. Both SDKs take addresses, keys, proxies and headers from the environment unless all of them are set here.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from judge.backends.chat import usage_of_error
from judge.backends.failures import failure
from judge.backends.http import (
    REPLY_BYTES,
    RESULTS_BYTES,
    Endpoint,
    bounded,
    no_answer,
    own_headers,
    request_errors,
    silence_loggers,
)
from judge.backends.stated_cost import cost_in_headers
from judge.domain.judge import RenderedPrompt

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
KEYLESS = "none"
"""The key that is sent to an endpoint without one."""


class HttpAnswer(NamedTuple):
    """The content of an answer, how many milliseconds it took, and what its headers say that it costs, in micro-USD."""

    content: bytes
    elapsed_ms: int
    stated_micros: int


class Sdk:
    """A *client* of the *vendor*'s SDK for *endpoint*. *settings* are further arguments of the client.

    It sends the key, *headers*, and no headers of the SDK's own. The endpoint's timeout is how long a connection may be
    silent. The caller sets the deadline of a call.
    """

    def __init__(
        self,
        vendor: ModuleType,
        client: Callable[..., Any],
        endpoint: Endpoint,
        *,
        headers: Mapping[str, str],
        **settings: object,
    ) -> None:
        # Importing an SDK takes 0.8 s or more, so it is imported only if there is such a judge.
        import httpx2  # noqa: PLC0415

        silence_loggers(vendor.__name__, "httpx2")
        key, max_connections = endpoint.api_key or KEYLESS, endpoint.max_connections
        timeout = httpx2.Timeout(endpoint.timeout_seconds, connect=endpoint.connect_timeout_seconds, pool=None)
        all_headers = {"Authorization": f"Bearer {key}", "User-Agent": "judge", **headers, **endpoint.headers}
        http_client = vendor.DefaultAioHttpClient(
            trust_env=False,
            proxy=endpoint.proxy or None,
            follow_redirects=False,
            timeout=timeout,
            limits=httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
            event_hooks={"request": [own_headers(all_headers)], "response": [_bound(httpx2.AsyncByteStream)]},
        )
        self.client = client(
            base_url=endpoint.base_url,
            api_key=key,
            max_retries=0,
            timeout=timeout,
            default_headers={},
            default_query={"api-version": endpoint.api_version} if endpoint.api_version else {},
            http_client=http_client,
            **settings,
        )
        self.secrets = endpoint.secrets
        self._response_type = httpx2.Response
        self._status_error = vendor.APIStatusError
        of_sdk = (vendor.APIError, httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError)
        self._no_answer = (*of_sdk, *request_errors())

    async def post(self, path: str, body: Mapping[str, Any], prompt: RenderedPrompt) -> HttpAnswer:
        """Return the answer to one call. Raises a CallFailed."""
        started = time.perf_counter()
        with self._translate_errors(prompt):
            response = await self.client.post(path, body=body, cast_to=self._response_type)
        elapsed = round((time.perf_counter() - started) * 1000)
        return HttpAnswer(response.content, elapsed, cost_in_headers(response.headers))

    async def get(self, path: str) -> bytes:
        """Return the content at *path*. Raises a CallFailed."""
        with self._translate_errors(None):
            response = await self.client.get(path, cast_to=self._response_type)
        content: bytes = response.content
        return content

    async def request(self, call: Awaitable[T]) -> T:
        """Return the result of a *call* through the SDK. Raises a CallFailed."""
        with self._translate_errors(None):
            return await call

    async def list_items(self, first_page: Awaitable[Any], limit: int) -> AsyncIterator[Any]:
        """Yield the items of a listing page by page. Get no more pages after *limit* items. Raises a CallFailed."""
        next_page = first_page
        while True:
            page = await self.request(next_page)
            for item in page.data:
                yield item
            limit -= len(page.data)
            if limit <= 0 or not page.has_next_page():
                return
            next_page = page.get_next_page()

    @contextmanager
    def _translate_errors(self, prompt: RenderedPrompt | None) -> Iterator[None]:
        try:
            yield
        except self._status_error as error:
            code = error.status_code
            headers, body = error.response.headers, error.response.content
            usage = usage_of_error(body, headers)
            raise failure(code, body, headers, secrets=self.secrets, prompt=prompt, usage=usage) from None
        except self._no_answer as error:
            raise no_answer(error) from None

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()


def _bound(stream: type[Any]) -> Callable[[Any], Awaitable[None]]:
    """Return a hook for an HTTP client that bounds the body of each response, whose class of streams is *stream*."""

    class Bounded(stream):  # type: ignore[misc]  # a class that is imported only if there is such a judge
        def __init__(self, body: Any, encoding: str, most: int) -> None:  # noqa: ANN401  # the SDK's own
            self._body, self._encoding, self._most = body, encoding, most

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for data in bounded(aiter(self._body), self._encoding, self._most):
                yield data

        async def aclose(self) -> None:
            await self._body.aclose()

    async def hook(response: Any) -> None:  # noqa: ANN401  # either SDK's response
        most = REPLY_BYTES if response.request.method == "POST" else RESULTS_BYTES
        response.stream = Bounded(response.stream, response.headers.pop("content-encoding", ""), most)

    return hook
