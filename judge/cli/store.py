"""`judge store`: a store as a whole."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from judge.cli.connect import Where
from judge.cli.main import cli

if TYPE_CHECKING:
    from judge.store.copying import Copied


@cli.group("store")
def store_group() -> None:
    """Move a store as a whole."""


@store_group.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.pass_obj
def copy_command(where: Where, source: str, target: str) -> None:
    """Copy the store FROM into the empty store TO, unfinished runs too.

    Each is sqlite:///PATH or postgresql://USER@HOST/NAME. Nobody may serve
    them meanwhile; afterwards serve TO, and FROM no more.
    """
    if where.server:
        raise click.UsageError("a store is copied from and to where it is kept, not through a server")
    from judge.ports.clock import SystemClock  # noqa: PLC0415  # the whole house
    from judge.store.copying import check_source, copy_store  # noqa: PLC0415  # see above

    check_source(source)
    with contextlib.ExitStack() as stack:
        for url in dict.fromkeys((source, target)):
            stack.enter_context(_held(url))
        done = copy_store(source, target, SystemClock(), _tell)
    rows, seconds = sum(one.rows for one in done), sum(one.seconds for one in done)
    _line("in all", rows, seconds)
    click.echo("Runs that have not ended go on where TO is served. Served again, FROM would pay for them again.")


def _held(url: str) -> contextlib.AbstractContextManager[None]:
    """While this process holds the store, none executes runs on it."""
    from judge.app.lock import held  # noqa: PLC0415  # the whole house
    from judge.store.postgresql import executing, is_postgresql  # noqa: PLC0415  # see above
    from judge.store.sqlite import file_of  # noqa: PLC0415  # see above

    return executing(url) if is_postgresql(url) else held(file_of(url))


def _tell(one: Copied) -> None:
    _line(one.table, one.rows, one.seconds)


def _line(name: str, rows: int, seconds: float) -> None:
    click.echo(f"{name:<16}{rows:>12,} rows {seconds:>8.1f} s")
