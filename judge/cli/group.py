"""The command group `judge` and the options that every command takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from judge.cli.connect import ServiceTarget

FAILED = 1
WRONG_USE = 2


SERVER = click.Option(
    ["--server"],
    metavar="HOST:PORT",
    help="Use this server. By default, the command runs the service in its own process.",
)
NO_SERVER = click.Option(["--server"], hidden=True)
WITHOUT_SERVER = {"demo", "doctor", "serve", "worker", "migrate", "create", "list", "revoke"}
"""Commands that use no other server; their help does not offer one. The last three are those of `judge token`."""
_FILE = click.Path(path_type=Path)
TLS = (
    click.Option(["--tls"], is_flag=True, help="Use TLS. The files below mean the same."),
    click.Option(["--ca"], type=_FILE, help="The authorities that issue the server's certificate (PEM)."),
    click.Option(["--cert"], type=_FILE, help="The client's own certificate (PEM)."),
    click.Option(["--key"], type=_FILE, help="The key of the client's certificate (PEM)."),
)
NO_TLS = tuple(click.Option(option.opts, is_flag=option.is_flag, type=option.type, hidden=True) for option in TLS)
CONFIG = click.Option(["--config"], type=click.Path(path_type=Path), help="The configuration file (TOML).")
SERVICE = (SERVER, *TLS, CONFIG)
"""The options of a command that may use a server."""
ON_THE_STORE = (NO_SERVER, *NO_TLS, CONFIG)
"""The options of a command that uses no other server."""


class _Command(click.Command):
    """A command that also takes the options of `judge` after its name. Of an option given twice, the last counts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # click's own arguments
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *(ON_THE_STORE if self.name in WITHOUT_SERVER else SERVICE)]

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # whatever the command returns
        """Run the command on the server that was named before or after it."""
        ctx.obj = ctx.obj.with_options(ctx.params)
        return super().invoke(ctx)


class Commands(click.Group):
    """A group whose commands also take the options of `judge`."""

    command_class = _Command


def version() -> str:
    """Return the installed version."""
    from importlib import metadata  # noqa: PLC0415  # it takes a while

    try:
        return metadata.version("judge-service")
    except metadata.PackageNotFoundError:
        return "unknown"


def _print_version(context: click.Context, _: click.Parameter, value: bool) -> None:  # click's callback
    if value:
        click.echo(f"judge {version()}")
        context.exit()


VERSION = click.Option(
    ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Print the version."
)


@click.group(
    cls=Commands,
    params=[*SERVICE, VERSION],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.pass_context
def cli(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401  # those of every command
    """Judge pairs of model outputs, rank the models, and measure how far judges agree with people."""
    context.obj = ServiceTarget().with_options(options)
