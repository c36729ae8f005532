"""Which tokens a server accepts, as time passes and the store changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from itertools import pairwise

import pytest

from judge.access.tokens import STALE, AcceptedTokens
from judge.domain.errors import JudgeError, NotPermitted, StoreAway, StoreFailed, Unauthenticated
from judge.domain.token import AccessScope, Token, hash_token, new_token
from support.clocks import StillClock

READ, RUN = "/judge.api.v1.RunService/GetRun", "/judge.api.v1.RunService/CreateRun"


class Tokens:
    """Tokens in memory, whose store can be away."""

    def __init__(self) -> None:
        self.kept: dict[str, Token] = {}
        self.away = False
        self.uses: list[dict[bytes, float]] = []

    def add(self, name: str, **changes: object) -> str:
        """Create a token and return it."""
        token = new_token()
        made = Token(
            name=name, tenant="default", hash=hash_token(token), scopes=frozenset({AccessScope.READ}), create_time=0.0
        )
        self._keep(replace(made, **changes))  # type: ignore[arg-type]  # fields of a token
        return token

    def _keep(self, token: Token) -> None:
        self.kept[token.name] = replace(token, revision=1 + max((t.revision for t in self.kept.values()), default=0))

    async def add_token(self, token: Token) -> None:
        self._keep(token)

    async def revoke_token(self, tenant: str, name: str) -> Token:
        self._keep(replace(self.kept[name], revoke_time=1.0))
        return self.kept[name]

    async def tokens(self, tenant: str) -> list[Token]:
        return list(self.kept.values())

    async def changed_tokens(self, after: int) -> list[Token]:
        if self.away:
            raise StoreFailed("away")
        return [token for token in self.kept.values() if token.revision > after]

    async def note_token_uses(self, times: Mapping[bytes, float]) -> None:
        self.uses.append(dict(times))


class SteppedClock(StillClock):
    """A clock whose sleepers wake one step at a time, when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self._steps: asyncio.Queue[None] = asyncio.Queue()
        self._asleep = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self._asleep.set()
        await self._steps.get()
        self.time += seconds

    async def step(self, times: int = 1) -> None:
        """Let the sleeper wake, work, and fall asleep again."""
        for _ in range(times):
            await self._asleep.wait()
            self._asleep.clear()
            self._steps.put_nowait(None)
            await self._asleep.wait()


@pytest.fixture
def store() -> Tokens:
    return Tokens()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def accepted(store: Tokens, clock: SteppedClock) -> AsyncIterator[AcceptedTokens]:
    """Tokens that are required, of a server that has just started."""
    made = AcceptedTokens(store, clock, required=True)
    await made.start(lambda: None)
    yield made
    await made.close()


def refusal(accepted: AcceptedTokens, authorization: str | None, method: str = READ) -> JudgeError:
    with pytest.raises(JudgeError) as caught:
        accepted.accept(method, authorization)
    return caught.value


async def test_a_new_token_and_a_revoked_one_take_effect_at_the_next_look(
    store: Tokens, clock: SteppedClock, accepted: AcceptedTokens
) -> None:
    """A look comes a second after the one before."""
    bearer = f"Bearer {store.add('ci')}"
    unknown = refusal(accepted, bearer)
    await clock.step()
    caller = accepted.accept(READ, bearer)
    await store.revoke_token("default", "ci")
    began = clock.time
    await clock.step()
    revoked = refusal(accepted, bearer)

    assert isinstance(unknown, Unauthenticated)
    assert unknown.reason == "TOKEN_UNKNOWN"
    assert caller is not None
    assert caller.name == "ci"
    assert isinstance(revoked, Unauthenticated)
    assert revoked.reason == "TOKEN_REVOKED"
    assert clock.time - began <= 1.0


async def test_an_expired_token_is_refused_without_a_look(
    store: Tokens, clock: SteppedClock, accepted: AcceptedTokens
) -> None:
    """Its time is compared at each call."""
    bearer = f"bearer {store.add('ci', expire_time=1002.0)}"
    await clock.step()
    accepted.accept(READ, bearer)

    clock.time = 1002.0

    assert refusal(accepted, bearer).reason == "TOKEN_EXPIRED"


async def test_a_token_permits_its_scopes_alone(store: Tokens, clock: SteppedClock, accepted: AcceptedTokens) -> None:
    """The error names the scope that is missing."""
    bearer = f"Bearer {store.add('ci')}"
    await clock.step()

    error = refusal(accepted, bearer, RUN)

    assert isinstance(error, NotPermitted)
    assert error.fields == {"scope": "run", "token": "ci"}


@pytest.mark.parametrize(
    "junk", ["", "Bearer", "Bearer x", "Basic judge_", "Bearer judge_" + "x" * 42, "judge_" + "x" * 43]
)
async def test_what_is_no_token_is_malformed(accepted: AcceptedTokens, junk: str) -> None:
    """It is not even looked for."""
    assert refusal(accepted, junk).reason == "TOKEN_MALFORMED"


async def test_a_store_that_does_not_answer_ends_all_access_after_a_while(
    store: Tokens, clock: SteppedClock, accepted: AcceptedTokens
) -> None:
    """Until then the last known tokens count, and afterwards any of them may have been revoked."""
    bearer = f"Bearer {store.add('ci')}"
    await clock.step()
    store.away = True
    await clock.step(int(STALE))
    accepted.accept(READ, bearer)
    await clock.step()

    assert isinstance(refusal(accepted, bearer), StoreAway)
    store.away = False
    await clock.step()
    accepted.accept(READ, bearer)


async def test_the_last_use_is_stored_at_most_once_a_minute(
    store: Tokens, clock: SteppedClock, accepted: AcceptedTokens
) -> None:
    """With a call in each second of three minutes, and none of another token, there are three writes."""
    bearer = f"Bearer {store.add('ci')}"
    store.add("idle")
    await clock.step()
    for _ in range(180):
        accepted.accept(READ, bearer)
        await clock.step()

    digest = store.kept["ci"].hash
    times = [uses[digest] for uses in store.uses]
    assert [set(uses) for uses in store.uses] == [{digest}] * len(times)
    assert 3 <= len(times) <= 4
    assert min(later - earlier for earlier, later in pairwise(times)) >= 60.0


async def test_live_streams_are_checked_after_a_change_and_every_minute(store: Tokens, clock: SteppedClock) -> None:
    """A stream of a revoked token ends within a second, and one of an expired token within a minute."""
    checks: list[float] = []
    bearer = f"Bearer {store.add('ci', expire_time=1030.0)}"
    accepted = AcceptedTokens(store, clock, required=None)
    await accepted.start(lambda: checks.append(clock.time))
    caller = accepted.accept(READ, bearer)

    await clock.step(90)
    expired = accepted.problem(caller)
    await store.revoke_token("default", "ci")
    await clock.step()
    revoked = accepted.problem(caller)
    await accepted.close()

    assert checks == [1060.0, 1091.0]
    assert expired is not None
    assert expired.reason == "TOKEN_EXPIRED"
    assert revoked is not None
    assert revoked.reason == "TOKEN_REVOKED"
    assert accepted.problem(None) is None


async def test_tokens_are_required_as_soon_as_there_is_one_and_stay_so(store: Tokens, clock: SteppedClock) -> None:
    """A server without tokens is open to this machine. Revoking the last token does not open it again."""
    accepted = AcceptedTokens(store, clock, required=None)
    await accepted.start(lambda: None)
    before = accepted.accept(READ, None)
    store.add("ci")
    await store.revoke_token("default", "ci")
    await clock.step()

    assert before is None
    assert refusal(accepted, None).reason == "TOKEN_MISSING"
    await accepted.close()
