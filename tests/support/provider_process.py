"""The fake provider as a process of its own: OpenAI's API on loopback, and a journal of every call with its times.

    python provider_process.py JOURNAL SLOWEST [WORD]

A call takes between 0 and SLOWEST seconds, depending on its body. Its answer contains the hash of the body and how
often the same body came before, so that a stored answer shows which call it came from. WORD is repeated at the end of
each answer, up to 2,000 characters, for tests that need long answers.
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
"""Characters that *word* fills at the end of an answer."""


class JournalingProvider:
    """Answers every call and records in a journal when it began and when it ended."""

    def __init__(self, journal: TextIO, slowest: float, word: str) -> None:
        self._journal, self._slowest, self._word = journal, slowest, word
        self._provider = Provider(self._answer, key="")

    def _answer(self, asked: ProviderCall) -> str:
        letter = "AB"[int(asked.hash[0], 16) % 2]
        filling = self._word * (FILLED // len(self._word)) if self._word else ""
        return " ".join(f"{asked.hash[:16]} {self._provider.calls[asked.hash]} {filling} [[{letter}]]".split())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request after its delay."""
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
    """Serve until the process ends, and print the URL."""
    with path.open("w", encoding="ascii", buffering=1) as journal:
        async with serving(JournalingProvider(journal, slowest, word).handle) as url:
            print(json.dumps({"event": "provider.started", "address": url}), flush=True)  # noqa: T201  # the parent process reads this
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(provide(Path(sys.argv[1]), float(sys.argv[2]), "".join(sys.argv[3:4])))
