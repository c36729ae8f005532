"""A judge for tests, which answers with given replies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack

from judge.domain.judge import Capabilities, RenderedPrompt
from judge.domain.verdict import Reply

Line = Reply | str | Exception
"""The answer to one call: a reply, the raw text of a reply, or an error to raise."""
Script = Callable[[RenderedPrompt], Line]
"""The answer to each prompt."""


class Scripted:
    """A judge that answers with *script*: a function of the prompt, or one line per call in the order of the calls.

    Each call passes *gate* first: it waits until the event is set, or holds the semaphore while it answers. The judge
    counts its calls, how many are in flight, and the highest number that ever were. A call after the last line raises
    IndexError.
    """

    def __init__(
        self,
        script: Script | Iterable[Line],
        *,
        gate: asyncio.Event | asyncio.Semaphore | None = None,
        capabilities: Capabilities = Capabilities(),  # noqa: B008
    ) -> None:
        self._script = script if callable(script) else _in_order(iter(script))
        self._gate = gate
        self._capabilities = capabilities
        self.prompts: list[RenderedPrompt] = []
        self.in_flight = 0
        self.max_in_flight = 0
        self.closed = False

    @property
    def capabilities(self) -> Capabilities:
        """The given capabilities."""
        return self._capabilities

    @property
    def calls(self) -> int:
        """The number of calls so far."""
        return len(self.prompts)

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """Return or raise the script's next line."""
        self.prompts.append(prompt)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            async with AsyncExitStack() as stack:
                if isinstance(self._gate, asyncio.Event):
                    await self._gate.wait()
                elif self._gate is not None:
                    await stack.enter_async_context(self._gate)
                line = self._script(prompt)
        finally:
            self.in_flight -= 1
        if isinstance(line, Exception):
            raise line
        return Reply(raw=line) if isinstance(line, str) else line

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


def _in_order(lines: Iterator[Line]) -> Script:
    """Return a script that gives one of *lines* per call."""

    def script(prompt: RenderedPrompt) -> Line:  # noqa: ARG001
        for line in lines:
            return line
        raise IndexError("the script has no line for this call")

    return script
