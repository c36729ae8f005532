"""Who answers: a backend takes a rendered prompt and gives a reply, or says why there is none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from judge.domain.errors import CallFailed
from judge.domain.judge import Capabilities, RenderedPrompt
from judge.domain.verdict import Reply


class Backend(Protocol):
    """One model behind one endpoint, or a computation. Makes one attempt; retries and deadlines are around it."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """The reply to *prompt*, with its usage but without cost.

        Raises a CallFailed: TransportFailed, CallRejected, PromptTooLong, NotRecorded or JudgeUnusable.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class Serving(Protocol):
    """A backend whose model's name doesn't say whose weights answer."""

    async def weights(self) -> str:
        """Whose weights answer, as their server says. Raises a CallFailed."""
        ...


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One call of a batch. *custom_id* fits every provider: at most 64 of A-Z, a-z, 0-9, - and _."""

    custom_id: str
    prompt: RenderedPrompt


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is: whether the provider is through with it, and how many items it has finished."""

    ended: bool
    finished: int = 0


class BatchUndecided(Exception):
    """Whether a batch was taken cannot be said yet; the message says what is waited for."""


@runtime_checkable
class BatchBackend(Protocol):
    """A provider's batch API. Each method makes one attempt and raises a CallFailed where there is no answer."""

    async def submit(self, items: Sequence[BatchItem], mark: str) -> str:
        """Hand *items* over as one batch, which carries *mark* where the provider keeps one; the provider's id."""
        ...

    async def find(self, mark: str, custom_ids: Collection[str], since: float, known: Collection[str]) -> str:
        """The id of the batch submitted after *since* (seconds since 1970) with *mark* or *custom_ids*, or "".

        *known* are ids of batches that are others. Raises BatchUndecided while it cannot be said.
        """
        ...

    async def progress(self, batch: str) -> BatchProgress:
        """How far the batch is."""
        ...

    def results(self, batch: str) -> AsyncIterator[tuple[str, Reply | CallFailed]]:
        """What became of each finished item, by custom id; items of which there is nothing never began."""
        ...

    async def cancel(self, batch: str) -> None:
        """Ask the provider to finish nothing more of it; what is finished stays to be collected."""
        ...
