"""`judge doctor`: check the configuration and the judges before anything is spent."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections import Counter
from typing import TYPE_CHECKING

import click

from judge.cli.connect import ServiceTarget, run
from judge.cli.group import FAILED, cli

if TYPE_CHECKING:
    from judge.app.doctor import CheckResult

INDENT = " " * 9


@cli.command("doctor")
@click.argument("names", metavar="[JUDGE]...", nargs=-1)
@click.option("--call", is_flag=True, help="Also make one call to each judge. It is paid for and not stored.")
@click.option("--json", "as_json", is_flag=True, help="Print each result as a line of JSON.")
@click.pass_obj
def doctor_command(service: ServiceTarget, names: tuple[str, ...], *, call: bool, as_json: bool) -> int:
    """Check versions, the configuration, the store, and each JUDGE (by default all).

    Of a judge, it checks whether its key is set, whether its endpoint answers and
    lists its model, whether the model has been shut down, and whether its price is
    known. Keys are never printed. The exit code is 1 if something does not work.
    """
    if service.server:
        raise click.UsageError("--server does not apply to doctor: it checks the configuration of this machine")
    results = run(_examine(service, names, call=call, as_json=as_json))
    if not as_json:
        click.echo(_summary(results))
    return FAILED if results["error"] else 0


async def _examine(service: ServiceTarget, names: tuple[str, ...], *, call: bool, as_json: bool) -> Counter[str]:
    """Print each result as it comes, and count them by level."""
    from judge.app.doctor import DoctorRequest, examine  # noqa: PLC0415  # it loads the whole service
    from judge.ports.clock import SystemClock  # noqa: PLC0415  # as above

    levels: Counter[str] = Counter()
    async for result in examine(DoctorRequest(config=service.config, names=names, call=call), SystemClock()):
        levels[result.level.value] += 1
        click.echo(json.dumps(dataclasses.asdict(result)) if as_json else _line(result))
    return levels


def _line(result: CheckResult) -> str:
    check = "" if result.check == result.subject else f", {result.check}"
    text = f"{result.level.value:<8} {result.subject}{check}: {result.message}"
    return textwrap.fill(text, 79, subsequent_indent=INDENT, break_long_words=False, break_on_hyphens=False)


def _summary(levels: Counter[str]) -> str:
    """Return how many checks failed."""
    errors, warnings = levels["error"], levels["warning"]
    if not errors and not warnings:
        return "Everything works."
    counts = (f"{n} {word}{'s' if n > 1 else ''}" for n, word in ((errors, "error"), (warnings, "warning")) if n)
    return f"{' and '.join(counts)}."
