"""`judge token`: create, list and revoke access tokens in the configured store, next to a server that uses it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection
from pathlib import Path

from judge.app.local import configured_store
from judge.config.settings import load
from judge.domain.token import AccessScope, Token, check_token_name, hash_token, new_token
from judge.log import events as log
from judge.ports.clock import Clock, SystemClock
from judge.ports.tokens import TokenStore
from judge.store.sql_store import SqlStore

TENANT = "default"


@contextlib.asynccontextmanager
async def configured_tokens(config_path: Path | None) -> AsyncIterator[TokenStore]:
    """Open the tokens of the configured store."""
    settings = load(config_path)
    log.configure("warning")
    store = SqlStore.open(configured_store(settings), clock=SystemClock())
    try:
        yield store
    finally:
        await store.close()


async def create_token(
    store: TokenStore, clock: Clock, name: str, *, scopes: Collection[AccessScope], seconds: float | None
) -> str:
    """Create a token that expires after some *seconds*, or never, and return it. Only its hash is stored.

    Raises InvalidInput if *name* cannot be a token's, and AlreadyExists if it ever was one's.
    """
    check_token_name(name)
    token, now = new_token(), clock.now()
    await store.add_token(
        Token(
            name=name,
            tenant=TENANT,
            hash=hash_token(token),
            scopes=frozenset(scopes),
            create_time=now,
            expire_time=None if seconds is None else now + seconds,
        )
    )
    return token


async def revoke_token(store: TokenStore, name: str) -> Token:
    """Revoke the token called *name*. Servers refuse it within a second. Raises NotFound."""
    check_token_name(name)
    return await store.revoke_token(TENANT, name)
