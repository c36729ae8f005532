"""The entry point of `judge`. Every error becomes one sentence on stderr and an exit code.

Exit codes: 0 success, 1 failure, 2 wrong use, 3 a run that ended without all of its verdicts.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import NoReturn

import click

from judge.cli.group import FAILED, WRONG_USE, cli
from judge.cli.terminal import escape_output

__all__ = ["cli", "main"]


def _commands() -> None:
    # Commands register when they are imported, and the group must exist before.
    from judge.cli import (  # noqa: F401, PLC0415  # an import registers the commands
        bundles,
        data,
        demo,
        doctor,
        export,
        export_tools,
        judges,
        listings,
        mean_scores,
        rank_and_agree,
        run_control,
        run_costs,
        runs,
        service,
        store,
        tokens,
    )


def main() -> None:
    """Run the command line and exit with its code."""
    # Set before numpy loads: for fits as small as these, a second BLAS thread costs more time than it saves.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Until all commands are imported, Ctrl-C ends the process without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # What this writes is for its user alone: files get the mode 0600, and folders 0700.
    os.umask(0o077)
    escape_output()
    _commands()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = cli.main(prog_name="judge", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        _leave(WRONG_USE)
    except (click.Abort, KeyboardInterrupt):
        _leave(FAILED)
    except Exception as error:  # noqa: BLE001  # users get a sentence, not a traceback
        click.echo(f"judge: {_sentence(error)}", err=True)
        _leave(FAILED)
    _leave(code if isinstance(code, int) else 0)


def _leave(code: int) -> NoReturn:
    if "temporalio" in sys.modules:
        # Temporal's threads may still run while the interpreter shuts down, which has crashed it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _sentence(error: Exception) -> str:
    text = str(getattr(error, "message", "") or error).strip()
    return _with_option_names(text) or type(error).__name__


def _with_option_names(text: str) -> str:
    """*text*, in which fields of a request that the command line sets have the names of their options.

    Only names with an underscore are taken for fields, and none in quotes.
    """
    options = {
        option.name: option.opts[0]
        for command in cli.commands.values()
        for option in command.params
        if isinstance(option, click.Option) and option.name and "_" in option.name
    }
    return re.sub(r"(?<![\w'/.-])[a-z]+(?:_[a-z]+)+(?![\w'/.-])", lambda name: options.get(name[0], name[0]), text)
