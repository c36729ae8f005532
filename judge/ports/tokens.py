"""Access tokens in the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from judge.domain.token import Token


class TokenStore(Protocol):
    """Creates, revokes and lists tokens. A revoked token stays, so its name is never used again."""

    async def add_token(self, token: Token) -> None:
        """Store a new token. Raises AlreadyExists if its name was ever used in its tenant."""
        ...

    async def revoke_token(self, tenant: str, name: str) -> Token:
        """Revoke a token from now on, and return it. It may be revoked already. Raises NotFound."""
        ...

    async def tokens(self, tenant: str) -> list[Token]:
        """Return all tokens of the tenant in the order of their creation, those that are revoked or expired too."""
        ...

    async def changed_tokens(self, after: int) -> list[Token]:
        """Return the tokens of all tenants that were created or revoked after the revision *after*."""
        ...

    async def note_token_uses(self, times: Mapping[bytes, float]) -> None:
        """Store when tokens, by their hashes, were last used."""
        ...
