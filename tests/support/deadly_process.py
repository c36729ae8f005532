"""A process that executes runs and kills itself when it judges one particular prompt.

python deadly_process.py STORE_URL [TEMPORAL_ADDRESS]
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from judge.domain.judge import RenderedPrompt
from support.engine_service import Site

PILL, SIZE = "question 3", 6


def answer(prompt: RenderedPrompt) -> str:
    """Prefer the first output. Kill this process if the prompt is PILL."""
    if prompt.shown.prompt == (PILL,):
        os.kill(os.getpid(), signal.SIGKILL)
    return "[[A]]"


async def work(url: str, address: str) -> None:
    """Execute runs until the process ends."""
    async with Site(url, address).service(answer, size=SIZE):
        print(json.dumps({"event": "deadly.started"}), flush=True)  # noqa: T201  # the parent process reads this
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], "".join(sys.argv[2:3])))
