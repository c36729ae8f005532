"""Backends: they take a rendered prompt and return a reply, or raise why there is none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from judge.domain.errors import CallFailed
from judge.domain.judge import Capabilities, RenderedPrompt
from judge.domain.verdict import Reply


class Backend(Protocol):
    """One model behind one endpoint, or a computation.

    It makes one attempt for each prompt. Its callers add retries and deadlines.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What the backend can do."""
        ...

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """Return the reply to *prompt*, with its usage but without cost.

        Raises a CallFailed: TransportFailed, CallRejected, PromptTooLong, NotRecorded or JudgeUnusable.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


@runtime_checkable
class Serving(Protocol):
    """A backend whose model name does not identify the weights that answer."""

    async def weights(self) -> str:
        """Return the name of the weights that answer, as their server reports it. Raises a CallFailed."""
        ...


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One call of a batch. *custom_id* suits every provider: at most 64 characters of A-Z, a-z, 0-9, - and _."""

    custom_id: str
    prompt: RenderedPrompt


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """The progress of a batch: whether the provider has ended it, and how many items are finished."""

    ended: bool
    finished: int = 0


class BatchUndecided(Exception):
    """It is not known yet whether the provider took a batch. The message says what is missing."""


@runtime_checkable
class BatchBackend(Protocol):
    """A provider's batch API. Each method makes one attempt and raises a CallFailed if there is no answer."""

    async def submit(self, items: Sequence[BatchItem], mark: str) -> str:
        """Submit *items* as one batch and return the provider's id. It carries *mark* if the provider stores marks."""
        ...

    async def find(self, mark: str, custom_ids: Collection[str], since: float, known: Collection[str]) -> str:
        """Return the id of the batch submitted after *since* (seconds since 1970) with *mark* or *custom_ids*, or "".

        *known* holds the ids of other batches. Raises BatchUndecided while the answer is not known.
        """
        ...

    async def progress(self, batch: str) -> BatchProgress:
        """Return the progress of the batch."""
        ...

    def results(self, batch: str) -> AsyncIterator[tuple[str, Reply | CallFailed]]:
        """Yield a reply or a failure for each finished item, by custom id. Missing items were never started."""
        ...

    async def cancel(self, batch: str) -> None:
        """Ask the provider to stop the batch. Items that are finished can still be collected."""
        ...
