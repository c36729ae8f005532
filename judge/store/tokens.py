"""Access tokens in SQL. Each change takes the next revision, and two processes never take the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, insert, select, update

from judge.domain.errors import AlreadyExists, NotFound
from judge.domain.token import AccessScope, Token
from judge.ports.clock import Clock
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.interning import tenant_id


class Tokens:
    """The part of the store about access tokens."""

    _db: Connections
    _clock: Clock

    async def add_token(self, token: Token) -> None:
        """Store a new token. Raises AlreadyExists if its name was ever used in its tenant."""

        def work(c: Connection) -> None:
            owner = tenant_id(c, token.tenant)
            if c.execute(_tokens().where(s.token.c.tenant_id == owner, s.token.c.name == token.name)).first():
                message = (
                    f"there is or was a token {token.name!r}: a token has a name of its own, even when it is revoked"
                )
                raise AlreadyExists(message, reason="TOKEN_EXISTS", token=token.name)
            values = {name: getattr(token, name) for name in ("name", "hash", "create_time", "expire_time")}
            scopes = sorted(token.scopes)
            row = {**values, "tenant_id": owner, "scopes": scopes, "revision": _next_revision(c)}
            c.execute(insert(s.token).values(row))

        await self._db.write(work)

    async def revoke_token(self, tenant: str, name: str) -> Token:
        """Revoke a token from now on, and return it. It may be revoked already. Raises NotFound."""

        def work(c: Connection) -> Token:
            mine = (s.token.c.tenant_id == tenant_id(c, tenant)) & (s.token.c.name == name)
            values = {"revoke_time": self._clock.now(), "revision": _next_revision(c)}
            c.execute(update(s.token).where(mine, s.token.c.revoke_time.is_(None)).values(values))
            row = c.execute(_tokens().where(mine)).first()
            if row is None:
                raise NotFound(f"there is no token {name!r}", reason="UNKNOWN_TOKEN", token=name)
            return _token(row)

        return await self._db.write(work)

    async def tokens(self, tenant: str) -> list[Token]:
        """Return all tokens of the tenant in the order of their creation, those that are revoked or expired too."""
        query = _tokens().where(s.tenant.c.name == tenant).order_by(s.token.c.id)
        return await self._db.read(lambda c: [_token(row) for row in c.execute(query)])

    async def changed_tokens(self, after: int) -> list[Token]:
        """Return the tokens of all tenants that were created or revoked after the revision *after*."""
        query = _tokens().where(s.token.c.revision > after)
        return await self._db.read(lambda c: [_token(row) for row in c.execute(query)])

    async def note_token_uses(self, times: Mapping[bytes, float]) -> None:
        """Store when tokens, by their hashes, were last used."""
        used = update(s.token).where(s.token.c.hash == bindparam("used")).values(last_use_time=bindparam("time"))
        # All processes write in the same order, so that no two wait for each other.
        rows = [{"used": digest, "time": times[digest]} for digest in sorted(times)]
        await self._db.write(lambda c: c.execute(used, rows))


def _tokens() -> Select[Any]:
    return select(s.token, s.tenant.c.name.label("tenant")).join(s.tenant, s.tenant.c.id == s.token.c.tenant_id)


def _next_revision(c: Connection) -> int:
    return int(c.scalar(select(func.max(s.token.c.revision))) or 0) + 1


def _token(row: Any) -> Token:  # noqa: ANN401  # a row
    return Token(
        name=row.name,
        tenant=row.tenant,
        hash=bytes(row.hash),
        scopes=frozenset(AccessScope(scope) for scope in row.scopes),
        create_time=row.create_time,
        expire_time=row.expire_time,
        revoke_time=row.revoke_time,
        last_use_time=row.last_use_time,
        revision=row.revision,
    )
