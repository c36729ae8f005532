"""A judge that is ready to be called: a card, a backend, and an account of its own."""

from __future__ import annotations

from judge.domain.judge import JudgeCard
from judge.execution.judges import JudgeAtWork
from judge.execution.rate_limits import Account
from judge.execution.slots import MemoryLimit, Slots
from judge.ports.backend import Backend
from judge.ports.clock import Clock
from support.clocks import StillClock


def at_work(card: JudgeCard, backend: Backend, clock: Clock | None = None, **account: float) -> JudgeAtWork:
    """Return the judge of *card* that calls *backend* within the rate limits *account*."""
    own_account = Account(clock or StillClock(), **account)  # type: ignore[arg-type]  # rates and shares
    return JudgeAtWork(
        card=card,
        backend=backend,
        account=own_account,
        slots=Slots(card.limits.concurrency),
        memory_limit=MemoryLimit(),
    )
