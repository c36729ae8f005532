"""`judge serve`, `judge worker` and `judge migrate`."""

from __future__ import annotations

import click

from judge.cli.connect import ServiceTarget, run
from judge.cli.group import cli
from judge.domain.defaults import LISTEN_ADDRESS


@cli.command("serve")
@click.option("--listen", metavar="HOST:PORT", help=f"The address to listen on.  [default: {LISTEN_ADDRESS}]")
@click.pass_obj
def serve_command(service: ServiceTarget, listen: str | None) -> int:
    """Run the server until it is interrupted or terminated.

    When it is told to stop, it refuses new calls and finishes those in progress.
    """
    if service.server:
        raise click.UsageError("--server does not apply to serve; to choose the address, use --listen HOST:PORT")
    from judge.app.serve import serve  # noqa: PLC0415  # it loads the whole service

    return run(serve(service.config, listen))


@cli.command("worker")
@click.pass_obj
def worker_command(service: ServiceTarget) -> int:
    """Run a worker until it is interrupted or terminated.

    It executes shards of runs that Temporal assigns to it.
    """
    _by_config(service, "worker")
    from judge.app.worker import work  # noqa: PLC0415  # it loads the whole service

    return run(work(service.config))


@cli.command("migrate")
@click.pass_obj
def migrate_command(service: ServiceTarget) -> int:
    """Bring the schema of a PostgreSQL store up to date."""
    _by_config(service, "migrate")
    from judge.app.schema import migrated  # noqa: PLC0415  # it loads the whole service

    before, now = migrated(service.config)
    if before == now:
        click.echo(f"The schema is up to date ({now}).")
    else:
        click.echo(f"Migrated the schema from {before or 'none'} to {now}.")
    return 0


def _by_config(service: ServiceTarget, command: str) -> None:
    if service.server:
        raise click.UsageError(f"--server does not apply to {command}: it uses the store of the configuration")
