"""Names people give: what is allowed in them, and the names of resources made of them."""

from __future__ import annotations

import re

from judge.domain.errors import InvalidInput

NAME_BYTES = 256
"""Contestants, prompts and annotators: free UTF-8 up to so many bytes."""
TEXT_BYTES = 1024 * 1024
"""A text of a prompt, an output or a reply: at most so many bytes."""
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def checked_name(field: str, name: str) -> str:
    """*name*, if it is a free name: not empty, at most 256 bytes."""
    if not name:
        raise InvalidInput(field, f"{field} is empty", reason="EMPTY_NAME")
    if len(name) * 4 > NAME_BYTES and len(name.encode()) > NAME_BYTES:
        raise InvalidInput(field, f"{field} {name[:40]!r}... is longer than {NAME_BYTES} bytes", reason="NAME_TOO_LONG")
    return name


def checked_text(field: str, text: str) -> str:
    """*text*, if it is at most 1 MiB."""
    if len(text) * 4 > TEXT_BYTES and len(text.encode()) > TEXT_BYTES:
        raise InvalidInput(field, f"{field} has more than {TEXT_BYTES} bytes", reason="TEXT_TOO_LONG")
    return text


def checked_id(field: str, name: str) -> str:
    """*name*, if it can stand in a resource name: a-z, 0-9, dot, dash, underscore, at most 63."""
    if not _ID.fullmatch(name):
        raise InvalidInput(
            field,
            f"{field} {name[:80]!r} must be 1 to 63 of a-z, 0-9, dot, dash and underscore, "
            "starting with a letter or digit",
            reason="INVALID_ID",
        )
    return name


def resource_id(collection: str, field: str, name: str) -> str:
    """The part after `COLLECTION/` of a resource *name*; InvalidInput if it is no such name."""
    head, _, tail = name.partition("/")
    if head != collection or not tail:
        raise InvalidInput(field, f"{field} {name[:80]!r} must be {collection}/NAME", reason="INVALID_NAME")
    return tail
