"""`judge`: the entry, and how every error becomes one sentence and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 done with less than full coverage.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from judge.cli.group import FAILED, WRONG_USE, cli


def _commands() -> None:
    # Imported here so that the group exists before its commands register.
    from judge.cli import bundles, data, demo, export, judges, rank_and_agree, runs, service, store  # noqa: F401, PLC0415  # they register themselves


def main() -> None:
    """Run the command line and leave with its exit code."""
    # Before numpy loads: on fits as small as ours a second BLAS thread costs more than it brings.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _commands()
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        _leave(WRONG_USE)
    except (click.Abort, KeyboardInterrupt):
        _leave(FAILED)
    except Exception as error:  # noqa: BLE001  # a person gets a sentence, whatever happened
        click.echo(f"judge: {_sentence(error)}", err=True)
        _leave(FAILED)
    _leave(code if isinstance(code, int) else 0)


def _leave(code: int) -> NoReturn:
    if "temporalio" in sys.modules:
        # Its threads may still run while the interpreter is taken down, which has crashed.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _sentence(error: Exception) -> str:
    text = str(getattr(error, "message", "") or error).strip()
    return text or type(error).__name__
