"""What an error body says: its status, its codes and its message, in every shape that servers send.

| shape | from |
| --- | --- |
| `{"error": {"message", "type", "param", "code"}}` | OpenAI, Azure, vLLM, SGLang, llama.cpp, DeepSeek |
| `{"error": {"code": 402, "message", "metadata": {"raw"}}}` | OpenRouter, with the words of the provider behind it |
| `{"type": "error", "error": {"type", "message"}}` | Anthropic |
| `[{"error": {"code", "message", "status"}}]` | Gemini's compatible endpoint |
| `{"error": "text"}` | Ollama, TGI, LM Studio |
| `{"message"}`, `{"msg"}`, `{"code", "message"}`, `{"object": "error", "message"}` | gateways, Mistral, DashScope |
| `{"detail": "text"}`, `{"detail": [{"msg", "loc"}]}` | FastAPI |
| `{"errors": [{"message"}]}` | Cloudflare |
| `{"base_resp": {"status_code", "status_msg"}}` | MiniMax |
| `{"error_code", "error_msg"}`, `{"fault": {"faultstring"}}` | Baidu, Apigee |
| `{"Message"}`, `{"__type", "message"}` | AWS |
| `{"type": "about:blank", "title", "status", "detail"}` | problem details (RFC 9457) |
| `{"success": false, "message"}`, `{"ok": false, "description"}`, `{"status": "error", "reason"}` | gateways |
| HTML, plain text | proxies |

Values of these fields that say that nothing failed are in no_errors.py.
Case, dashes and underscores in the names of fields do not matter.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from judge.backends.no_errors import is_error

_MESSAGES: Final = (
    *("message", "msg", "detail", "errormessage", "errormsg", "statusmsg", "errordescription", "faultstring"),
    *("title", "reason", "description"),
)
_CODES: Final = ("code", "type", "status", "errorcode")
_NUMBERS: Final = ("code", "status", "statuscode", "httpcode", "httpstatus")
_INNER: Final = ("error", "errors", "baseresp", "innererror", "response", "fault", "data", "result")
_BARE: Final = frozenset({*_MESSAGES, "errors", "baseresp", "fault", "errorcode"}) - {"title", "reason", "description"}
"""Fields that say that an object without a reply is an error."""
_FLAGS: Final = ("success", "ok", "issuccess")
"""Fields that are false in an answer that is an error."""
_FAILED_STATUSES: Final = frozenset({"error", "fail", "failed", "failure"})
_DONE_CODES: Final = frozenset({"0", "200", "ok", "success"})
"""Codes of an answer that is no error."""
_TITLE: Final = re.compile(r"<(title|h1)[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_TAG: Final = re.compile(r"<(script|style)[^>]*>.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_DEEPEST: Final = 4
"""How many error bodies within error bodies are read."""
_READ_CHARS: Final = 20_000
"""How much of a page or of a text is read."""
_LONGEST_STEP: Final = 100
_FIRST_STATUS, _LAST_STATUS = 400, 599


class ErrorBody(NamedTuple):
    """What an error body says. *status* is 0 if it names none."""

    status: int = 0
    codes: tuple[str, ...] = ()
    message: str = ""
    param: str = ""
    """The parameter that the error is about."""

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return not (self.status or self.codes or self.message)


def read_error(body: object, deep: int = 0) -> ErrorBody:
    """Return what an error *body* says: bytes, a text, or what JSON holds.

    >>> read_error({"error": {"message": "Insufficient credits", "code": 402}})
    ErrorBody(status=402, codes=(), message='Insufficient credits', param='')
    >>> read_error("<html><head><title>502 Bad Gateway</title></head></html>").message
    '502 Bad Gateway'
    """
    if deep > _DEEPEST:
        return ErrorBody()
    if isinstance(body, bytes | str):
        return _read_text(body if isinstance(body, str) else body.decode("utf-8", "replace"), deep)
    if isinstance(body, Mapping):
        return _read_object(body, deep)
    if isinstance(body, Sequence) and body:
        return read_error(body[0], deep + 1)
    return ErrorBody()


def error_in(answer: object) -> ErrorBody | None:
    """Return the error in the body of an *answer* with status 200, or None if it has none.

    >>> error_in({"choices": [], "error": None}) is None
    True
    >>> error_in({"success": False, "message": "insufficient credit"}).message
    'insufficient credit'
    """
    if isinstance(answer, Sequence) and not isinstance(answer, str | bytes) and answer:
        answer = answer[0]
    if not isinstance(answer, Mapping):
        return None
    plain = _plain(answer)
    fails = _is_marked(plain)
    if not (fails or _has_error(plain)):
        return None
    body = read_error(answer)
    return body if fails or not body.is_empty else None


def _is_marked(answer: Mapping[str, Any]) -> bool:
    """Whether a flag of an *answer* says that it is an error, even beside a reply."""
    flags = (answer.get(name) for name in _FLAGS)
    status = answer.get("status")
    return (
        any(flag is False or str(flag).lower() == "false" for flag in flags)
        or (isinstance(status, str) and status.lower() in _FAILED_STATUSES)
        or answer.get("error") is True
        or "error" in (answer.get("object"), answer.get("type"))
    )


def _has_error(answer: Mapping[str, Any]) -> bool:
    """Whether an *answer* has an error beside a reply, or instead of one."""
    has_reply = bool(answer.get("choices") or answer.get("content"))
    if any(is_error(answer.get(name), beside_reply=has_reply) for name in ("error", "errors")):
        return True
    if has_reply:
        status = answer.get("baseresp")
        return _status(answer) > 0 or (isinstance(status, Mapping) and is_error(status, beside_reply=True))
    if str(answer.get("code")).lower() in _DONE_CODES:
        return False
    return any(value for name, value in answer.items() if name in _BARE)


def _read_text(text: str, deep: int) -> ErrorBody:
    """Read an error body that is JSON, a page, or plain text."""
    text = text[:_READ_CHARS].strip()
    if text[:1] in ("{", "["):
        try:
            return read_error(json.loads(text), deep + 1)
        except (ValueError, RecursionError):
            pass
    if text.startswith("<"):
        title = _TITLE.search(text)
        text = html.unescape(_TAG.sub(" ", title[2] if title else text))
    return ErrorBody(message=" ".join(text.split()))


def _read_object(body: Mapping[str, Any], deep: int) -> ErrorBody:
    """Read an error body that is a JSON object. What an inner error says comes before what the outer one does."""
    body = _plain(body)
    inner = ErrorBody()
    for name in _INNER:
        value = body.get(name)
        if isinstance(value, Mapping | str | Sequence) and value:
            inner = _joined(inner, read_error(value, deep + 1))
    codes = tuple(str(body[name]) for name in _CODES if isinstance(body.get(name), str) and not body[name].isdigit())
    own = ErrorBody(
        status=_status(body),
        codes=tuple(code for code in codes if code and code.lower() not in _FAILED_STATUSES and ":" not in code),
        message=_message(body, deep),
        param=body["param"] if isinstance(body.get("param"), str) else "",
    )
    return _joined(inner, own)


def _plain(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return *body* with the names of its fields in lower case, without dashes and underscores."""
    plain = {str(name).lower().replace("_", "").replace("-", ""): value for name, value in body.items()}
    return {**plain, **{name: body[name] for name in body if name in plain}}


def _joined(first: ErrorBody, second: ErrorBody) -> ErrorBody:
    """Return what both say; *first* where they differ."""
    return ErrorBody(
        status=first.status or second.status,
        codes=tuple(dict.fromkeys((*first.codes, *second.codes))),
        message=first.message or second.message,
        param=first.param or second.param,
    )


def _status(body: Mapping[str, Any]) -> int:
    for name in _NUMBERS:
        value = body.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value[:9])
        if isinstance(value, int) and not isinstance(value, bool) and _FIRST_STATUS <= value <= _LAST_STATUS:
            return value
    return 0


def _message(body: Mapping[str, Any], deep: int) -> str:
    """Return the message of an object, with the words of the provider behind a router."""
    message = next((text for name in _MESSAGES if (text := _words(body.get(name), deep))), "")
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping):
        return message
    behind = read_error(metadata.get("raw"), deep + 1).message if metadata.get("raw") else ""
    reasons = metadata.get("reasons")
    reasons = ", ".join(_steps(reasons)) if isinstance(reasons, Sequence) and not isinstance(reasons, str) else ""
    return ": ".join(part for part in (message, behind, reasons) if part)


def _words(value: object, deep: int) -> str:
    """Return the words in a *value*: a text, an object with a message, or FastAPI's list of what is wrong."""
    if isinstance(value, str):
        return _read_text(value, deep).message if value.lstrip()[:1] in ("{", "[", "<") else value[:_READ_CHARS]
    if isinstance(value, Mapping):
        place = value.get("loc")
        path = ".".join(_steps(place)) if isinstance(place, Sequence) and not isinstance(place, str) else ""
        words = read_error({name: each for name, each in value.items() if name != "type"}, deep + 1).message
        return f"{path}: {words}" if path and words else words
    if isinstance(value, Sequence) and not isinstance(value, bytes) and deep <= _DEEPEST:
        return "; ".join(words for each in value[:3] if (words := _words(each, deep + 1)))
    return ""


def _steps(values: Sequence[object]) -> list[str]:
    """Return the texts and numbers among *values*."""
    return [str(value)[:_LONGEST_STEP] for value in values if isinstance(value, str | int)]
