"""How a process ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

ENDING = "import atexit, sys{more}; from judge.cli.main import _leave; atexit.register(print, 'taken down'); "
ENDING += "print('said', end=''); _leave(3)"


@pytest.mark.parametrize(("more", "said"), [("", "saidtaken down\n"), (", temporalio.client", "said")])
def test_with_temporal_a_process_ends_by_os_exit_after_flushing(more: str, said: str) -> None:
    """Its threads may outlive the interpreter, which has crashed; what was said is there, and so is the exit code."""
    code = ENDING.format(more=more)

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (3, said)
