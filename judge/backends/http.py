"""What backends over HTTP share: the table from HTTP errors to our errors, and the messages of those errors.

Nothing here depends on one vendor's API. Messages contain no secrets and no judged texts. The environment adds no
headers.
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
"""Phrases by which endpoints without error codes report that a prompt is too long."""
_UNUSABLE_CODES = frozenset(
    {"model_not_found", "invalid_api_key", "insufficient_quota", "billing_hard_limit_reached", "billing_error"}
)
_UNUSABLE_WORDS = ("credit balance is too low",)
_QUOTED_CHARS = 40
"""A provider's message that contains this many first characters of a judged text quotes it."""
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
    """The address of a judge's API, its key (may be empty), and limits.

    *timeout_seconds* is how long a connection may be silent.
    """

    base_url: str
    api_key: str = field(default="", repr=False)
    timeout_seconds: float = 120.0
    connect_timeout_seconds: float = 10.0
    max_connections: int = 1000


def own_headers(headers: Mapping[str, str]) -> Callable[[Any], Awaitable[None]]:
    """Return a hook for an HTTP client that sends only *headers* and what HTTP itself needs.

    It removes the telemetry of SDKs and headers from the environment.
    """

    async def hook(request: Any) -> None:  # noqa: ANN401  # either SDK's request
        for name in list(request.headers):
            if name.lower() not in _KEPT_HEADERS:
                del request.headers[name]
        request.headers.update(headers)

    return hook


def silence_loggers(*loggers: str) -> None:
    """Turn an SDK's *loggers* off, whatever the environment sets: at debug level they print judged texts."""
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
    """Return our error for an answer with an error *status*. The only place that translates them.

    Its message has the provider's code and, if *prompt* is given, the provider's message, without the *secrets* and
    without texts of the prompt.
    """
    if status < _CLIENT_ERRORS:
        return JudgeUnusable(
            f"the endpoint answered {status}, a redirect, which is not followed to protect the API key. "
            "Set base_url to the final address"
        )
    code, provider_message = _code_and_message(body)
    message = f"the endpoint answered {status}" + _quotable(code, provider_message, secrets, prompt)
    kind = _kind(status, code, provider_message)
    if kind is TransportFailed:
        return TransportFailed(message, retry_after=_retry_after(headers), throttled=status == _TOO_MANY)
    return kind(message)


def no_answer(error: BaseException, unsent: tuple[type[BaseException], ...]) -> TransportFailed:
    """Return our error for a call that got no answer because of *error*.

    The call may have been paid, unless a cause of the error is one of *unsent*: then the request was never sent.
    """
    # The cause names what failed, and contains neither the request nor the key.
    cause = error.__cause__ or error
    # The HTTP client may report a connection that was cut after sending as a failed connect. So the whole chain of
    # causes is searched for an error of the library below it, which reports this correctly.
    sent = not any(isinstance(link, unsent) for link in _chain(error))
    return TransportFailed(f"the endpoint gave no answer: {type(cause).__name__}", maybe_paid=sent)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error*, and then each cause behind it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _code_and_message(body: object) -> tuple[str, str]:
    """Return the code and the message of an error body from OpenAI, Anthropic or vLLM; empty for other bodies."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        codes = (error.get("code"), error.get("type"))
        code = next((code for code in codes if isinstance(code, str) and code), "")
        message = error.get("message")
        return code, message if isinstance(message, str) else ""
    return "", ""


def _quotable(code: str, message: str, secrets: Sequence[str], prompt: RenderedPrompt | None) -> str:
    """Return the provider's code and message, trimmed, without the secrets and without quotations of the prompt."""
    if prompt is None or _quotes(message, prompt):
        message = ""
    text = " ".join(": ".join(part for part in (code, message) if part).split())
    for secret in secrets:
        text = text.replace(secret, "***")
    return f": {text[:_MESSAGE_CHARS]}" if text else ""


def _quotes(message: str, prompt: RenderedPrompt) -> bool:
    """Whether *message* quotes the beginning of a text of the prompt."""
    texts = (*(m.content for m in prompt.messages), *prompt.shown.prompt, *prompt.shown.first, *prompt.shown.second)
    return any(text[:_QUOTED_CHARS] in message for text in texts if text)


def _kind(status: int, code: str, message: str) -> type[CallFailed]:
    """Return the class of our error for an error status with the provider's *code* and *message*."""
    words = message.lower()
    if code in _UNUSABLE_CODES or any(phrase in words for phrase in _UNUSABLE_WORDS):
        return JudgeUnusable
    if status == _CLIENT_ERRORS and (code in _TOO_LONG_CODES or any(phrase in words for phrase in _TOO_LONG_WORDS)):
        return PromptTooLong
    if status >= _SERVER_ERRORS:
        return TransportFailed
    return _BY_STATUS.get(status, CallRejected)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds to wait before the next request, or None if the provider does not say."""
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


def no_reply(message: str) -> TransportFailed:
    """Return the error for an answer without a reply, such as a proxy's page. The call may have been paid."""
    return TransportFailed(message, maybe_paid=True)


def encodable(text: str) -> str:
    """Return *text* without lone surrogates, which JSON can escape but UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode()


def storable(text: str) -> str:
    """Return *text* without lone surrogates and NUL, which some databases cannot store."""
    return encodable(text).replace("\0", "\N{REPLACEMENT CHARACTER}")
