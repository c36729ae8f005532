"""`judge store`: copy a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from judge.cli.connect import ServiceTarget
from judge.cli.group import cli

if TYPE_CHECKING:
    from judge.app.store_copy import Copied


@cli.group("store")
def store_group() -> None:
    """Copy a whole store."""


@store_group.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.pass_obj
def copy_command(service: ServiceTarget, source: str, target: str) -> None:
    """Copy the store FROM into the empty store TO, with its unfinished runs.

    A store is sqlite:////ABSOLUTE/PATH or postgresql://USER@HOST/NAME. First,
    stop every server and worker of both stores. Afterwards, start them on TO only.
    """
    if service.server:
        raise click.UsageError("--server does not apply to store copy: it reads and writes the stores themselves")
    from judge.app.store_copy import copy_exclusively  # noqa: PLC0415  # loads the store, which takes a while

    tables = copy_exclusively(source, target, _print_table)
    _print_line("total", sum(table.rows for table in tables), sum(table.seconds for table in tables))
    click.echo("Unfinished runs continue on TO. Do not serve FROM again: it would pay for them a second time.")


def _print_table(copied: Copied) -> None:
    _print_line(copied.table, copied.rows, copied.seconds)


def _print_line(name: str, rows: int, seconds: float) -> None:
    click.echo(f"{name:<16}{rows:>12,} rows {seconds:>8.1f} s")
