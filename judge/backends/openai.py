"""OpenAI's chat completions, at OpenAI or at any endpoint that speaks the same way.

The SDK is called below its typed layer (`client.post` with a bare response), which keeps its connections and errors at
a third of the CPU. It would take addresses, keys and headers from the environment where it is not told otherwise, so it
is told everything, and a hook on the HTTP client sends our headers alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from judge.domain.errors import (
    CallFailed,
    CallRejected,
    JudgeUnusable,
    PromptTooLong,
    TransportFailed,
)
from judge.domain.judge import Capabilities, RenderedPrompt
from judge.domain.outcome import VerdictStatus
from judge.domain.verdict import Reply, Usage

if TYPE_CHECKING:
    import httpx2
    import openai

BASE_URL: Final = "https://api.openai.com/v1"
"""Where OpenAI itself answers."""
KEYLESS: Final = "none"
"""Sent as the key to an endpoint that wants none."""
_MESSAGE_CHARS = 200
_KEPT_HEADERS = frozenset({"host", "content-length", "content-type", "accept", "accept-encoding", "connection"})
_STATUSES = {"length": VerdictStatus.TRUNCATED, "content_filter": VerdictStatus.FILTERED}
_TOO_LONG_CODES = frozenset({"context_length_exceeded", "string_above_max_length", "max_tokens_exceeded"})
_TOO_LONG_WORDS = ("maximum context length", "context length exceeded", "maximum model length", "max_model_len")
"""How endpoints without error codes say that a prompt is too long."""
_UNUSABLE_CODES = frozenset({"model_not_found", "invalid_api_key"})
_QUOTED_CHARS = 40
"""So many characters of a judged text in a provider's message make it a quotation."""
_BY_STATUS: Mapping[int, type[CallFailed]] = {
    401: JudgeUnusable,
    403: JudgeUnusable,
    404: JudgeUnusable,
    408: TransportFailed,
    409: TransportFailed,
    413: PromptTooLong,
    429: TransportFailed,
}
_CLIENT_ERRORS, _SERVER_ERRORS = 400, 500


class OpenAI:
    """The *model* behind *base_url*.

    *api_key* may be empty for an endpoint that wants none. *json_schema* says whether the endpoint can hold a reasoned
    answer to its schema, *legacy_max_tokens* whether it wants the output budget as max_tokens instead of
    max_completion_tokens. *timeout_seconds* is how long a connection may be silent; the deadline of a call is kept
    around it, not here.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str = BASE_URL,
        api_key: str = "",
        organization: str = "",
        project: str = "",
        json_schema: bool = True,
        legacy_max_tokens: bool = False,
        timeout_seconds: float = 120.0,
        connect_timeout_seconds: float = 10.0,
        max_connections: int = 1000,
    ) -> None:
        # The SDK takes 0.8 s to import: whoever has no such judge does not wait for it.
        import aiohttp  # noqa: PLC0415
        import httpx2  # noqa: PLC0415
        import openai  # noqa: PLC0415

        self._model = model
        self._secrets = tuple(secret for secret in (api_key,) if secret)
        self._json_schema = json_schema
        self._budget = "max_tokens" if legacy_max_tokens else "max_completion_tokens"
        self._headers = {"Authorization": f"Bearer {api_key or KEYLESS}", "User-Agent": "judge"}
        if organization:
            self._headers["OpenAI-Organization"] = organization
        if project:
            self._headers["OpenAI-Project"] = project
        timeout = httpx2.Timeout(timeout_seconds, connect=connect_timeout_seconds, pool=None)
        http_client = openai.DefaultAioHttpClient(
            trust_env=False,
            follow_redirects=False,
            timeout=timeout,
            limits=httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
            event_hooks={"request": [self._own_headers]},
        )
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=api_key or KEYLESS,
            admin_api_key="",
            organization=organization,
            project=project,
            webhook_secret="",
            max_retries=0,
            timeout=timeout,
            default_headers={},
            default_query={},
            http_client=http_client,
        )
        self._response_type = httpx2.Response
        self._status_error = openai.APIStatusError
        self._unsent = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
        self._no_answer = (openai.APIError, httpx2.HTTPError, aiohttp.ClientError, OSError)

    @property
    def capabilities(self) -> Capabilities:
        """What chat completions take."""
        return Capabilities(temperature=True, seed=True, json_schema=self._json_schema)

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """The model's reply to *prompt*, in one attempt."""
        started = time.perf_counter()
        try:
            response = await self._client.post(
                "/chat/completions", body=self._body(prompt), cast_to=self._response_type
            )
        except self._status_error as error:
            raise self._refused(error, prompt) from None
        except self._no_answer as error:
            # Its cause names what failed and holds neither the request nor the key.
            cause = error.__cause__ or error
            # The transport calls a connection cut after sending a ConnectTimeout: what aiohttp said is believed.
            unsent = any(isinstance(link, self._unsent) for link in _chain(error))
            told = f"the endpoint gave no answer: {type(cause).__name__}"
            raise TransportFailed(told, maybe_paid=not unsent) from None
        elapsed = round((time.perf_counter() - started) * 1000)
        return _reply(response.content, elapsed)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    def _body(self, prompt: RenderedPrompt) -> dict[str, Any]:
        """The request's body."""
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": message.role, "content": _encodable(message.content)} for message in prompt.messages],
            self._budget: prompt.sampling.max_output_tokens,
        }
        if prompt.sampling.temperature is not None:
            body["temperature"] = prompt.sampling.temperature
        if prompt.sampling.seed is not None:
            body["seed"] = prompt.sampling.seed
        if prompt.json_schema and self._json_schema:
            schema = {"name": "verdict", "strict": True, "schema": json.loads(prompt.json_schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    async def _own_headers(self, request: httpx2.Request) -> None:
        """Send our headers alone: neither the SDK's telemetry nor what the environment adds."""
        for name in list(request.headers):
            if name.lower() not in _KEPT_HEADERS:
                del request.headers[name]
        request.headers.update(self._headers)

    def _refused(self, error: openai.APIStatusError, prompt: RenderedPrompt) -> CallFailed:
        """What an answer with an error status means, in our terms. The one table of translation."""
        status, code = error.status_code, error.code or ""
        if status < _CLIENT_ERRORS:
            return JudgeUnusable(
                f"the endpoint answered {status}, a redirect: none is followed, our key would go along"
            )
        message = f"the endpoint answered {status}" + self._told(error, prompt)
        kind = _kind(status, code, error.message)
        if kind is TransportFailed:
            return TransportFailed(message, retry_after=_retry_after(error.response.headers))
        return kind(message)

    def _told(self, error: openai.APIStatusError, prompt: RenderedPrompt) -> str:
        """The provider's own code and message, trimmed, without any secret and without quotations of the prompt."""
        body = error.body
        told = body.get("message") if isinstance(body, dict) else None
        if isinstance(told, str) and _quotes(told, prompt):
            told = None
        parts = [part for part in (error.code, told) if isinstance(part, str) and part]
        text = " ".join(": ".join(parts).split())
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return f": {text[:_MESSAGE_CHARS]}" if text else ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """*error*, and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _quotes(told: str, prompt: RenderedPrompt) -> bool:
    """Whether *told* quotes the beginning of a message or of a judged text."""
    texts = (*(m.content for m in prompt.messages), *prompt.shown.prompt, *prompt.shown.first, *prompt.shown.second)
    return any(text[:_QUOTED_CHARS] in told for text in texts if text)


def _kind(status: int, code: str, message: str) -> type[CallFailed]:
    """Which of our errors an error status with the provider's *code* and *message* is."""
    if code in _UNUSABLE_CODES:
        return JudgeUnusable
    if status == _CLIENT_ERRORS and (
        code in _TOO_LONG_CODES or any(words in message.lower() for words in _TOO_LONG_WORDS)
    ):
        return PromptTooLong
    if status >= _SERVER_ERRORS:
        return TransportFailed
    return _BY_STATUS.get(status, CallRejected)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """For how many seconds the provider wants to be left alone, if it says so."""
    for name, per_second in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / per_second
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        until, now = (parsedate_to_datetime(headers.get(name, "")).timestamp() for name in ("retry-after", "date"))
    except (ValueError, OverflowError):
        return None
    return max(0.0, until - now)


def _reply(content: bytes, elapsed_ms: int) -> Reply:
    """The reply in a response's *content*. Raises TransportFailed where it is none: a proxy's page, half an answer."""
    try:
        answer = json.loads(content)
        choice = answer["choices"][0]
        message = choice["message"]
        raw, refusal = message.get("content"), message.get("refusal")
        finish = choice.get("finish_reason")
        model = answer.get("model")
        usage = _usage(answer.get("usage"), elapsed_ms)
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise TransportFailed("the endpoint's answer is no chat completion", maybe_paid=True) from None
    status = _STATUSES.get(finish, VerdictStatus.OK) if isinstance(finish, str) else VerdictStatus.OK
    if isinstance(refusal, str) and refusal:
        raw, status = refusal, VerdictStatus.REFUSED
    if not isinstance(raw, str):
        if status is VerdictStatus.OK:
            raise TransportFailed("the endpoint's answer holds no text", maybe_paid=True)
        raw = ""
    return Reply(raw=_storable(raw), status=status, usage=usage, model=model if isinstance(model, str) else "")


def _usage(usage: Any, elapsed_ms: int) -> Usage:  # noqa: ANN401
    """The tokens that the provider counts, as far as it says."""
    usage = usage or {}
    details = usage.get("prompt_tokens_details") or {}
    input_tokens = int(usage.get("prompt_tokens") or 0)
    return Usage(
        input_tokens=input_tokens,
        cached_input_tokens=min(input_tokens, int(details.get("cached_tokens") or 0)),
        output_tokens=int(usage.get("completion_tokens") or 0),
        latency_ms=elapsed_ms,
    )


def _encodable(text: str) -> str:
    """*text* without lone surrogates, which JSON can escape and UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()


def _storable(text: str) -> str:
    """*text* without lone surrogates and NUL, which not every database can hold."""
    return _encodable(text).replace("\0", "\N{REPLACEMENT CHARACTER}")
