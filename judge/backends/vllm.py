"""Models on a `vllm serve` server, called with plain JSON over a pool of persistent connections, without an SDK.

A choice is one constrained token with its probabilities. The server constrains a reasoned answer to its JSON schema.
The server also reports which weights it serves under the model's name; they are part of the call's fingerprint. If
that is a folder of this machine, so are its files. They are checked again from time to time, and after each new
connection, since a server that starts again with other weights must be connected to again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from judge.backends.chat import READ_CHARS, completion, parse_json, request, usage_of_error
from judge.backends.error_body import error_in
from judge.backends.failures import failure, failure_in_body, no_reply, without_secrets
from judge.backends.http import ACCEPT_ENCODING, REPLY_BYTES, Endpoint, bounded, no_answer, request_errors
from judge.backends.stated_cost import cost_in_headers
from judge.backends.weights import CHECK_SECONDS, WeightFolder, check_weights
from judge.domain.errors import CallFailed, JudgeUnusable, TransportFailed
from judge.domain.judge import Capabilities, RenderedPrompt
from judge.domain.usage import Usage
from judge.domain.verdict import Reply

_OK, _REDIRECTS = 200, 300
_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")


def capabilities(model: str) -> Capabilities:  # noqa: ARG001  # the same for all models
    """Return what vLLM supports for every model."""
    return Capabilities(temperature=True, seed=True, logprobs=True, json_schema=True, choice=True)


class Vllm:
    """The *model* that the server at *endpoint* serves under that name.

    *weights* are those that answered when the run began. Other weights under the same name are refused.
    *monotonic* is the clock, in seconds.
    """

    def __init__(
        self,
        model: str,
        endpoint: Endpoint,
        *,
        weights: str = "",
        can: Capabilities | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        import aiohttp  # noqa: PLC0415  # imported only if there is such a judge

        self._model, self._weights = model, weights
        self._monotonic, self._trusted_until = monotonic, -math.inf
        self._connections = self._checked_connections = 0
        self._checking = asyncio.Lock()
        self._folder: WeightFolder | None = None
        self._can = can or capabilities(model)
        self._secrets, self._further = endpoint.secrets, endpoint.body
        self._url = endpoint.base_url.rstrip("/")
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": "judge",
            "Accept-Encoding": ACCEPT_ENCODING,
            **endpoint.headers,
        }
        if endpoint.api_key:
            self._headers["Authorization"] = f"Bearer {endpoint.api_key}"
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=endpoint.connect_timeout_seconds, sock_read=endpoint.timeout_seconds
        )
        self._max_connections, self._proxy = endpoint.max_connections, endpoint.proxy or None
        self._session: aiohttp.ClientSession | None = None
        self._no_answer = request_errors()

    @property
    def capabilities(self) -> Capabilities:
        """What the server supports for the model."""
        return self._can

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """Return the model's reply to *prompt*, in one attempt. Raises a CallFailed."""
        await self._check()
        started = time.perf_counter()
        body = json.dumps(self._body(prompt)).encode()
        content, stated = await self._request("POST", "/chat/completions", body, prompt)
        elapsed = round((time.perf_counter() - started) * 1000)
        reply = completion(content, elapsed, prompt.choices, stated_micros=stated, prompt=prompt, secrets=self._secrets)
        # A reply is not lost because the server is too busy to name its weights. The next call asks again.
        with contextlib.suppress(TransportFailed):
            await self._check(reply.usage)
        return reply

    async def weights(self) -> str:
        """Return the root that the server reports for the model; if it is a folder of this machine, with its digest.

        Raises JudgeUnusable if the server does not serve the model, or the folder cannot be read.
        """
        content, _ = await self._request("GET", "/models", None, None)
        answer = parse_json(content)
        if (error := error_in(answer)) is not None:
            raise failure_in_body(error, secrets=self._secrets, quotes_nothing=True)
        try:
            served = {entry["id"]: entry for entry in answer["data"]}
        except (ValueError, LookupError, TypeError):
            raise no_reply("the endpoint's answer is not a list of models") from None
        if self._model not in served:
            names = without_secrets(", ".join(sorted(map(str, served)))[:READ_CHARS], self._secrets)
            raise JudgeUnusable(f"the server does not serve {self._model!r}; it serves {names or 'nothing'}")
        root = without_secrets(str(served[self._model].get("root") or self._model), self._secrets)
        return await asyncio.to_thread(self._named, root)

    def _named(self, root: str) -> str:
        """Return *root* with the digest of its files if it is a folder of this machine."""
        if urlsplit(self._url).hostname not in _THIS_MACHINE or not Path(root).is_absolute():
            return root
        if self._folder is None or self._folder.path != root:
            self._folder = WeightFolder(root)
        return self._folder.name()

    async def _check(self, usage: Usage | None = None) -> None:
        """Check that the weights are those of the run, if they may have changed since they were checked.

        *usage* is that of a reply which they gave before. Without one, the server was asked for none if this fails.
        """
        async with self._checking:
            trusted = self._monotonic() < self._trusted_until and self._connections == self._checked_connections
            if not self._weights or trusted:
                return
            until = self._monotonic() + CHECK_SECONDS
            try:
                check_weights(self._model, frozen=self._weights, now=await self.weights())
            except CallFailed as failure:
                failure.maybe_paid, failure.unsent, failure.usage = False, usage is None, usage
                raise
            self._trusted_until, self._checked_connections = until, self._connections

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _body(self, prompt: RenderedPrompt) -> dict[str, Any]:
        """Return the request's body."""
        body = request(self._model, prompt, self._can)
        if prompt.json_schema and self._can.json_schema:
            body["structured_outputs"] = {"json": json.loads(prompt.json_schema)}
        if prompt.choices and self._can.choice:
            body["structured_outputs"] = {"choice": list(prompt.choices)}
        return {**body, **self._further}

    async def _request(
        self, method: str, path: str, body: bytes | None, prompt: RenderedPrompt | None
    ) -> tuple[bytes, int]:
        """Return the content of the answer, and what its headers say that it costs, in micro-USD."""
        session = self._session or self._open_session()
        try:
            async with session.request(
                method, self._url + path, data=body, headers=self._headers, proxy=self._proxy, allow_redirects=False
            ) as response:
                status, headers = response.status, response.headers
                encoding = headers.get("Content-Encoding", "")
                chunks = bounded(response.content.iter_any(), encoding, REPLY_BYTES)
                content = b"".join([chunk async for chunk in chunks])
        except self._no_answer as error:
            raise no_answer(error) from None
        if _OK <= status < _REDIRECTS:
            return content, cost_in_headers(headers)
        lowered = {name.lower(): value for name, value in headers.items()}
        usage, bare = usage_of_error(content, lowered), body is None
        raise failure(status, content, lowered, secrets=self._secrets, prompt=prompt, quotes_nothing=bare, usage=usage)

    def _open_session(self) -> Any:  # noqa: ANN401  # aiohttp is imported where it is used
        """Create the session on the event loop that uses it."""
        import aiohttp  # noqa: PLC0415

        async def count(*_: object) -> None:  # aiohttp awaits it
            self._connections += 1

        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(count)
        connector = aiohttp.TCPConnector(limit=self._max_connections, keepalive_timeout=60)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent",),
            trace_configs=[trace],
        )
        return self._session
