"""Texts in requests that no store can keep or look up."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message

from judge.domain.errors import UNSTORABLE, InvalidInput

_ONLY_SENT: Final = "InlineComparison"
"""The message whose texts are sent to a judge and not stored."""


def check_texts(message: Message) -> None:
    """Raise InvalidInput, with the path of the field, if a text in *message* has a NUL character."""
    if path := _nul(message):
        raise InvalidInput(path, f"{path} has a NUL character, which no store can keep", reason=UNSTORABLE)


def _nul(message: Message) -> str:
    """Return the path of the first field with a NUL character, or nothing."""
    if message.DESCRIPTOR.name == _ONLY_SENT:
        return ""
    for field, value in message.ListFields():
        values = value if field.is_repeated else (value,)
        if field.type == field.TYPE_STRING and any("\0" in text for text in values):
            return str(field.name)
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for inner in map(_nul, values):
                if inner:
                    return f"{field.name}.{inner}"
    return ""
