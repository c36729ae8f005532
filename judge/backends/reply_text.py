"""The text of a reply, in every form in which servers send it. Thinking is not part of it.

| form of `content` | text |
| --- | --- |
| a string | the string |
| null, missing, "" | "" |
| a list of parts | the parts of type text or output_text (or without a type), joined |
| a part of type thinking, reasoning, redacted_thinking; one marked as a thought | nothing |
| a part of type refusal, or a field `refusal` next to the content | a refusal, after the text if there is one |
| an object that is no part | the object as JSON: the server has parsed the reply |
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

_TEXT_TYPES: Final = frozenset({"text", "output_text"})


class ReplyText(NamedTuple):
    """The text of a reply, and that of a refusal if it is one."""

    text: str = ""
    refusal: str = ""

    @property
    def whole(self) -> str:
        """Both texts, the refusal last; one if they are the same."""
        return "\n\n".join(dict.fromkeys(part for part in self if part))


def read_text(message: Mapping[str, Any]) -> ReplyText:
    """Return the text and the refusal in a *message*, which may have neither.

    >>> read_text({"content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "[[A]]"}]})
    ReplyText(text='[[A]]', refusal='')
    >>> read_text({"content": None, "refusal": "I will not."})
    ReplyText(text='', refusal='I will not.')
    """
    content = message.get("content")
    parts = content if isinstance(content, Sequence) and not isinstance(content, str) else (content,)
    texts = [_part(part) for part in parts]
    refusals = [part["refusal"] for part in parts if isinstance(part, Mapping) and _is_text(part.get("refusal"))]
    if _is_text(message.get("refusal")):
        refusals.append(message["refusal"])
    return ReplyText("".join(texts), "".join(refusals))


def _part(part: object) -> str:
    """Return the text of one *part* of a content."""
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        return ""
    kind, text = part.get("type"), part.get("text")
    if "type" not in part and "text" not in part and not part.get("thought"):
        return json.dumps(part, ensure_ascii=False)
    if part.get("thought") is True or ("type" in part and kind not in _TEXT_TYPES):
        return ""
    # The older assistants' API has {"type": "text", "text": {"value": "..."}}.
    text = text.get("value") if isinstance(text, Mapping) else text
    return text if isinstance(text, str) else ""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
