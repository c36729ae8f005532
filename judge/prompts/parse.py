"""What is read from a judge's reply: exactly one preference, or unreadable with the reason why. Nothing is guessed.

A parser's version goes up whenever the same text would be read differently: readings of both then stand side by side.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from judge.domain.judge import AnswerForm
from judge.domain.outcome import Preference
from judge.domain.verdict import Reading

PARSER_VERSIONS: Mapping[AnswerForm, int] = MappingProxyType({AnswerForm.BRACKETS: 1, AnswerForm.REASONED: 1})
"""The version of each answer form's parser."""

_BRACKETS = re.compile(r"\[\[(\s*(?:a|b|c|tie)\s*)\]\]", re.ASCII | re.IGNORECASE)
"""All that means to be a verdict in brackets, rightly spelled or not."""
_BRACKETED = re.compile(r"\[\[[^\[\]]{1,40}\]\]")
"""Whatever else stands in double brackets: told as the reason why there is no verdict."""
_BRACKET_PREFERENCES = {"A": Preference.FIRST, "B": Preference.SECOND, "C": Preference.TIE}
_REASONED_PREFERENCES = {"a": Preference.FIRST, "b": Preference.SECOND, "tie": Preference.TIE}
_CODE_FENCE = re.compile(r"```(?:json)?[ \t]*\r?\n(.*?)\r?\n?```", re.ASCII | re.IGNORECASE | re.DOTALL)
_REASONED_KEYS = frozenset({"critique", "verdict"})


class _Unreadable(Exception):
    """There is no verdict, or more than one; the message says which."""


def parser_name(form: AnswerForm) -> str:
    """The parser of *form* with its version, such as brackets/1."""
    return f"{form.value}/{PARSER_VERSIONS[form]}"


def parse(form: AnswerForm, raw: str) -> Reading:
    """What the parser of *form* reads from *raw*."""
    name = parser_name(form)
    try:
        preference, reason = _PARSERS[form](raw)
    except _Unreadable as unreadable:
        return Reading(name, None, str(unreadable))
    return Reading(name, preference, reason)


def _brackets(raw: str) -> tuple[Preference, str]:
    """The one verdict among [[A]], [[B]] and [[C]]; the same one may stand there more than once."""
    found = set(_BRACKETS.findall(raw))
    if not found:
        other = _BRACKETED.search(raw)
        told = f"{other[0]} is none of [[A]], [[B]] and [[C]]" if other else "[[A]], [[B]] or [[C]] is missing"
        raise _Unreadable(f"no verdict: {told}")
    if len(found) > 1:
        raise _Unreadable("several verdicts: " + ", ".join(sorted(f"[[{text}]]" for text in found)))
    verdict = found.pop()
    if verdict not in _BRACKET_PREFERENCES:
        raise _Unreadable(f"no verdict: [[{verdict}]] is none of [[A]], [[B]] and [[C]]")
    return _BRACKET_PREFERENCES[verdict], ""


def _reasoned(raw: str) -> tuple[Preference, str]:
    """The verdict of a reply that is one JSON object with a critique and a verdict, and the critique."""
    text = raw.strip()
    in_fence = _CODE_FENCE.fullmatch(text)
    answer = _json_object(in_fence[1] if in_fence else text)
    if "verdict" not in answer:
        raise _Unreadable('no verdict: the object has no key "verdict"')
    if not answer.keys() <= _REASONED_KEYS:
        raise _Unreadable('the object has keys other than "critique" and "verdict"')
    verdict, critique = answer["verdict"], answer.get("critique", "")
    if not isinstance(verdict, str) or verdict.lower() not in _REASONED_PREFERENCES:
        raise _Unreadable("no verdict: the verdict is none of A, B and tie")
    if not isinstance(critique, str):
        raise _Unreadable("the critique is not a text")
    return _REASONED_PREFERENCES[verdict.lower()], _storable(critique)


def _json_object(text: str) -> dict[str, object]:
    """*text* as one JSON object without any key twice."""
    try:
        answer = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        raise _Unreadable("the reply is not one JSON object") from None
    if not isinstance(answer, dict):
        raise _Unreadable("the reply is not one JSON object")
    return answer


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """*pairs* as a dict, if no key comes twice."""
    answer = dict(pairs)
    if len(answer) != len(pairs):
        raise _Unreadable("the reply has a key twice")
    return answer


def _storable(text: str) -> str:
    """*text* without what JSON can escape and UTF-8 or a database cannot hold: lone surrogates and NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


_PARSERS: Mapping[AnswerForm, Callable[[str], tuple[Preference, str]]] = {
    AnswerForm.BRACKETS: _brackets,
    AnswerForm.REASONED: _reasoned,
}
