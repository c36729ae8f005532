"""How the process of a command ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

ENDING = "import atexit, sys{more}; from judge.cli.main import _leave; atexit.register(print, 'taken down'); "
ENDING += "print('said', end=''); _leave(3)"


@pytest.mark.parametrize(("more", "printed"), [("", "saidtaken down\n"), (", temporalio.client", "said")])
def test_with_temporal_a_process_ends_by_os_exit_after_flushing(more: str, printed: str) -> None:
    """Temporal's threads could crash the interpreter's shutdown. Output and exit code are kept."""
    code = ENDING.format(more=more)

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (3, printed)
