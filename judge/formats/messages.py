"""The text of chat messages: their parts joined, or a refusal where a part is no text."""

from __future__ import annotations

import json
from typing import Any

from judge.formats.fields import Row

_TEXTS = frozenset(("text", "input_text", "output_text"))
_THOUGHTS = frozenset(("reasoning", "thinking"))
"""Parts that are not in what the reader of an answer sees."""


def content_text(content: object) -> str:
    r"""Return the text of a message's content, which is a text, a part, or a list of parts. Thoughts are left out.

    Raises ValueError for a part that is no text, such as an image.

    >>> content_text([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}])
    'one\n\ntwo'
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = [_part(part) for part in (content if isinstance(content, list) else [content])]
    return "\n\n".join(part for part in parts if part)


def _part(part: object) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(part, dict) and kind in _TEXTS and isinstance(part.get("text"), str):
        return str(part["text"])
    if kind in _THOUGHTS:
        return ""
    raise ValueError(f"has a message with a part of type {kind!r:.40}; only texts can be imported")


def message_text(message: Row) -> str:
    """Return the text of a message. Raises ValueError if it calls a tool or has a part that is no text."""
    if message.get("tool_calls"):
        raise ValueError("has a message that calls a tool; only texts can be imported")
    return content_text(message.get("content"))


def transcript(messages: object) -> str:
    """Return messages as one text: a single message of a user alone, several each under its role.

    Raises ValueError if they are not messages, or if one is not only text.

    >>> transcript([{"role": "user", "content": "Hi"}])
    'Hi'
    >>> print(transcript([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]))
    system: Be brief.
    <BLANKLINE>
    user: Hi
    """
    if isinstance(messages, str):
        return messages
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise ValueError(f"has no list of messages: {messages!r:.60}")
    texts = [(str(message.get("role") or "user"), message_text(message)) for message in messages]
    if len(texts) == 1 and texts[0][0] == "user":
        return texts[0][1]
    return "\n\n".join(f"{role}: {text}" for role, text in texts if text)


def chat_or_text(text: str) -> str:
    """Return a prompt that may be written as a JSON list of messages as one text.

    >>> chat_or_text('[{"role": "user", "content": "Hi"}]'), chat_or_text("[1] Hi")
    ('Hi', '[1] Hi')
    """
    if not text.lstrip().startswith("["):
        return text
    try:
        messages: Any = json.loads(text)
    except (ValueError, RecursionError):
        return text
    is_chat = isinstance(messages, list) and all(isinstance(entry, dict) and "role" in entry for entry in messages)
    return transcript(messages) if messages and is_chat else text
