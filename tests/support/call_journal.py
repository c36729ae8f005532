"""The journal of the fake provider: which calls were made, how often, and when."""

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
class FakeProvider:
    """A fake provider in a process of its own at *url*, and its journal as far as it has been read."""

    url: str
    path: Path
    provider: Child
    calls: Counter[str] = field(default_factory=Counter)
    """How often each request was made."""
    begin_times: list[float] = field(default_factory=list)
    """When each call began, in order, in seconds on the machine's monotonic clock."""
    answered: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    """The most calls in flight at the same time."""
    _read: int = 0

    def read(self) -> FakeProvider:
        """Read the new lines of the journal and return this object."""
        with self.path.open("r", encoding="ascii") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind("\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            what, asked, at = line.split(" ")
            if what == "+":
                self.calls[asked] += 1
                self.begin_times.append(float(at))
            self.answered += what == "-"
            self.in_flight += 1 if what == "+" else -1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
        return self

    async def wait_for_calls(self, calls: int, seconds: float = 600.0) -> None:
        """Wait until *calls* calls have begun."""
        async with asyncio.timeout(seconds):
            while len(self.read().begin_times) < calls:
                await asyncio.sleep(LOOK_SECONDS)

    @contextmanager
    def hold_calls(self) -> Iterator[None]:
        """Stop the provider within the context, so that calls in flight stay in flight."""
        self.provider.stop()
        try:
            yield
        finally:
            self.provider.go_on()

    @property
    def repeated(self) -> int:
        """How many calls repeated an earlier one."""
        return self.calls.total() - len(self.calls)

    def begun_after(self, moment: float) -> int:
        """Count the calls that began after *moment*, on the machine's monotonic clock."""
        return len(self.begin_times) - bisect_right(self.begin_times, moment)

    def most_within(self, seconds: float) -> int:
        """Return the largest number of calls that began within any window of *seconds*."""
        most = first = 0
        for last, at in enumerate(self.begin_times):
            while at - self.begin_times[first] >= seconds:
                first += 1
            most = max(most, last - first + 1)
        return most


@asynccontextmanager
async def fake_provider(folder: Path, *, slowest: float = 0.02, word: str = "") -> AsyncIterator[FakeProvider]:
    """Run a provider in a process of its own. Its calls take at most *slowest* seconds."""
    journal = folder / "calls.txt"
    path = ":".join((str(HERE.parent), *sys.path))
    command = (sys.executable, str(HERE / "provider_process.py"), str(journal), str(slowest), word)
    child = Child(name="provider", command=command, env={"PYTHONPATH": path}, folder=folder, started="provider.started")
    try:
        event = await child.start()
        yield FakeProvider(str(event["address"]), journal, child)
    finally:
        await child.kill()
