"""Turns made of messages: roles, and parts that are texts, tool calls, tool results, documents or images.

A turn of a prompt is what the model was given since its last answer, and a turn of an output is what it answered. Most
are a single text, which stands for itself: a `Turn` is a text or a `ChatTurn`. Texts keep their hashes in this way.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from itertools import groupby
from typing import Any, TypeAlias

from judge.domain.errors import InvalidInput
from judge.domain.names import checked_text

IMAGE_TOKENS = 1600
"""The tokens that an image counts for in estimates and reservations, about what one of 1,100 x 1,100 pixels uses."""
MEDIA_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""The media types of images that providers take."""


class Role(StrEnum):
    """Who speaks in a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class TextPart:
    """A text."""

    text: str

    @property
    def block(self) -> tuple[str, str]:
        """What marks the part for a reader (nothing), and its text."""
        return "", self.text


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of the tool *name*. *arguments* is the JSON text that the model wrote, valid or not."""

    name: str
    arguments: str
    call_id: str = ""

    @property
    def block(self) -> tuple[str, str]:
        """What marks the part for a reader, and its text."""
        return "tool call", f"{_title(self.name, self.call_id)}\n{self.arguments}"


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool returned for the call *call_id*. *name* may be empty."""

    text: str
    call_id: str = ""
    name: str = ""

    @property
    def block(self) -> tuple[str, str]:
        """What marks the part for a reader, and its text."""
        return "tool result", _below(_title(self.name, self.call_id), self.text)


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was retrieved for the model. *title* and *source* may be empty."""

    text: str
    title: str = ""
    source: str = ""

    @property
    def block(self) -> tuple[str, str]:
        """What marks the part for a reader, and its text."""
        return "document", _below(_title(self.title, self.source), self.text)


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its bytes, and their media type, one of MEDIA_TYPES. Raises InvalidInput for another one."""

    data: bytes
    media_type: str

    def __post_init__(self) -> None:
        if self.media_type not in MEDIA_TYPES:
            raise InvalidInput(
                "media_type",
                f"an image has the media type {self.media_type!r:.60}; use one of {', '.join(MEDIA_TYPES)}",
                reason="INVALID_MEDIA_TYPE",
            )
        if not self.data:
            raise InvalidInput("data", "an image has no bytes", reason="EMPTY_IMAGE")

    @property
    def base64(self) -> str:
        """The bytes in base64."""
        return base64.b64encode(self.data).decode()

    @property
    def data_url(self) -> str:
        """The image as an address that holds its bytes."""
        return f"data:{self.media_type};base64,{self.base64}"

    @property
    def block(self) -> tuple[str, str]:
        """What marks the part for a reader, and what stands for it in a text."""
        return "image", f"{self.media_type}, {len(self.data):,} bytes"


Part: TypeAlias = TextPart | ToolCall | ToolResult | Document | Image
_KINDS: Mapping[str, type[Part]] = {
    "text": TextPart,
    "tool_call": ToolCall,
    "tool_result": ToolResult,
    "document": Document,
    "image": Image,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def _title(title: str, further: str) -> str:
    return f"{title} ({further})" if title and further else title or further


def _below(title: str, text: str) -> str:
    return f"{title}\n{text}" if title else text


@dataclass(frozen=True, slots=True)
class ChatMessage:
    r"""A message: a role, and one or more parts. Texts that follow one another become one, joined by an empty line.

    Raises InvalidInput without parts, for a tool call by another role than assistant, for a tool result by another role
    than tool, and for a message of that role without any.

    >>> ChatMessage(Role.USER, (TextPart("Hi."), TextPart(""), TextPart("How are you?"))).parts
    (TextPart(text='Hi.\n\nHow are you?'),)
    """

    role: Role
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise InvalidInput("messages", f"a message of the {self.role} has no parts", reason="MISSING_PART")
        kinds = {type(part) for part in self.parts}
        if ToolCall in kinds and self.role is not Role.ASSISTANT:
            raise InvalidInput("messages", f"a message of the {self.role} calls a tool", reason="WRONG_ROLE")
        if (ToolResult in kinds) != (self.role is Role.TOOL):
            message = f"a message of the {self.role} has {'a' if ToolResult in kinds else 'no'} tool result"
            raise InvalidInput("messages", message, reason="WRONG_ROLE")
        if len(self.parts) > 1 and TextPart in kinds:
            object.__setattr__(self, "parts", tuple(_joined(self.parts)))


def _joined(parts: Sequence[Part]) -> Iterator[Part]:
    """Yield *parts*, texts that follow one another as one. Empty texts are left out unless there is nothing else."""
    kept = [part for part in parts if not isinstance(part, TextPart) or part.text] or parts[:1]
    for is_text, group in groupby(kept, lambda part: isinstance(part, TextPart)):
        if is_text:
            yield TextPart("\n\n".join(part.text for part in group if isinstance(part, TextPart)))
        else:
            yield from group


@dataclass(frozen=True)
class ChatTurn:
    """A turn made of messages. Raises InvalidInput without any."""

    messages: tuple[ChatMessage, ...]

    def __post_init__(self) -> None:
        if not self.messages:
            raise InvalidInput(
                "messages", "a turn has no messages; an empty text is a turn, too", reason="MISSING_TURN"
            )

    @property
    def parts(self) -> Iterator[Part]:
        """All parts of all messages."""
        return (part for message in self.messages for part in message.parts)

    @property
    def images(self) -> int:
        """How many images the turn has."""
        return sum(isinstance(part, Image) for part in self.parts)

    @cached_property
    def text(self) -> str:
        """The turn as one text, with a mark before each part that says its role and kind."""
        return "\n\n".join(_marked(message.role, *part.block) for message in self.messages for part in message.parts)


def _marked(role: Role, kind: str, text: str) -> str:
    return f"[{role}: {kind}]\n{text}" if kind else f"[{role}]\n{text}"


Turn: TypeAlias = str | ChatTurn


def turn_text(turn: Turn) -> str:
    r"""Return *turn* as one text.

    >>> call = ToolCall(name="search", arguments='{"query": "sky"}')
    >>> turn_text(ChatTurn((ChatMessage(Role.ASSISTANT, (TextPart("Let me see."), call)),)))
    '[assistant]\nLet me see.\n\n[assistant: tool call]\nsearch\n{"query": "sky"}'
    """
    return turn if isinstance(turn, str) else turn.text


def turn_texts(turns: Sequence[Turn]) -> tuple[str, ...]:
    """Return each of *turns* as one text."""
    return tuple(turn_text(turn) for turn in turns)


def images_in(turns: Sequence[Turn]) -> int:
    """Return how many images *turns* have."""
    return sum(turn.images for turn in turns if isinstance(turn, ChatTurn))


def simplified(turn: Turn, role: Role) -> Turn:
    """Return the text of a turn that is a single text of *role*, and any other turn as it is.

    >>> simplified(ChatTurn((ChatMessage(Role.USER, (TextPart("Hi"),)),)), Role.USER)
    'Hi'
    """
    if isinstance(turn, str) or len(turn.messages) != 1 or turn.messages[0].role is not role:
        return turn
    parts = turn.messages[0].parts
    return parts[0].text if len(parts) == 1 and isinstance(parts[0], TextPart) else turn


def turn_messages(turn: Turn, role: Role) -> tuple[ChatMessage, ...]:
    """Return the messages of *turn*; a text is one message of *role*."""
    return turn.messages if isinstance(turn, ChatTurn) else (ChatMessage(role, (TextPart(turn),)),)


def turn_bytes(turn: Turn) -> int:
    """Return how many bytes the texts and images of *turn* have. Raises InvalidInput for a text of more than 1 MiB."""
    if isinstance(turn, str):
        return len(checked_text("turns", turn).encode("utf-8", "replace"))
    size = 0
    for part in turn.parts:
        for value in (getattr(part, name) for name in part.__slots__):
            size += len(
                value if isinstance(value, bytes) else checked_text("messages", value).encode("utf-8", "replace")
            )
    return size


def turn_body(turn: Turn) -> Any:  # noqa: ANN401  # what JSON holds
    """Return *turn* as JSON holds it: a text, or a list of messages. Images are in base64."""
    if isinstance(turn, str):
        return turn
    return [
        {"role": message.role.value, "parts": [_part_body(part) for part in message.parts]} for message in turn.messages
    ]


def _part_body(part: Part) -> dict[str, str]:
    body = asdict(part) | {"type": _NAMES[type(part)]}
    return body | {"data": part.base64} if isinstance(part, Image) else body


def turn_of(body: Any) -> Turn:  # noqa: ANN401  # what JSON holds
    """Return the turn in a *body* that `turn_body` made."""
    if isinstance(body, str):
        return body
    return ChatTurn(
        tuple(ChatMessage(Role(message["role"]), tuple(map(_part_of, message["parts"]))) for message in body)
    )


def _part_of(body: Mapping[str, Any]) -> Part:
    fields = {name: value for name, value in body.items() if name != "type"}
    if body["type"] == "image":
        return Image(decoded(fields["data"]), fields["media_type"])
    return _KINDS[body["type"]](**fields)


def decoded(text: str) -> bytes:
    """Return the bytes of an image in base64. Raises InvalidInput if *text* is something else."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("data", "an image is not in base64", reason="INVALID_IMAGE") from None
