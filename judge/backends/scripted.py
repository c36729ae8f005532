"""A judge that says what it is told to, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack

from judge.domain.judge import Capabilities, RenderedPrompt
from judge.domain.verdict import Reply

Line = Reply | str | Exception
"""What is said to one call: a reply, a reply's raw text, or an error to raise."""
Script = Callable[[RenderedPrompt], Line]
"""What is said to a prompt."""


class Scripted:
    """A judge that answers by *script*: a function of the prompt, or one line a call, in the order of calls.

    Each call passes *gate* first: it waits until the event is set, or holds the semaphore while it answers. Counts
    calls, how many are in flight, and the most that ever were. A script of lines that is used up raises IndexError.
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
        """As it was told."""
        return self._capabilities

    @property
    def calls(self) -> int:
        """How many calls were made."""
        return len(self.prompts)

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """The script's next line."""
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
    """A script that says *lines*, one a call."""

    def script(prompt: RenderedPrompt) -> Line:  # noqa: ARG001
        for line in lines:
            return line
        raise IndexError("the script is used up")

    return script
