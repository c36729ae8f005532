"""`judge serve`, `judge worker` and `judge migrate`."""

from __future__ import annotations

import click

from judge.cli.connect import ServiceTarget, run
from judge.cli.group import cli


@cli.command("serve")
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; default 127.0.0.1:50051.")
@click.pass_obj
def serve_command(where: ServiceTarget, listen: str | None) -> int:
    """Serve until told to stop, then drain."""
    if where.server:
        raise click.UsageError("serve is the server; say where with --listen HOST:PORT")
    from judge.app.serve import serve  # noqa: PLC0415  # the whole house

    return run(serve(where.config, listen))


@cli.command("worker")
@click.pass_obj
def worker_command(where: ServiceTarget) -> int:
    """Execute shards of runs that Temporal hands out, until told to stop."""
    _by_config(where, "worker")
    from judge.app.worker import work  # noqa: PLC0415  # the whole house

    return run(work(where.config))


@cli.command("migrate")
@click.pass_obj
def migrate_command(where: ServiceTarget) -> int:
    """Bring the schema of the store on PostgreSQL up to date."""
    _by_config(where, "migrate")
    from judge.app.schema import migrated  # noqa: PLC0415  # the whole house

    before, now = migrated(where.config)
    click.echo(f"schema {now}: up to date" if before == now else f"schema {before or 'none'} -> {now}")
    return 0


def _by_config(where: ServiceTarget, command: str) -> None:
    if where.server:
        raise click.UsageError(f"{command} takes the store from the config, not from a server")
