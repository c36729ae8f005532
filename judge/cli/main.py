"""`judge`: the entry, and how every error becomes one sentence and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 done with less than full coverage.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from judge.cli.connect import Where

FAILED = 1
WRONG_USE = 2


SERVER = click.Option(
    ["--server"], metavar="HOST:PORT", help="Use this server; without it, work in process on the own store."
)
CONFIG = click.Option(["--config"], type=click.Path(path_type=Path), help="The TOML file to read.")


class _Command(click.Command):
    """A command, which takes the options of `judge` itself behind its name too; those said last count."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # click's own arguments
        super().__init__(*args, **kwargs)
        self.params = [*self.params, SERVER, CONFIG]

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # whatever the command returns
        """Run the command against the server that was named."""
        server, config = ctx.params.pop("server"), ctx.params.pop("config")
        ctx.obj = Where(server or ctx.obj.server, config or ctx.obj.config)
        return super().invoke(ctx)


class Commands(click.Group):
    """A group whose commands take the options of `judge` itself."""

    command_class = _Command


@click.group(
    cls=Commands,
    params=[SERVER, CONFIG],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.pass_context
def cli(context: click.Context, server: str | None, config: Path | None) -> None:
    """Say which model answers better, how surely, and whether the judge can be trusted."""
    context.obj = Where(server, config)


def _commands() -> None:
    # Imported here so that the group exists before its commands register.
    from judge.cli import bundles, data, demo, export, judges, reports, runs, service, store  # noqa: F401, PLC0415  # they register themselves


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
