"""Fields named error that say that there is none, as gateways send them with every reply.

| value of `error`, of an item of `errors`, or of a choice's `error` | meaning |
| --- | --- |
| `null`, `false`, `""`, `{}`, `[]`, `{"code": 0, "message": ""}` | none |
| `"success"`, `"ok"`, `"none"`, `"no error"`, `"0"` | none |
| `{"code": 0, "message": "success"}`, with a code of 0, 200, ok, success or none | none |
| beside a reply: a code of success with other words; a warning or notice, in its level or its first word | none |
| everything else | an error |
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

_NONE: Final = frozenset(
    {
        *("", "0", "0.0", "00000", "200", "200.0", "2xx", "ok", "success", "successful", "succeeded", "successfully"),
        *("none", "null", "nil", "false", "noerror", "noerrors", "undefined", "na", "done", "completed", "normal"),
        *("requestsuccessful", "requestsucceeded", "成功", "请求成功"),
    }
)
"""Codes and messages of no error, in lower case, without white space and punctuation."""
_PUNCTUATION: Final = re.compile(r"[\s_\-!,;:/'\"]|\.$")
_CODE_NAMES: Final = ("code", "status", "statuscode", "errorcode", "errcode", "httpcode", "type")
_MESSAGE_NAMES: Final = ("message", "msg", "detail", "errormessage", "errormsg", "statusmsg", "description", "reason")
_LEVEL_NAMES: Final = ("level", "severity", "type", "kind", "code")
_WARNING: Final = re.compile(r"\W*(?:warn|notice\b|info\b|deprecat|hint\b|debug\b)", re.IGNORECASE)


def is_error(value: object, *, beside_reply: bool) -> bool:
    """Whether the *value* of a field for errors is one. *beside_reply* says whether there is a reply too.

    >>> is_error({"code": 0, "message": "success"}, beside_reply=True)
    False
    >>> is_error(["Warning: max_tokens is deprecated"], beside_reply=True), is_error(["quota"], beside_reply=True)
    (False, True)
    """
    if isinstance(value, str):
        return not _is_none(value) and not (beside_reply and _WARNING.match(value))
    if isinstance(value, Mapping):
        return _is_error_object(value, beside_reply=beside_reply)
    if isinstance(value, Sequence):
        return any(is_error(each, beside_reply=beside_reply) for each in value)
    return value is True


def _is_error_object(value: Mapping[str, object], *, beside_reply: bool) -> bool:
    """Whether an object in the place of an error is one."""
    plain = {str(name).lower().replace("_", "").replace("-", ""): each for name, each in value.items()}
    if all(_is_none(each) for each in plain.values()):
        return False
    if beside_reply and any(_WARNING.match(str(plain.get(name) or "")) for name in _LEVEL_NAMES):
        return False
    codes = [plain[name] for name in _CODE_NAMES if plain.get(name) not in (None, "")]
    messages = [each for name in _MESSAGE_NAMES if (each := plain.get(name)) is not None]
    if not all(map(_is_none, codes)):
        return True
    if messages and all(isinstance(each, str) and _is_none(each) for each in messages):
        return False
    return not (codes and beside_reply) or any(isinstance(plain.get(name), Mapping) for name in ("error", "innererror"))


def _is_none(value: object) -> bool:
    """Whether a code, a message or another *value* says that there is no error."""
    if value is None or value is False or (isinstance(value, Mapping | Sequence) and not value):
        return True
    words = isinstance(value, str | int | float) and not isinstance(value, bool)
    return words and _PUNCTUATION.sub("", str(value)).lower() in _NONE
