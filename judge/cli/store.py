"""`judge store`: a store as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from judge.cli.connect import ServiceTarget
from judge.cli.group import cli

if TYPE_CHECKING:
    from judge.app.store_copy import Copied


@cli.group("store")
def store_group() -> None:
    """Move a store as a whole."""


@store_group.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.pass_obj
def copy_command(where: ServiceTarget, source: str, target: str) -> None:
    """Copy the store FROM into the empty store TO, unfinished runs too.

    Each is sqlite:///PATH or postgresql://USER@HOST/NAME. Nobody may serve
    them meanwhile; afterwards serve TO, and FROM no more.
    """
    if where.server:
        raise click.UsageError("a store is copied from and to where it is kept, not through a server")
    from judge.app.store_copy import copy_exclusively  # noqa: PLC0415  # loads the store, which takes a while

    done = copy_exclusively(source, target, _tell)
    rows, seconds = sum(one.rows for one in done), sum(one.seconds for one in done)
    _line("in all", rows, seconds)
    click.echo("Runs that have not ended go on where TO is served. Served again, FROM would pay for them again.")


def _tell(copied: Copied) -> None:
    _line(copied.table, copied.rows, copied.seconds)


def _line(name: str, rows: int, seconds: float) -> None:
    click.echo(f"{name:<16}{rows:>12,} rows {seconds:>8.1f} s")
