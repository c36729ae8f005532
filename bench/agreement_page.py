"""Run the commands of docs/agreement.md in an empty folder and compare their output with the page."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "agreement.md"
LEFT_OUT = "..."


def commands_of(page: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command with its documented output. A block that begins without a command continues the last one."""
    command, lines = "", list[str]()
    for line in "\n".join(re.findall(r"```console\n(.*?)```", page, re.DOTALL)).splitlines():
        if line.startswith("$ judge "):
            if command:
                yield command, lines
            command, lines = line.removeprefix("$ judge "), []
        elif line.strip() and line.strip() != LEFT_OUT:
            lines.append(" ".join(line.split()))
    yield command, lines


def differences(data: Path) -> Iterator[str]:
    """Yield documented lines that a command does not print, in order. *data* has mt-bench and formats/judgebench."""
    with tempfile.TemporaryDirectory(prefix="agreement-page-") as folder:
        for name, original in {"mt-bench": "mt-bench", "JudgeBench": "formats/judgebench"}.items():
            (Path(folder) / name).symlink_to((data / original).resolve())
        environment = {**os.environ, "JUDGE_HOME": folder}
        for command, lines in commands_of(PAGE.read_text("utf-8")):
            words = [sys.executable, "-m", "judge.cli", *shlex.split(command)]
            done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True)
            printed = iter([" ".join(line.split()) for line in (done.stdout + done.stderr).splitlines()])
            yield from (f"judge {command} does not print: {line}" for line in lines if line not in printed)
