"""The judges that can be called: each with its definition, its backend, its limits and its price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from judge.domain.judge import JudgeCard, JudgeDefinition, RenderedPrompt
from judge.domain.verdict import Reply
from judge.execution.rate_limits import Account
from judge.execution.reply_warnings import WarnOnce
from judge.execution.slots import MemoryLimit, Slots
from judge.ports.backend import Backend

Rule: TypeAlias = Callable[[RenderedPrompt], Reply]
"""Computes a reply without calling a provider. Raises CallFailed if there is none."""


@dataclass(frozen=True)
class JudgeAtWork:
    """A judge with everything that a call needs."""

    card: JudgeCard
    backend: Backend
    account: Account
    slots: Slots
    memory_limit: MemoryLimit
    """The limit on prompts in flight."""
    reply_limit: MemoryLimit = field(default_factory=MemoryLimit)
    """The limit on large replies in flight."""
    rule: Rule | None = None
    """Computes the reply at once, for a judge that needs no provider."""
    warn_once: WarnOnce = field(default_factory=WarnOnce)
    """What was logged about the judge's replies in this process."""

    @property
    def definition(self) -> JudgeDefinition:
        """The judge's definition."""
        return self.card.definition


class Judges(Protocol):
    """The judges this server is configured with."""

    def cards(self) -> dict[str, JudgeCard]:
        """Every configured judge by name."""
        ...

    def at_work(self, definition: JudgeDefinition) -> JudgeAtWork:
        """Return *definition*, frozen in a run or current, with the account configured for its name.

        Raises JudgeUnusable if none is configured.
        """
        ...

    async def identified(self, definition: JudgeDefinition) -> JudgeDefinition:
        """Return *definition* with an identifier of the weights served now, if its model name does not pin them.

        Raises CallFailed if the server does not report them.
        """
        ...
