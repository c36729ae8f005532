"""Enum values of the API as the words that options and tables use: RANKING_METHOD_ELO_PERMUTED is "elo-permuted"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from judge.domain.errors import InvalidInput

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor
    from google.protobuf.internal.enum_type_wrapper import _EnumTypeWrapper as EnumType
    from google.protobuf.message import Message


def word(message: Message, field: str, path: str = "") -> str:
    """Return the word of the value that *message* has in an enum *field*, "" for the unspecified one.

    Raises InvalidInput, naming the field with its *path*, for a number that this release does not know.

    >>> from judge.api.v1.ranking_service_pb2 import RankingOptions
    >>> word(RankingOptions(method="RANKING_METHOD_ELO_PERMUTED"), "method")
    'elo-permuted'
    """
    kind: EnumDescriptor = message.DESCRIPTOR.fields_by_name[field].enum_type  # type: ignore[assignment]  # an enum field
    number = getattr(message, field)
    if not number:
        return ""
    if number not in kind.values_by_number:
        known = ", ".join(words(kind).values())
        raise InvalidInput(path + field, f"{path}{field} must be one of {known}, not {number}", reason="INVALID_ENUM")
    return words(kind)[kind.values_by_number[number].name]


def value(kind: EnumType[Any], spelled: str) -> Any:  # the enum's own value type
    """Return the value of a word; "" is the unspecified one. Raises ValueError for another word.

    >>> from judge.api.v1.leaderboard_pb2 import RankingMethod
    >>> value(RankingMethod, "elo-permuted")
    5
    """
    return kind.Value(_prefix(kind.DESCRIPTOR) + spelled.upper().replace("-", "_")) if spelled else 0


def words(kind: EnumDescriptor) -> dict[str, str]:
    """Return the word of each value's name, apart from the unspecified value's.

    >>> from judge.api.v1.outcome_pb2 import Order
    >>> words(Order.DESCRIPTOR)
    {'ORDER_LEFT_FIRST': 'left-first', 'ORDER_RIGHT_FIRST': 'right-first'}
    """
    prefix = _prefix(kind)
    return {
        name: name.removeprefix(prefix).lower().replace("_", "-")
        for name, member in kind.values_by_name.items()
        if member.number
    }


def _prefix(kind: EnumDescriptor) -> str:
    """Return what all names of an enum's values begin with: RANKING_METHOD_ for RankingMethod."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.name).upper() + "_"
