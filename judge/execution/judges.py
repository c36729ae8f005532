"""The judges that can be asked: each with its definition, its backend, its limits and its price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from judge.domain.judge import JudgeCard, JudgeDefinition, RenderedPrompt
from judge.domain.verdict import Reply
from judge.execution.rate_limits import Account
from judge.execution.slots import MemoryLimit, Slots
from judge.ports.backend import Backend

Rule: TypeAlias = Callable[[RenderedPrompt], Reply]
"""Gives a reply without asking anybody. Raises a CallFailed where there is none."""


@dataclass(frozen=True)
class JudgeAtWork:
    """A judge with what it takes to ask it."""

    card: JudgeCard
    backend: Backend
    account: Account
    slots: Slots
    memory_limit: MemoryLimit
    rule: Rule | None = None
    """Of a judge that computes: what its backend replies, at once."""

    @property
    def definition(self) -> JudgeDefinition:
        """What it is."""
        return self.card.definition


class Judges(Protocol):
    """The judges this server is configured with."""

    def cards(self) -> dict[str, JudgeCard]:
        """Every configured judge by name."""
        ...

    def at_work(self, definition: JudgeDefinition) -> JudgeAtWork:
        """*definition*, frozen or present, with the account its name has here; JudgeUnusable if it has none."""
        ...

    async def identified(self, definition: JudgeDefinition) -> JudgeDefinition:
        """*definition* with the weights that answer now, where its model's name doesn't say whose they are.

        Raises a CallFailed where their server does not say it.
        """
        ...
