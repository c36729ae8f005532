"""Chat messages of other tools as ours: the shapes of OpenAI's chat and responses, of Anthropic and of Inspect.

A message has a role, and a content that is a text or a list of parts. Thoughts are left out: they are not in what the
reader of an answer sees. Nothing is fetched, so an image that is only an address is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from judge.domain.messages import (
    ChatMessage,
    ChatTurn,
    Document,
    Image,
    Part,
    Role,
    TextPart,
    ToolCall,
    ToolResult,
    Turn,
    decoded,
    simplified,
    turn_body,
)
from judge.formats.fields import Row
from judge.formats.importing import text_id

_ROLES = {role.value: role for role in Role} | {"developer": Role.SYSTEM, "function": Role.TOOL}
_THOUGHTS = frozenset(("reasoning", "thinking", "redacted_thinking"))
"""Parts that are not in what the reader of an answer sees."""
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,", re.ASCII)
_SPELLINGS = {"image/jpg": "image/jpeg"}


def chat_turn(messages: object, role: Role) -> Turn:
    """Return a list of messages as a turn: as a text if it is a single text of *role*.

    Raises ValueError or InvalidInput for what is no message, or cannot be kept.

    >>> chat_turn([{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], Role.USER)
    'Hi'
    """
    return turn_of_messages(chat_messages(messages), role)


def turn_of_messages(messages: Sequence[ChatMessage], role: Role) -> Turn:
    """Return *messages* as a turn: as a text if they are a single text of *role*."""
    return simplified(ChatTurn(tuple(messages)), role)


def prompt_turn(prompt: object) -> Turn:
    """Return a prompt that is a text or a list of messages. Raises as `chat_turn` does."""
    return prompt if isinstance(prompt, str) else chat_turn(prompt, Role.USER)


def reply_turn(messages: Sequence[ChatMessage]) -> Turn:
    """Return what a model replied in one or more *messages*: as one text if they are only texts of the assistant."""
    parts = [part for message in messages for part in message.parts]
    if any(message.role is not Role.ASSISTANT for message in messages):
        return ChatTurn(tuple(messages))
    return turn_of_messages([ChatMessage(Role.ASSISTANT, tuple(parts or [TextPart("")]))], Role.ASSISTANT)


def turn_id(turn: Turn) -> str:
    """Return the id of a prompt of one *turn* that has none of its own."""
    return text_id(turn_key(turn))


def turn_key(turn: Turn) -> str:
    """Return the text that identifies a *turn* where a format has no ids: its own, or the JSON of its messages."""
    return turn if isinstance(turn, str) else json.dumps(turn_body(turn), sort_keys=True)


def chat_or_text(text: str) -> Turn:
    """Return a prompt that may be written as a JSON list of messages.

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
    return chat_turn(messages, Role.USER) if messages and is_chat else text


def chat_messages(messages: object) -> list[ChatMessage]:
    """Return a list of messages as ours. Raises ValueError or InvalidInput for what is none, or cannot be kept."""
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise ValueError(f"has no list of messages: {messages!r:.60}")
    return [ours for message in messages for ours in chat_message(message)]


def chat_message(row: Row) -> list[ChatMessage]:
    """Return a message as ours; as several if it mixes what is of different roles for us; none for thoughts alone."""
    kind = row.get("type")
    if kind in _THOUGHTS:
        return []
    if kind == "function_call":
        return [ChatMessage(Role.ASSISTANT, (_call(row, row),))]
    if kind == "function_call_output":
        return [ChatMessage(Role.TOOL, tuple(_result(row, row.get("output"))))]
    role = _role(row)
    content = row.get("content")
    results = isinstance(content, list) and any(_type(part) == "tool_result" for part in content)
    if role is Role.TOOL and not results:
        return [ChatMessage(role, tuple(_result(row, content)))]
    typed = [(_type(each), part) for each in _contents(content) for part in _parts(each)]
    calls = [part for call in row.get("tool_calls") or () for part in _tool_call(call)]
    if isinstance(row.get("function_call"), Mapping):
        calls.append(_call(row["function_call"], {}))
    if role is not Role.USER or not results:
        return [ChatMessage(role, (*(part for _, part in typed), *calls) or (TextPart(""),))]
    # In Anthropic's shape, a message of the user holds the results of tools, with their images after them.
    return [
        ChatMessage(Role.TOOL if is_result else Role.USER, tuple(part for _, part in group))
        for is_result, group in groupby(typed, lambda each: each[0] == "tool_result")
    ]


def _role(row: Row) -> Role:
    role = row.get("role") or "user"
    if not isinstance(role, str) or role not in _ROLES:
        raise ValueError(f"has a message of the role {role!r:.40}; the roles are {', '.join(_ROLES)}")
    return _ROLES[role]


def _contents(content: object) -> Sequence[object]:
    if content is None:
        return ()
    return content if isinstance(content, list) else (content,)


def _type(part: object) -> object:
    return part.get("type") if isinstance(part, Mapping) else None


def _parts(part: object) -> Iterable[Part]:
    """Return the parts in one of a message's content."""
    if isinstance(part, str):
        return (TextPart(part),)
    kind = _type(part)
    if kind in _THOUGHTS:
        return ()
    if isinstance(part, Mapping) and isinstance(kind, str) and kind in _READERS:
        # Arena's parts have fields for a text and for an image.
        further = (_image(part["image"]),) if kind == "text" and part.get("image") is not None else ()
        return (*_READERS[kind](part), *further)
    raise ValueError(f"has a message with a part of type {kind!r:.40}, which cannot be kept")


def _text_of(part: Row, name: str) -> str:
    value = part.get(name)
    if not isinstance(value, str):
        message = f"has a message with a part of type {part.get('type')!r:.40} whose {name} is no text"
        raise ValueError(message)  # noqa: TRY004  # an error of a row, as all others
    return value


def _optional(part: Row, *names: str) -> str:
    return next((str(part[name]) for name in names if part.get(name) is not None), "")


def _call(function: Row, call: Row) -> ToolCall:
    """Return a tool call: with the name and the arguments (a text or an object) of *function*, and *call*'s id."""
    arguments = next((function[name] for name in ("arguments", "input") if function.get(name) is not None), "{}")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    if not isinstance(function.get("name"), str):
        raise ValueError("has a tool call whose name is no text")  # noqa: TRY004  # as below
    return ToolCall(name=function["name"], arguments=arguments, call_id=_optional(call, "call_id", "id"))


def _tool_call(call: object) -> Iterator[Part]:
    if not isinstance(call, Mapping):
        raise ValueError(f"has an invalid tool call: {call!r:.60}")  # noqa: TRY004  # an error of a row
    function = call.get("function", call.get("custom", call))
    # Inspect has the function's name in its place.
    yield _call({**call, "name": function} if isinstance(function, str) else function, call)


def _result(row: Row, content: object) -> Iterator[Part]:
    """Yield the result of a tool: all texts of *content* as one, and then its images and documents."""
    parts = [part for each in _contents(content) for part in _parts(each)]
    texts = [part.text for part in parts if isinstance(part, TextPart) and part.text]
    name = row.get("function") if isinstance(row.get("function"), str) else row.get("name")
    yield ToolResult(
        text="\n\n".join(texts),
        call_id=_optional(row, "tool_call_id", "tool_use_id", "call_id"),
        name=name if isinstance(name, str) else "",
    )
    yield from (part for part in parts if not isinstance(part, TextPart))


def _image(url: object) -> Image:
    """Return the image in a data URL. Raises ValueError for another address."""
    address = url.get("url") if isinstance(url, Mapping) else url
    match = _DATA_URL.match(address) if isinstance(address, str) else None
    if match is None or not isinstance(address, str):
        raise ValueError(
            f"has an image at {address!r:.60}, which is not fetched: give its bytes as data:image/png;base64,..."
        )
    return Image(decoded(address[match.end() :]), _SPELLINGS.get(match[1], match[1]))


def _sourced_image(part: Row) -> Iterator[Part]:
    """Yield an image in Anthropic's shape, or in Inspect's."""
    source = part.get("source")
    if not isinstance(source, Mapping):
        yield _image(part.get("image"))
    elif source.get("type") != "base64":
        yield _image(source.get("url"))
    else:
        yield Image(decoded(_text_of(source, "data")), _text_of(source, "media_type"))


def _document(part: Row) -> Iterator[Part]:
    """Yield a document with its text: in our shape, or in Anthropic's, where it is the source."""
    source = part.get("source")
    if not isinstance(source, Mapping):
        yield Document(text=_text_of(part, "text"), title=_optional(part, "title"), source=_optional(part, "source"))
        return
    if source.get("type") not in ("text", "content"):
        raise ValueError(f"has a document of type {source.get('type')!r:.40}, of which no text is given")
    text = "\n\n".join(_texts(source.get("data", source.get("content"))))
    yield Document(text=text, title=_optional(part, "title"), source=_optional(part, "context"))


def _search_result(part: Row) -> Iterator[Part]:
    text = "\n\n".join(_texts(part.get("content")))
    yield Document(text=text, title=_optional(part, "title"), source=_optional(part, "source"))


def _texts(content: object) -> Iterator[str]:
    for part in (part for each in _contents(content) for part in _parts(each)):
        if not isinstance(part, TextPart):
            raise ValueError("has a document with a part that is no text")  # noqa: TRY004  # as above
        yield part.text


def _text(name: str) -> Callable[[Row], Iterable[Part]]:
    return lambda part: (TextPart(_text_of(part, name)),)


_READERS: Mapping[str, Callable[[Row], Iterable[Part]]] = {
    "text": _text("text"),
    "input_text": _text("text"),
    "output_text": _text("text"),
    "refusal": _text("refusal"),
    "image_url": lambda part: (_image(part.get("image_url")),),
    "input_image": lambda part: (_image(part.get("image_url")),),
    "image": _sourced_image,
    "document": _document,
    "search_result": _search_result,
    "tool_use": lambda part: (_call(part, part),),
    "tool_call": lambda part: (_call(part, part),),
    "tool_result": lambda part: _result(part, part.get("content")),
}
"""How the parts of a content become ours, by type."""


def content_text(content: object) -> str:
    r"""Return the text of a message's content, which is a text, a part, or a list of parts. Thoughts are left out.

    Raises ValueError for a part that is no text, such as an image.

    >>> content_text([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}])
    'one\n\ntwo'
    """
    parts = [part for each in _contents(content) for part in _parts(each)]
    if others := [part.block[0] for part in parts if not isinstance(part, TextPart)]:
        raise ValueError(f"has a message with a part of type {others[0]!r}; only texts can be imported")
    return "\n\n".join(part.text for part in parts if isinstance(part, TextPart) and part.text)
