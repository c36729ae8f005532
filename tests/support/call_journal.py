"""What the provider wrote down: which calls were made, how often, and when."""

from __future__ import annotations

import asyncio
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.child_processes import LOOK_SECONDS, Child

HERE = Path(__file__).parent


@dataclass
class Faked:
    """A provider's process at *url*, and its journal as far as it was read."""

    url: str
    path: Path
    provider: Child
    calls: Counter[str] = field(default_factory=Counter)
    """How often each thing was asked."""
    begun: list[float] = field(default_factory=list)
    """When each call began, in order, on the machine's monotonic clock."""
    answered: int = 0
    in_flight: int = 0
    most: int = 0
    """The most calls at once."""
    _read: int = 0

    def read(self) -> Faked:
        """Itself, after reading on in the journal."""
        with self.path.open("r", encoding="ascii") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind("\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            what, asked, at = line.split(" ")
            if what == "+":
                self.calls[asked] += 1
                self.begun.append(float(at))
            self.answered += what == "-"
            self.in_flight += 1 if what == "+" else -1
            self.most = max(self.most, self.in_flight)
        return self

    async def reached(self, calls: int, seconds: float = 600.0) -> None:
        """Wait until so many calls were begun."""
        async with asyncio.timeout(seconds):
            while len(self.read().begun) < calls:
                await asyncio.sleep(LOOK_SECONDS)

    @contextmanager
    def held(self) -> Iterator[None]:
        """While it lasts no call ends, so that what is in flight stays there."""
        self.provider.stop()
        try:
            yield
        finally:
            self.provider.go_on()

    @property
    def repeated(self) -> int:
        """How many calls were made again."""
        return self.calls.total() - len(self.calls)

    def begun_after(self, moment: float) -> int:
        """How many calls began after *moment*."""
        return len(self.begun) - bisect_right(self.begun, moment)

    def most_within(self, seconds: float) -> int:
        """The most calls that began within any *seconds*."""
        most = first = 0
        for last, at in enumerate(self.begun):
            while at - self.begun[first] >= seconds:
                first += 1
            most = max(most, last - first + 1)
        return most


@asynccontextmanager
async def faked(folder: Path, *, slowest: float = 0.02, word: str = "") -> AsyncIterator[Faked]:
    """A provider in a process of its own, whose calls take at most *slowest* seconds."""
    journal = folder / "calls.txt"
    path = ":".join((str(HERE.parent), *sys.path))
    command = (sys.executable, str(HERE / "provider_process.py"), str(journal), str(slowest), word)
    child = Child("provider", command, {"PYTHONPATH": path}, folder, "provider.started")
    try:
        told = await child.start()
        yield Faked(str(told["address"]), journal, child)
    finally:
        await child.kill()
