"""Who answers: a backend takes a rendered prompt and gives a reply, or says why there is none."""

from __future__ import annotations

from typing import Protocol

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
