"""What backends that speak HTTP share: what an error answer means in our terms, and what of it may be told.

Nothing here knows a vendor's wire. Secrets and judged texts never enter a message; the environment adds no header.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from judge.domain.errors import CallFailed, CallRejected, JudgeUnusable, PromptTooLong, TransportFailed
from judge.domain.judge import RenderedPrompt

_MESSAGE_CHARS = 200
_KEPT_HEADERS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "accept", "accept-encoding", "connection"}
)
_TOO_LONG_CODES = frozenset({"context_length_exceeded", "string_above_max_length", "max_tokens_exceeded"})
_TOO_LONG_WORDS = (
    "maximum context length",
    "context length exceeded",
    "maximum model length",
    "max_model_len",
    "prompt is too long",
    "exceed context limit",
)
"""How endpoints without error codes say that a prompt is too long."""
_UNUSABLE_CODES = frozenset(
    {"model_not_found", "invalid_api_key", "insufficient_quota", "billing_hard_limit_reached", "billing_error"}
)
_UNUSABLE_WORDS = ("credit balance is too low",)
_QUOTED_CHARS = 40
"""So many characters of a judged text in a provider's message make it a quotation."""
_BY_STATUS: Mapping[int, type[CallFailed]] = {
    401: JudgeUnusable,
    402: JudgeUnusable,
    403: JudgeUnusable,
    404: JudgeUnusable,
    408: TransportFailed,
    409: TransportFailed,
    413: PromptTooLong,
    429: TransportFailed,
}
_CLIENT_ERRORS, _TOO_MANY, _SERVER_ERRORS = 400, 429, 500


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a judge answers and with which key, which may be empty; seconds it may be silent or take to connect."""

    base_url: str
    api_key: str = field(default="", repr=False)
    timeout_seconds: float = 120.0
    connect_timeout_seconds: float = 10.0
    max_connections: int = 1000


def own_headers(headers: Mapping[str, str]) -> Callable[[Any], Awaitable[None]]:
    """A hook for an HTTP client that sends *headers* alone: no SDK's telemetry, and nothing the environment adds."""

    async def hook(request: Any) -> None:  # noqa: ANN401  # either SDK's request
        for name in list(request.headers):
            if name.lower() not in _KEPT_HEADERS:
                del request.headers[name]
        request.headers.update(headers)

    return hook


def silenced(*loggers: str) -> None:
    """Keep an SDK's *loggers* quiet, whatever the environment told it: at debug level they print what is judged."""
    for name in loggers:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def failure(
    status: int,
    body: object,
    headers: Mapping[str, str],
    *,
    secrets: Sequence[str] = (),
    prompt: RenderedPrompt | None = None,
) -> CallFailed:
    """What an answer with an error *status* means, in our terms. The one table of translation."""
    if status < _CLIENT_ERRORS:
        return JudgeUnusable(f"the endpoint answered {status}, a redirect: none is followed, our key would go along")
    code, said = _code_and_message(body)
    message = f"the endpoint answered {status}" + _told(code, said, secrets, prompt)
    kind = _kind(status, code, said)
    if kind is TransportFailed:
        return TransportFailed(message, retry_after=_retry_after(headers), throttled=status == _TOO_MANY)
    return kind(message)


def unanswered(error: BaseException, unsent: tuple[type[BaseException], ...]) -> TransportFailed:
    """What a call without an answer is: it may have been paid unless one of *unsent* is where the *error* came from."""
    # Its cause names what failed and holds neither the request nor the key.
    cause = error.__cause__ or error
    # A transport may call a connection that was cut after sending a failed connect: its own library is believed.
    sent = not any(isinstance(link, unsent) for link in _chain(error))
    return TransportFailed(f"the endpoint gave no answer: {type(cause).__name__}", maybe_paid=sent)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """*error*, and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _code_and_message(body: object) -> tuple[str, str]:
    """The code and the message of an error body: OpenAI's, Anthropic's, vLLM's, or a page's text with no code."""
    said = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(said, dict):
        codes = (said.get("code"), said.get("type"))
        code = next((code for code in codes if isinstance(code, str) and code), "")
        message = said.get("message")
        return code, message if isinstance(message, str) else ""
    return "", ""


def _told(code: str, said: str, secrets: Sequence[str], prompt: RenderedPrompt | None) -> str:
    """The provider's own code and message, trimmed, without any secret and without quotations of the prompt."""
    if prompt is None or _quotes(said, prompt):
        said = ""
    text = " ".join(": ".join(part for part in (code, said) if part).split())
    for secret in secrets:
        text = text.replace(secret, "***")
    return f": {text[:_MESSAGE_CHARS]}" if text else ""


def _quotes(told: str, prompt: RenderedPrompt) -> bool:
    """Whether *told* quotes the beginning of a message or of a judged text."""
    texts = (*(m.content for m in prompt.messages), *prompt.shown.prompt, *prompt.shown.first, *prompt.shown.second)
    return any(text[:_QUOTED_CHARS] in told for text in texts if text)


def _kind(status: int, code: str, message: str) -> type[CallFailed]:
    """Which of our errors an error status with the provider's *code* and *message* is."""
    words = message.lower()
    if code in _UNUSABLE_CODES or any(told in words for told in _UNUSABLE_WORDS):
        return JudgeUnusable
    if status == _CLIENT_ERRORS and (code in _TOO_LONG_CODES or any(told in words for told in _TOO_LONG_WORDS)):
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


def no_reply(what: str) -> TransportFailed:
    """What an answer that is none means: a proxy's page, half an answer. It may have been paid."""
    return TransportFailed(what, maybe_paid=True)


def encodable(text: str) -> str:
    """*text* without lone surrogates, which JSON can escape and UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()


def storable(text: str) -> str:
    """*text* without lone surrogates and NUL, which not every database can hold."""
    return encodable(text).replace("\0", "\N{REPLACEMENT CHARACTER}")
