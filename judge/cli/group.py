"""The command group `judge`, and the options that every command takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from judge.cli.connect import ServiceTarget

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
        ctx.obj = ServiceTarget(server or ctx.obj.server, config or ctx.obj.config)
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
    context.obj = ServiceTarget(server, config)
