"""`judge serve`."""

from __future__ import annotations

import click

from judge.cli.connect import Where, run
from judge.cli.main import cli


@cli.command("serve")
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; default 127.0.0.1:50051.")
@click.pass_obj
def serve_command(where: Where, listen: str | None) -> int:
    """Serve until told to stop, then drain."""
    if where.server:
        raise click.UsageError("serve is the server; say where with --listen HOST:PORT")
    from judge.app.serve import serve  # noqa: PLC0415  # the whole house

    return run(serve(where.config, listen))
