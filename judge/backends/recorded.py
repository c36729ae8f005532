"""A judge whose verdicts were made elsewhere: it answers from its records and never makes anything up."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from judge.domain.errors import NotRecorded
from judge.domain.judge import Capabilities, RenderedPrompt
from judge.domain.verdict import Reply


class Recorded:
    """A judge that answers with *replies*, by the prompt's nonce. Without any, nothing is recorded."""

    def __init__(self, replies: Mapping[str, Reply] | None = None) -> None:
        self._replies = MappingProxyType(dict(replies or {}))

    @property
    def capabilities(self) -> Capabilities:
        """Nothing that a model can be asked for."""
        return Capabilities()

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """The recorded reply. Raises NotRecorded where there is none."""
        try:
            return self._replies[prompt.nonce]
        except KeyError:
            raise NotRecorded("no verdict is recorded for this showing") from None

    async def close(self) -> None:
        """Nothing is held."""
