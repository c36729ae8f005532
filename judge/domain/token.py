"""Access tokens: what they look like, what they permit, and what is kept of them."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum

from judge.domain.errors import InvalidInput
from judge.domain.names import checked_id

PREFIX = "judge_"
TOKEN = re.compile(r"judge_[A-Za-z0-9_-]{43}")
"""A token: its prefix, and 256 random bits in base64."""


class AccessScope(StrEnum):
    """What a token permits. None includes another."""

    READ = "read"
    """Get, list and watch, and all reports."""
    RUN = "run"
    """Upload prompts, outputs, verdicts and comparisons; create and control runs; judge single comparisons."""
    LABEL = "label"
    """Upload labels."""
    ADMIN = "admin"
    """Delete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of a token: its name and its *hash*, never itself. Times are seconds since 1970."""

    name: str
    tenant: str
    hash: bytes = field(repr=False)
    scopes: frozenset[AccessScope]
    create_time: float
    expire_time: float | None = None
    revoke_time: float | None = None
    last_use_time: float | None = None
    revision: int = 0
    """It is raised by every change to any token but its last use, so that a server sees which tokens are new to it."""

    def expired(self, now: float) -> bool:
        """Whether the token has expired at the time *now*."""
        return self.expire_time is not None and now >= self.expire_time


def new_token() -> str:
    """Return a token of 256 random bits.

    >>> bool(TOKEN.fullmatch(new_token()))
    True
    """
    return PREFIX + secrets.token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """Return the SHA-256 of a token. A token is random, so its hash needs neither salt nor many rounds."""
    return hashlib.sha256(token.encode("ascii")).digest()


def check_token_name(name: str) -> None:
    """Raise InvalidInput unless *name* can be a token's. A token in the place of its name is not repeated."""
    if name.startswith(PREFIX):
        raise InvalidInput("name", f"the name of a token must not begin with {PREFIX}: that is how tokens begin")
    checked_id("name", name)
