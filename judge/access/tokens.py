"""The tokens that a server accepts: the store's, as they were at most a second ago.

No call asks the store. A task reads the tokens that were created or revoked since it last looked, once a second, and
stores when tokens were last used, at most once a minute for each. If the store has not answered for STALE seconds, no
token is accepted, because any of them may be revoked by now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from judge.access.scopes import scope_of
from judge.domain.errors import JudgeError, NotPermitted, StoreAway, StoreFailed, Unauthenticated
from judge.domain.token import TOKEN, Token, hash_token
from judge.log.events import logger
from judge.ports.clock import Clock
from judge.ports.tokens import TokenStore

REFRESH = 1.0
"""Seconds between two looks at the store."""
EXPIRY = 60.0
"""Seconds between two checks whether the tokens of live streams have expired."""
USE = 60.0
"""Seconds between two times that a token's last use is stored."""
STALE = 30.0
"""Seconds without an answer of the store after which no token is accepted."""
CALLER: ContextVar[Token | None] = ContextVar("caller", default=None)
"""The token of the call in progress; None if the server requires none."""
log = logger("access")


@dataclass(slots=True)
class _Entry:
    token: Token
    used: float = 0.0
    stored: float = 0.0


class AcceptedTokens:
    """The tokens of *store*. Calls need one if it is *required*, or, with None, as soon as the store has any."""

    def __init__(self, store: TokenStore, clock: Clock, *, required: bool | None) -> None:
        self._store, self._clock, self._always = store, clock, required
        self._entries: dict[bytes, _Entry] = {}
        self._revision = 0
        self._read_at = self._checked_at = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def required(self) -> bool:
        """Whether calls need a token. Once the store has had a token, that stays so, even if all are revoked."""
        return bool(self._entries) if self._always is None else self._always

    async def start(self, check_streams: Callable[[], None]) -> None:
        """Read the tokens, and keep them fresh. *check_streams* is called when live streams may have lost theirs."""
        await self.refresh()
        self._checked_at = self._read_at
        if self.required and not self._entries:
            log.warning("tokens.missing", message="no call is accepted: create a token with `judge token create`")
        self._task = asyncio.create_task(self._keep_fresh(check_streams))

    async def close(self) -> None:
        """Stop, and store the last uses."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._store_uses(0.0)

    def accept(self, method: str, authorization: str | None) -> Token | None:
        """Return the caller's token, by the header *authorization*; None if calls need none.

        Raises:
            Unauthenticated: The token is missing, malformed, unknown, expired or revoked.
            NotPermitted: The token does not permit *method*.
            StoreAway: Tokens cannot be checked at present.

        """
        if not self.required:
            return None
        if self._clock.monotonic() - self._read_at > STALE:
            raise StoreAway("access tokens cannot be checked, because the store does not answer; try again")
        entry = self._entry(authorization)
        now = self._clock.now()
        if problem := _problem(entry.token, now):
            raise problem
        scope = scope_of(method)
        if scope is not None and scope not in entry.token.scopes:
            message = f"this method needs a token with the scope {scope}: {entry.token.name} does not have it"
            raise NotPermitted(message, scope=scope, token=entry.token.name)
        entry.used = now
        return entry.token

    def problem(self, token: Token | None) -> JudgeError | None:
        """Return why a stream that began with *token* must end by now; None if it may go on."""
        entry = None if token is None else self._entries.get(token.hash)
        return None if entry is None else _problem(entry.token, self._clock.now())

    async def refresh(self) -> bool:
        """Read the tokens that are new or revoked. Return whether there were any."""
        changed = await self._store.changed_tokens(self._revision)
        for token in changed:
            known = self._entries.get(token.hash)
            used = known.used if known else 0.0
            self._entries[token.hash] = _Entry(token, used, token.last_use_time or 0.0)
            self._revision = max(self._revision, token.revision)
        self._read_at = self._clock.monotonic()
        return bool(changed)

    def _entry(self, authorization: str | None) -> _Entry:
        if authorization is None:
            message = "this server requires an access token: set JUDGE_TOKEN, or token_file in [client]"
            raise Unauthenticated(message)
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer" or not TOKEN.fullmatch(token):
            message = "the access token is malformed: it must be sent as `authorization: Bearer judge_...`"
            raise Unauthenticated(message, reason="TOKEN_MALFORMED")
        entry = self._entries.get(hash_token(token))
        if entry is None:
            raise Unauthenticated("the access token is not known to this server", reason="TOKEN_UNKNOWN")
        return entry

    async def _keep_fresh(self, check_streams: Callable[[], None]) -> None:
        answers = True
        while True:
            await self._clock.sleep(REFRESH)
            try:
                changed = await self.refresh()
                await self._store_uses(USE)
            except StoreFailed as error:
                if answers:
                    log.warning("tokens.unchecked", message=error.message)
                answers = False
                continue
            answers = True
            if changed or self._read_at - self._checked_at >= EXPIRY:
                self._checked_at = self._read_at
                check_streams()

    async def _store_uses(self, least: float) -> None:
        """Store the last use of each token, if it is *least* seconds after the one that was stored."""
        due = [entry for entry in self._entries.values() if entry.used > entry.stored + least]
        if due:
            await self._store.note_token_uses({entry.token.hash: entry.used for entry in due})
        for entry in due:
            entry.stored = entry.used


def _problem(token: Token, now: float) -> JudgeError | None:
    if token.revoke_time is not None:
        return Unauthenticated(f"the access token {token.name} was revoked", reason="TOKEN_REVOKED", token=token.name)
    if token.expired(now):
        return Unauthenticated(f"the access token {token.name} has expired", reason="TOKEN_EXPIRED", token=token.name)
    return None
