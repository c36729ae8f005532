"""Encode and decode turns. Clients use this too, so it imports only the nouns and the API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from google.protobuf.message import Message

from judge.api.v1 import dataset_service_pb2, turn_pb2
from judge.domain.errors import InvalidInput
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
    simplified,
    turn_messages,
    turn_texts,
)

_ROLES = {
    turn_pb2.ROLE_SYSTEM: Role.SYSTEM,
    turn_pb2.ROLE_USER: Role.USER,
    turn_pb2.ROLE_ASSISTANT: Role.ASSISTANT,
    turn_pb2.ROLE_TOOL: Role.TOOL,
}
_ROLE_OF = {dataset_service_pb2.Prompt: Role.USER, dataset_service_pb2.Output: Role.ASSISTANT}
"""Whose text a turn is that has only a text."""
_NUMBERS = {role: number for number, role in _ROLES.items()}


def encode_messages(turns: Sequence[Turn], role: Role) -> list[turn_pb2.Turn]:
    """Encode *turns* as messages, texts as those of *role*; nothing if all are texts."""
    if all(isinstance(turn, str) for turn in turns):
        return []
    return [turn_pb2.Turn(messages=map(_message, turn_messages(turn, role))) for turn in turns]


def _message(message: ChatMessage) -> turn_pb2.TurnMessage:
    return turn_pb2.TurnMessage(role=_NUMBERS[message.role], parts=map(_part, message.parts))


def _part(part: Part) -> turn_pb2.MessagePart:
    match part:
        case TextPart():
            return turn_pb2.MessagePart(text=part.text)
        case ToolCall():
            call = turn_pb2.ToolCall(name=part.name, arguments=part.arguments, call_id=part.call_id)
            return turn_pb2.MessagePart(tool_call=call)
        case ToolResult():
            result = turn_pb2.ToolResult(call_id=part.call_id, name=part.name, text=part.text)
            return turn_pb2.MessagePart(tool_result=result)
        case Document():
            document = turn_pb2.Document(title=part.title, text=part.text, source=part.source)
            return turn_pb2.MessagePart(document=document)
        case Image():
            return turn_pb2.MessagePart(image=turn_pb2.Image(data=part.data, media_type=part.media_type))


def decode_turns(row: dataset_service_pb2.Prompt | dataset_service_pb2.Output) -> tuple[Turn, ...]:
    """Decode the turns of a prompt or an output: its messages, or else its texts.

    Raises InvalidInput for messages that are wrong, and if there are texts that are not those of the messages.
    """
    if not row.messages:
        return tuple(row.turns)
    turns = tuple(simplified(decode_turn(turn), _ROLE_OF[type(row)]) for turn in row.messages)
    if row.turns and tuple(row.turns) != turn_texts(turns):
        message = "turns has other texts than messages; send one of them"
        raise InvalidInput("turns", message, reason="CONTRADICTION")
    return turns


def decode_turn(turn: turn_pb2.Turn) -> ChatTurn:
    """Decode a turn of messages. Raises InvalidInput for messages that are wrong."""
    return ChatTurn(tuple(_decode_messages(turn.messages)))


def row_bytes(row: Message) -> int:
    """Return the size of a row, without the texts that repeat its messages."""
    if isinstance(row, dataset_service_pb2.Prompt | dataset_service_pb2.Output) and row.messages and row.turns:
        return row.ByteSize() - type(row)(turns=row.turns).ByteSize()
    return row.ByteSize()


def _decode_messages(messages: Iterable[turn_pb2.TurnMessage]) -> Iterable[ChatMessage]:
    for message in messages:
        if message.role not in _ROLES:
            known = ", ".join(role.name for role in Role)
            raise InvalidInput("messages.role", f"messages.role must be one of {known}", reason="INVALID_ENUM")
        yield ChatMessage(_ROLES[message.role], tuple(map(_decode_part, message.parts)))


def _decode_part(part: turn_pb2.MessagePart) -> Part:
    match part.WhichOneof("part"):
        case "text":
            return TextPart(part.text)
        case "tool_call":
            call = part.tool_call
            return ToolCall(name=call.name, arguments=call.arguments, call_id=call.call_id)
        case "tool_result":
            result = part.tool_result
            return ToolResult(text=result.text, call_id=result.call_id, name=result.name)
        case "document":
            return Document(text=part.document.text, title=part.document.title, source=part.document.source)
        case "image":
            return Image(data=part.image.data, media_type=part.image.media_type)
    raise InvalidInput("messages.parts", "a part of a message is empty", reason="MISSING_PART")
