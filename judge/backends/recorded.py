"""Recorded judges, which answer only with verdicts that were made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from judge.domain.errors import NotRecorded
from judge.domain.judge import Capabilities, RenderedPrompt
from judge.domain.verdict import Reply


class Recorded:
    """A judge that answers with *replies*, by the nonce of the prompt."""

    def __init__(self, replies: Mapping[str, Reply] | None = None) -> None:
        self._replies = MappingProxyType(dict(replies or {}))

    @property
    def capabilities(self) -> Capabilities:
        """None of a model's capabilities."""
        return Capabilities()

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """Return the recorded reply. Raises NotRecorded if there is none."""
        try:
            return self._replies[prompt.nonce]
        except KeyError:
            raise NotRecorded("no verdict is recorded for this presentation") from None

    async def close(self) -> None:
        """Do nothing: there are no connections."""
