"""`judge`: the entry, and how every error becomes one sentence and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 done with less than full coverage.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from judge.cli.connect import Where

FAILED = 1
WRONG_USE = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.option("--server", metavar="HOST:PORT", help="Use this server; without it, work in process on the own store.")
@click.option("--config", type=click.Path(path_type=Path), help="The TOML file to read.")
@click.pass_context
def cli(context: click.Context, server: str | None, config: Path | None) -> None:
    """Say which model answers better, how surely, and whether the judge can be trusted."""
    context.obj = Where(server, config)


def _commands() -> None:
    # Imported here so that the group exists before its commands register.
    from judge.cli import data, demo, reports, runs, service  # noqa: F401, PLC0415  # they register themselves


def main() -> None:
    """Run the command line and leave with its exit code."""
    _commands()
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(WRONG_USE)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(FAILED)
    except Exception as error:  # noqa: BLE001  # a person gets a sentence, whatever happened
        click.echo(f"judge: {_sentence(error)}", err=True)
        sys.exit(FAILED)
    sys.exit(code if isinstance(code, int) else 0)


def _sentence(error: Exception) -> str:
    text = str(getattr(error, "message", "") or error).strip()
    return text or type(error).__name__


if __name__ == "__main__":
    main()
