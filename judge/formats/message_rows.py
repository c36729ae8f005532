"""Write turns as lists of messages in the shape of OpenAI's chat, which `messages.py` reads back as they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from judge.domain.messages import (
    ChatMessage,
    ChatTurn,
    Document,
    Image,
    Part,
    TextPart,
    ToolCall,
    ToolResult,
    Turn,
)


def message_rows(turn: ChatTurn) -> list[dict[str, Any]]:
    """Return the messages of *turn*.

    >>> from judge.domain.messages import Role
    >>> message_rows(ChatTurn((ChatMessage(Role.USER, (TextPart("Hi"),)),)))
    [{'role': 'user', 'content': 'Hi'}]
    """
    return [_row(message) for message in turn.messages]


def turn_fields(turns: Sequence[Turn]) -> dict[str, Any]:
    """Return the field of a row that has *turns*: `turns`, or `messages` if one of them is more than a text.

    >>> turn_fields(("Hi",))
    {'turns': ['Hi']}
    """
    if all(isinstance(turn, str) for turn in turns):
        return {"turns": list(turns)}
    rows = [turn if isinstance(turn, str) else message_rows(turn) for turn in turns]
    return {"messages": rows if len(rows) > 1 else rows[0]}


def _row(message: ChatMessage) -> dict[str, Any]:
    parts = message.parts
    if len(parts) == 1 and isinstance(parts[0], ToolResult):
        result = parts[0]
        name = {"name": result.name} if result.name else {}
        return {"role": "tool", "tool_call_id": result.call_id, **name, "content": result.text}
    calls = [part for part in parts if isinstance(part, ToolCall)]
    if not calls or parts[-len(calls) :] != tuple(calls):
        # Calls with texts after them keep their place among the parts.
        return {"role": message.role.value, "content": _content(parts)}
    content = _content(parts[: -len(calls)])
    return {"role": message.role.value, "content": content or None, "tool_calls": [_tool_call(call) for call in calls]}


def _content(parts: tuple[Part, ...]) -> str | list[dict[str, Any]]:
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        return parts[0].text
    return [_part(part) for part in parts]


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _part(part: Part) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case Image():
            return {"type": "image_url", "image_url": {"url": part.data_url}}
        case Document():
            given = {"title": part.title, "source": part.source}
            return {"type": "document", "text": part.text, **{name: text for name, text in given.items() if text}}
        case ToolCall():
            return {"type": "tool_call", "id": part.call_id, "name": part.name, "arguments": part.arguments}
        case ToolResult():
            name = {"name": part.name} if part.name else {}
            return {"type": "tool_result", "tool_use_id": part.call_id, **name, "content": part.text}
