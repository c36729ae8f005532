"""The provider as a process of its own: OpenAI's wire on loopback, and a journal of every call with its times.

    python provider_process.py JOURNAL SLOWEST [WORD]

A call takes between nothing and SLOWEST seconds, by what it asks. Its answer names what was asked and how often it had
been asked before, so that a stored answer tells which call brought it. *WORD* is what each answer ends with, over and
over, up to 2,000 letters: for answers that need room.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import TextIO

from aiohttp import web

from support import provider_server
from support.loopback import serving
from support.provider import Provider, ProviderCall

FILLED = 2000
"""Letters of an answer that is filled up."""


class Journaled:
    """Answers every call, and writes down when it began and when it ended."""

    def __init__(self, journal: TextIO, slowest: float, word: str) -> None:
        self._journal, self._slowest, self._word = journal, slowest, word
        self._provider = Provider(self._answer, key="")

    def _answer(self, asked: ProviderCall) -> str:
        letter = "AB"[int(asked.hash[0], 16) % 2]
        filling = self._word * (FILLED // len(self._word)) if self._word else ""
        return f"[[{letter}]] {asked.hash[:16]} {self._provider.calls[asked.hash]} {filling}".rstrip()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request in its time."""
        if request.method != "POST":
            return await provider_server.handle(self._provider, request)
        asked = hashlib.sha256(await request.read()).hexdigest()
        self._note("+", asked)
        await asyncio.sleep(self._slowest * int(asked[-4:], 16) / 0xFFFF)
        response = await provider_server.handle(self._provider, request)
        self._note("-", asked)
        return response

    def _note(self, what: str, asked: str) -> None:
        self._journal.write(f"{what} {asked[:16]} {time.monotonic():.6f}\n")


async def provide(path: Path, slowest: float, word: str) -> None:
    """Provide until the process is ended, and say at which URL."""
    with path.open("w", encoding="ascii", buffering=1) as journal:
        async with serving(Journaled(journal, slowest, word).handle) as url:
            print(json.dumps({"event": "provider.started", "address": url}), flush=True)  # noqa: T201  # whoever started it reads this
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(provide(Path(sys.argv[1]), float(sys.argv[2]), "".join(sys.argv[3:4])))
