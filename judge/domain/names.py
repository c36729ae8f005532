"""Names that people choose: which characters they may have, and how resource names are made of them."""

from __future__ import annotations

import re

from judge.domain.errors import InvalidInput

NAME_BYTES = 256
"""The most UTF-8 bytes in the name of a contestant, prompt or annotator."""
TEXT_BYTES = 1024 * 1024
"""The most UTF-8 bytes in a text of a prompt, an output or a reply."""
SIDES = frozenset(("response_A", "response_B", "response1", "response2", "chosen", "rejected", "left", "right"))
"""What the outputs of a pair are called if its file names no contestants. Nothing can be ranked by them."""
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def checked_name(field: str, name: str) -> str:
    """Return *name*. Raises InvalidInput if it is empty, longer than 256 bytes, or has a NUL character."""
    if not name:
        raise InvalidInput(field, f"{field} is empty", reason="EMPTY_NAME")
    if "\0" in name:
        raise InvalidInput(
            field, f"{field} {name[:40]!r} has a NUL character, which no store can keep", reason="INVALID_CHARACTER"
        )
    if len(name) * 4 > NAME_BYTES and len(name.encode()) > NAME_BYTES:
        raise InvalidInput(field, f"{field} {name[:40]!r}... is longer than {NAME_BYTES} bytes", reason="NAME_TOO_LONG")
    return name


def checked_text(field: str, text: str) -> str:
    """Return *text*. Raises InvalidInput if it is longer than 1 MiB."""
    if len(text) * 4 > TEXT_BYTES and len(text.encode()) > TEXT_BYTES:
        raise InvalidInput(field, f"{field} is longer than {TEXT_BYTES:,} bytes (1 MiB)", reason="TEXT_TOO_LONG")
    return text


def checked_id(field: str, name: str) -> str:
    """Return *name*. Raises InvalidInput if it cannot be part of a resource name."""
    if not _ID.fullmatch(name):
        raise InvalidInput(
            field,
            f"{field} {name[:80]!r} must have 1 to 63 characters: a-z, 0-9, dot, dash and underscore, "
            "beginning with a letter or digit",
            reason="INVALID_ID",
        )
    return name


def resource_id(collection: str, field: str, name: str) -> str:
    """Return the part after `COLLECTION/` of a resource *name*. Raises InvalidInput if *name* has another form."""
    head, _, tail = name.partition("/")
    if head != collection or not tail:
        raise InvalidInput(field, f"{field} {name[:80]!r} must have the form {collection}/NAME", reason="INVALID_NAME")
    return tail
