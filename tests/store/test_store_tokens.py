"""Access tokens in the store."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from judge.domain.errors import AlreadyExists, NotFound
from judge.domain.token import AccessScope, Token, hash_token, new_token
from judge.store.sql_store import SqlStore
from support.clocks import StillClock

TENANT = "default"


def token(name: str, **changes: object) -> Token:
    scopes = frozenset({AccessScope.READ, AccessScope.RUN})
    made = Token(name=name, tenant=TENANT, hash=hash_token(new_token()), scopes=scopes, create_time=5.0)
    return replace(made, **changes)  # type: ignore[arg-type]  # fields of a token


async def test_a_token_is_kept_as_it_was_created(store: SqlStore) -> None:
    """All of its fields come back, with its revision."""
    made = token("ci", expire_time=9.0)

    await store.add_token(made)

    assert await store.tokens(TENANT) == [replace(made, revision=1)]
    assert await store.tokens("other") == []


async def test_each_change_has_its_revision(store: SqlStore, clock: StillClock) -> None:
    """A server that asks for later revisions gets new and revoked tokens, each once."""
    first, second = token("a"), token("b")
    await store.add_token(first)
    await store.add_token(second)
    clock.time = 2000.0

    revoked = await store.revoke_token(TENANT, "a")

    assert revoked == replace(first, revision=3, revoke_time=2000.0)
    assert [each.name for each in await store.changed_tokens(0)] in (["a", "b"], ["b", "a"])
    assert await store.changed_tokens(2) == [revoked]
    assert await store.changed_tokens(3) == []


async def test_a_token_is_revoked_once(store: SqlStore, clock: StillClock) -> None:
    """A second time changes nothing, and a token that never was is not found."""
    await store.add_token(token("a"))
    before = await store.revoke_token(TENANT, "a")
    clock.time = 3000.0

    assert await store.revoke_token(TENANT, "a") == before
    with pytest.raises(NotFound, match="no token 'b'"):
        await store.revoke_token(TENANT, "b")


async def test_a_name_is_never_used_again(store: SqlStore) -> None:
    """A name in the log always means the same token."""
    await store.add_token(token("a"))
    await store.revoke_token(TENANT, "a")

    with pytest.raises(AlreadyExists, match="there is or was a token 'a'"):
        await store.add_token(token("a"))
    await store.add_token(token("a", tenant="other"))


async def test_tokens_that_are_created_at_once_have_different_revisions(store: SqlStore) -> None:
    """Otherwise a server could miss the later one."""
    await asyncio.gather(*(store.add_token(token(f"t{n}")) for n in range(8)))

    assert {each.revision for each in await store.tokens(TENANT)} == set(range(1, 9))


async def test_the_last_use_is_no_change(store: SqlStore) -> None:
    """It is stored for each token, and no server reads its tokens again because of it."""
    made = [token("a"), token("b")]
    for each in made:
        await store.add_token(each)

    await store.note_token_uses({made[0].hash: 7.0, made[1].hash: 8.0, b"unknown": 9.0})

    assert [(each.last_use_time, each.revision) for each in await store.tokens(TENANT)] == [(7.0, 1), (8.0, 2)]
