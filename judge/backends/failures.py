"""The table from what a provider answers instead of a reply to our errors, and the messages of those errors.

The status decides, and before it the provider's codes and phrases. An error in the body of an answer with status 200 is
read by the same table. Messages contain the provider's words, but no secrets and no judged texts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from judge.backends.delays import delay_in_headers, delay_in_words, delay_of_limits
from judge.backends.error_body import ErrorBody, read_error
from judge.domain.errors import CallFailed, CallRejected, JudgeUnusable, PromptTooLong, TransportFailed
from judge.domain.judge import RenderedPrompt
from judge.domain.messages import turn_texts
from judge.domain.usage import Usage

_MESSAGE_CHARS: Final = 200
_QUOTED_CHARS: Final = 40
"""A provider's message that shares this many characters in a row with a judged text quotes it."""
_NEARLY, _LONG = 12, 16
"""As many characters at the beginning or the end of a long secret are hidden with the rest of their word."""
_LOOKED_AT: Final = 2_000
"""How many characters of a message are searched for quotations."""
_SHORTEST_QUOTE: Final = 16
"""A judged text that is shorter than this may stand in a message by chance."""
CODES: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "failed_precondition": 400,
    "badrequesterror": 400,
    "authentication_error": 401,
    "unauthenticated": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "insufficient_quota": 402,
    "insufficient_credits": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "not_found": 404,
    "notfounderror": 404,
    "model_not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "too_many_requests": 429,
    "api_error": 500,
    "server_error": 500,
    "internal": 500,
    "internal_server_error": 500,
    "unavailable": 503,
    "timeout_error": 504,
    "deadline_exceeded": 504,
    "overloaded_error": 529,
    "validationexception": 400,
    "accessdeniedexception": 403,
    "throttlingexception": 429,
    "modelnotreadyexception": 503,
}
"""The status that a code stands for, where a body names no status: results of batches, and errors with status 200."""
_UNUSABLE_CODES: Final = frozenset(
    {"model_not_found", "invalid_api_key", "insufficient_quota", "billing_hard_limit_reached", "billing_error"}
)
_UNUSABLE_WORDS: Final = (
    *("credit balance is too low", "insufficient credit", "insufficient balance", "insufficient_balance"),
    *("insufficient fund", "insufficient account balance", "insufficient quota", "not enough credit", "out of credit"),
    *("account balance is not enough", "billing hard limit", "余额不足", "账户欠费", "账号已欠费"),
    *("api key not valid", "invalid api key", "incorrect api key", "api_key_invalid", "not authenticated"),
    *("is not a valid model id", "model not found", "model does not exist", "unknown model"),
)
"""Phrases about the account, the key or the model. They do not count in a message that quotes a judged text."""
_STATUS_WORDS: Final = (
    (
        429,
        re.compile(
            r"rate.?limit|too (?:many requests|frequent)|throttl|\bqps\b|per[ _-]?(?:min|sec|day)|请求过于频繁|限流"
        ),
    ),
    (402, re.compile(r"\b(?:credits?|quota|balance|billing|payment|arrears|overdue)\b|余额|欠费|额度")),
    (
        401,
        re.compile(r"unauthori[sz]ed|authenticat|api.?key|invalid token|access denied|forbidden|permission|鉴权|密钥"),
    ),
    (404, re.compile(r"model.{0,60}(?:not found|not exist|unknown|invalid)|no such model|模型不存在")),
    (400, re.compile(r"(?:bad|invalid|malformed) (?:request|parameter|argument)|参数错误")),
)
"""The status that an error in the body of a 200 stands for by its words, if it names neither a status nor a code."""
_FILTER_CODES: Final = frozenset(
    {"content_filter", "content_policy_violation", "responsibleaipolicyviolation", "moderation_blocked"}
    | {"data_inspection_failed", "datainspectionfailed", "invalid_prompt", "content_blocked"}
)
_FILTER_WORDS: Final = (
    *("was flagged", "been flagged", "requires moderation", "content management policy", "content policy"),
    *("content filter", "safety system", "usage policies", "inappropriate content", "prohibited content"),
)
"""Phrases of a moderation, which refuses this input and no other."""
_TOO_LONG_CODES: Final = frozenset(
    {"context_length_exceeded", "string_above_max_length", "max_tokens_exceeded", "exceed_context_size_error"}
    | {"request_too_large", "context_window_exceeded", "prompt_too_long", "contextwindowexceedederror"}
)
_TOO_LARGE: Final = "request too large"
_TOO_LONG_WORDS: Final = (
    *("maximum context length", "context length exceeded", "exceeds the context length", "exceed context limit"),
    *("exceeds maximum context length", "maximum model length", "max_model_len", "prompt is too long"),
    *("available context size", "exceeds the context size", "exceeds the context window", "context window exceed"),
    *("exceed the context window", "input token count", "maximum number of tokens allowed", "maximum prompt length"),
    *("input is too long", "input too long", "longer than the model's context length", "the context overflows"),
    *("greater than the context length", "maximum allowed length", "range of input length", "too many tokens"),
    *("reduce the length of the", "exceeded model token limit", "exceeds the model's maximum", "inputs` tokens +"),
    *("context size has been exceeded", _TOO_LARGE, "longer than the maximum", "prompt too long"),
    *("max context size", "context size exceeded", "context length of only", "`inputs` must have less than"),
    *("contextwindowexceeded", "tokens in the prompt exceed", "exceed max message tokens", "exceed max_seq_len"),
    *("maximum sequence length", "token limit exceeded", "exceeds the token limit", "exceeds max length"),
    *("exceeds the maximum number of tokens", "prompt exceeds", "too many input tokens", "context overflow"),
)
"""Phrases by which servers report that a prompt is too long: OpenAI, Azure, OpenRouter, Anthropic, vLLM, SGLang,
llama.cpp, LM Studio, Ollama, Gemini, xAI, Groq, Mistral, DashScope, TGI, Bedrock, Moonshot and Cohere."""
_REFUSED_CODES: Final = frozenset({"invalid_request_error", "badrequesterror", "invalid_argument"})
_SETTINGS: Final[Mapping[str, str]] = {
    "effort": "another effort, or none,",
    "thinking": "no effort",
    "temperature": "capabilities = { temperature = false }",
    "seed": "capabilities = { seed = false }",
    "top_logprobs": "capabilities = { logprobs = false }",
    "logprobs": "capabilities = { logprobs = false }",
    "response_format": "capabilities = { json_schema = false }",
    "json_schema": "capabilities = { json_schema = false }",
    "output_config": "capabilities = { json_schema = false }",
    "structured_outputs": "capabilities = { json_schema = false, choice = false }",
    "reasoning_effort": "no effort",
    "max_completion_tokens": "legacy_max_tokens = true",
    "max_tokens": "legacy_max_tokens = false",
}
"""The setting that stops a parameter from being sent, for a provider that rejects it by name."""
_UNSUPPORTED: Final = re.compile(
    r"unsupported|not support|unknown|unrecognized|not permitted|not allowed|unexpected|extra (?:inputs|fields)"
    r"|deprecated|only .{0,40}(?:allowed|supported|default)|input should be",
    re.IGNORECASE,
)
_BY_STATUS: Final[Mapping[int, type[CallFailed]]] = {
    401: JudgeUnusable,
    402: JudgeUnusable,
    403: JudgeUnusable,
    404: JudgeUnusable,
    405: JudgeUnusable,
    408: TransportFailed,
    409: TransportFailed,
    410: JudgeUnusable,
    413: PromptTooLong,
    421: TransportFailed,
    424: TransportFailed,
    425: TransportFailed,
    429: TransportFailed,
    498: TransportFailed,
    499: TransportFailed,
}
_NEVER: Final = frozenset({501, 505})
"""Statuses of 500 and more by which a server says that it will never do this."""
_DAILY: Final = re.compile(r"per[ _-]?day|\b(?:rpd|tpd|daily)\b", re.IGNORECASE)
"""How providers name a quota that is renewed once a day: OpenAI, Groq, Gemini (PerDay), OpenRouter, Mistral."""
DAILY_REST: Final = 600.0
"""Seconds between two calls while a daily quota is used up and the provider does not say for how long."""
_OK, _REDIRECTS, _CLIENT_ERRORS, _TOO_MANY, _SERVER_ERRORS = 200, 300, 400, 429, 500


def failure(
    status: int,
    body: object,
    headers: Mapping[str, str],
    *,
    secrets: Sequence[str] = (),
    prompt: RenderedPrompt | None = None,
    quotes_nothing: bool = False,
    usage: Usage | None = None,
) -> CallFailed:
    """Return our error for an answer with an error, given its HTTP *status*, *body* and *headers*.

    This is the only place that translates them. The message has the provider's code. It has the provider's words too,
    without the *secrets*, unless they quote the *prompt*; without a prompt only if the request *quotes_nothing*.
    *usage* is what the call used all the same.
    """
    if _REDIRECTS <= status < _CLIENT_ERRORS:
        return JudgeUnusable(
            f"the endpoint answered {status}, a redirect, which is not followed to protect the API key. "
            "Set base_url to the final address",
            usage=usage,
        )
    error = body if isinstance(body, ErrorBody) else read_error(body)
    quoting = prompt is not None and quotes(error.message, prompt)
    answered = str(status)
    if status == _OK:
        status = error.status or _status_of(error, quoting=quoting)
        answered = f"HTTP 200 with error {error.status}" if error.status else "HTTP 200 with an error"
    words = "" if prompt is None and not quotes_nothing else error.message
    message = f"the endpoint answered {answered}" + _quotable(error.codes, words, secrets, prompt) + _advice(error)
    kind = _kind(status, error, quoting=quoting)
    if kind is not TransportFailed:
        return kind(message, usage=usage)
    if status != _TOO_MANY:
        return TransportFailed(message, retry_after=delay_in_headers(headers), usage=usage)
    rest, daily = _rest(error, headers)
    message = f"a daily quota is used up: {message}" if daily else message
    return TransportFailed(message, retry_after=rest, throttled=True, daily=daily, usage=usage)


def failure_in_body(error: object, **context: Any) -> CallFailed:  # noqa: ANN401  # the arguments of `failure`
    """Return our error for an *error* in the body of an answer with status 200; *context* is as in `failure`."""
    return failure(_OK, error, {}, **context)


def _status_of(error: ErrorBody, *, quoting: bool) -> int:
    """Return the status that an *error* without one stands for, by its codes or else its words.

    It is 500 if they are not known: such an error may pass. Words that are *quoting* a judged text do not count.
    """
    by_code = next((CODES[code.lower()] for code in error.codes if code.lower() in CODES), 0)
    words = "" if quoting else error.message.lower()
    return by_code or next((status for status, known in _STATUS_WORDS if known.search(words)), _SERVER_ERRORS)


def _kind(status: int, error: ErrorBody, *, quoting: bool) -> type[CallFailed]:
    """Return the class of our error for a *status* and what the body says.

    A message that is *quoting* a judged text does not stop the judge by its words, since they may be those of the text.
    """
    words, codes = error.message.lower(), frozenset(code.lower() for code in error.codes)
    if codes & _FILTER_CODES or (status != _TOO_MANY and any(phrase in words for phrase in _FILTER_WORDS)):
        return CallRejected
    if codes & _UNUSABLE_CODES or (not quoting and any(phrase in words for phrase in _UNUSABLE_WORDS)):
        return JudgeUnusable
    # What is too large for a rate limit will never fit, but "too many tokens" with a 429 may fit a minute later.
    phrases = (_TOO_LARGE,) if status == _TOO_MANY else _TOO_LONG_WORDS
    if status not in (401, 402, 403, 404) and (codes & _TOO_LONG_CODES or any(phrase in words for phrase in phrases)):
        return PromptTooLong
    if status >= _SERVER_ERRORS:
        if _CLIENT_ERRORS <= error.status < _SERVER_ERRORS:
            # A gateway that answers for the server behind it, which refused the request.
            return _BY_STATUS.get(error.status, CallRejected)
        return CallRejected if codes & _REFUSED_CODES or status in _NEVER else TransportFailed
    return _BY_STATUS.get(status, CallRejected)


def _rest(error: ErrorBody, headers: Mapping[str, str]) -> tuple[float | None, bool]:
    """Return how many seconds to rest after a 429, and whether a daily quota is used up.

    Without a Retry-After in *headers*, the words of the error say it, and else when the limits in them are renewed.
    """
    delays = (delay_in_headers(headers), delay_in_words(error.message), delay_of_limits(headers))
    seconds = next((delay for delay in delays if delay is not None), None)
    daily = _DAILY.search(" ".join((*error.codes, error.message))) is not None
    return DAILY_REST if daily and seconds is None else seconds, daily


def _advice(error: ErrorBody) -> str:
    """Return the setting to change if the provider rejects one optional parameter by name."""
    if not _UNSUPPORTED.search(error.message) and "unsupported" not in " ".join(error.codes):
        return ""
    places = {name: match.start() for name in _SETTINGS if (match := re.search(rf"\b{name}\b", error.message))}
    # The first parameter in the message is rejected; a later one may be what to send instead. An inner one is meant.
    named = error.param if error.param in _SETTINGS else min(places, key=lambda name: places[name], default="")
    setting = _SETTINGS.get("effort" if "output_config.effort" in error.message else named, "")
    return f". Set {setting} for this judge" if setting else ""


def _quotable(codes: Sequence[str], message: str, secrets: Sequence[str], prompt: RenderedPrompt | None) -> str:
    """Return the provider's code and message, trimmed, without the secrets and without quotations of the prompt."""
    message = " ".join(message.split())
    text = without_secrets(": ".join(part for part in (*codes[:1], message) if part), secrets)[:_MESSAGE_CHARS]
    if prompt is not None and quotes(text, prompt):
        text = codes[0][:_MESSAGE_CHARS] if codes else ""
        text = "" if any(secret in text for secret in secrets) else text
    return f": {text.rstrip('.')}" if text else ""


def without_secrets(text: str, secrets: Sequence[str]) -> str:
    """Return *text* without the *secrets*; long ones in any case, whole or nearly whole.

    >>> without_secrets("your key sk-0123456789abcdef is wrong", ["sk-0123456789abcdefg"])
    'your key *** is wrong'
    """
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
        if len(secret) >= _LONG:
            nearly = f"{re.escape(secret[:_NEARLY])}\\S*|\\S*{re.escape(secret[-_NEARLY:])}"
            text = re.sub(nearly, "***", text, flags=re.IGNORECASE)
    return text


def without_keys(reply: str, secrets: Sequence[str]) -> str:
    """Return a *reply* without the *secrets* that are long enough to be no word. Nothing else of it changes.

    >>> without_keys("I was sent sk-0123456789abcdef, so [[A]]", ["sk-0123456789abcdef", "A"])
    'I was sent ***, so [[A]]'
    """
    for secret in secrets:
        if len(secret) >= _LONG:
            reply = reply.replace(secret, "***")
    return reply


def quotes(message: str, prompt: RenderedPrompt) -> bool:
    """Whether *message* quotes a text of the *prompt*, with other white space or not.

    Only its first _LOOKED_AT characters are looked at, since no more is ever shown.
    """
    shown = prompt.shown
    texts = (*(m.content for m in prompt.messages), *turn_texts((*shown.prompt, *shown.first, *shown.second)))
    message = " ".join(message[: 2 * _LOOKED_AT].split())[:_LOOKED_AT]
    windows = {message[at : at + _QUOTED_CHARS] for at in range(len(message) - _QUOTED_CHARS + 1)}
    for text in map(_one_line, texts):
        if len(text) >= _QUOTED_CHARS:
            if text[:_QUOTED_CHARS] in message or (windows and _has_any(text, windows)):
                return True
        elif len(text) >= _SHORTEST_QUOTE and text in message:
            return True
    return False


def _has_any(text: str, windows: Collection[str]) -> bool:
    """Whether a *text* has one of the *windows*, which are of one length; in one pass."""
    return any(text[at : at + _QUOTED_CHARS] in windows for at in range(len(text) - _QUOTED_CHARS + 1))


def _one_line(text: str) -> str:
    return " ".join(text.split())


@contextmanager
def readable() -> Iterator[None]:
    """Turn any error of reading an answer, such as one nested too deeply, into that of an answer without a reply.

    A provider may send anything, and one odd answer must not end more than its own call.
    """
    try:
        yield
    except RecursionError:
        raise no_reply("the endpoint's answer cannot be read: it is nested too deeply") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise no_reply("the endpoint's answer cannot be read: it does not have the form of a reply") from None


def no_reply(message: str, usage: Usage | None = None) -> TransportFailed:
    """Return the error for an answer without a reply, such as a proxy's page. The call may have been paid."""
    return TransportFailed(message, maybe_paid=True, usage=usage)
