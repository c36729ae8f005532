"""`judge watch`, `judge cancel`, `judge resume`, `judge delete`, and `judge reparse`."""

from __future__ import annotations

import sys

import click

from judge.cli.budget_options import Usd, budget
from judge.cli.connect import ServiceTarget, connected, echo_json, run
from judge.cli.executed import how_to_continue, is_executed, state_word, was_killed
from judge.cli.group import cli
from judge.cli.interrupted import follow_or_explain, summary_if_interrupted
from judge.cli.run_progress import (
    ENDED_WORDS,
    exit_code,
    follow_run,
    n_replies,
    run_summary,
)
from judge.cli.spending import run_cost
from judge.cli.tables import counted
from judge.domain.money import MICROS

JSON = click.option("--json", "as_json", is_flag=True, help="Print the run as JSON.")
YES = click.option("--yes", is_flag=True, help="Don't ask for confirmation. Needed if stdin is not a terminal.")


def full_name(run_id: str) -> str:
    """Return the resource name of a run, which may be given without its `runs/`."""
    return run_id if run_id.startswith("runs/") else f"runs/{run_id}"


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is deleted. Raises Abort if the answer is no, and UsageError if stdin is no terminal."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Add --yes to confirm: stdin is not a terminal")
    click.confirm(question, abort=True, err=True)


@cli.command("watch")
@click.argument("name", metavar="RUN")
@JSON
@click.pass_obj
def watch_command(service: ServiceTarget, name: str, *, as_json: bool) -> int:
    """Show the progress of a run until it ends.

    Without a server, another command may execute the run. If none does, this shows how far the run is.
    """

    async def work() -> int:
        async with connected(service) as client:
            watched = await client.get_run(full_name(name))
            idle = was_killed(watched, executed=is_executed(service, [watched]))
            if not idle:
                watched = await follow_run(client, watched.name, lambda now: is_executed(service, [now]))
            if as_json:
                echo_json(watched)
            click.echo(run_summary(watched, executed=not idle), err=True)
            if idle:
                click.echo(how_to_continue(watched), err=True)
            return exit_code(watched)

    return run(work())


@cli.command("cancel")
@click.argument("name", metavar="RUN")
@JSON
@click.pass_obj
def cancel_command(service: ServiceTarget, name: str, *, as_json: bool) -> int:
    """Cancel a run: no further call is made.

    Calls in flight finish and are stored. The verdicts so far stay readable, and
    `judge resume` can continue the run. A run that has ended stays as it is.
    """

    async def work() -> int:
        async with connected(service) as client:
            before = await client.get_run(full_name(name))
            if state_word(before) in ENDED_WORDS:
                if as_json:
                    echo_json(before)
                click.echo(f"{before.name} has already ended; nothing was cancelled.", err=True)
                return 0
            cancelled = await client.cancel_run(before.name)
            cancelled = await follow_run(client, cancelled.name, lambda now: is_executed(service, [now]))
            if as_json:
                echo_json(cancelled)
            click.echo(run_summary(cancelled, executed=is_executed(service, [cancelled])), err=True)
            return 0

    return run(work())


@cli.command("resume")
@click.argument("name", metavar="RUN")
@click.option("--budget-usd", type=Usd(), default=None, help="A new maximum cost in USD; 0 means no limit.")
@click.option("--budget-hard", is_flag=True, help="Never exceed --budget-usd, even if that is slower and leaves more.")
@click.option("--budget-calls", type=int, default=None, help="A new maximum number of calls; 0 means no limit.")
@JSON
@click.pass_obj
def resume_command(
    service: ServiceTarget,
    name: str,
    budget_usd: float | None,
    budget_calls: int | None,
    *,
    budget_hard: bool,
    as_json: bool,
) -> int:
    """Continue a run, and wait until it ends.

    Presentations whose calls failed, or were never made, are tried again. Replies are not asked for again, even if they
    are unreadable: `judge reparse` reads them with another parser.

    Budgets are totals, which include what the run has spent. A limit that is not given stays as it is.
    """
    if budget_hard and not budget_usd:
        raise click.UsageError("--budget-hard needs --budget-usd: it is the amount that is never exceeded")

    async def work() -> int:
        async with summary_if_interrupted(service), connected(service, executes=True) as client:
            limits = None
            if budget_usd is not None or budget_calls is not None or budget_hard:
                before = (await client.get_run(full_name(name))).budget
                limits = budget(
                    before.cost_micros / MICROS if budget_usd is None else budget_usd,
                    calls=before.calls if budget_calls is None else budget_calls,
                    hard=budget_hard or (budget_usd is None and before.hard),
                )
            resumed = await client.resume_run(full_name(name), limits)
            last = await follow_or_explain(service, client, resumed.name)
            if as_json:
                echo_json(last)
            click.echo(run_summary(last), err=True)
            return exit_code(last)

    return run(work())


@cli.command("delete")
@click.argument("name", metavar="RUN")
@YES
@click.pass_obj
def delete_command(service: ServiceTarget, name: str, *, yes: bool) -> int:
    """Delete a run that has ended.

    Its replies stay stored, so another run of the same content pays for none of
    them again. To delete them too, delete their dataset. A run that has not
    ended must be cancelled first.
    """

    async def work() -> int:
        async with connected(service) as client:
            doomed = await client.get_run(full_name(name))
            replies, cost = counted(n_replies(doomed), "reply", "replies"), run_cost(doomed)
            confirm(f"Delete {doomed.name}, which has {replies} and cost {cost}?", yes=yes)
            await client.delete_run(full_name(name))
            click.echo(f"Deleted {full_name(name)}. Its replies stay stored and are reused.", err=True)
            return 0

    return run(work())


@cli.command("reparse")
@click.argument("name", metavar="RUN")
@click.option("--parser", default="", help="Such as brackets or likert-8~1.5. By default, each judge's own parser.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.pass_obj
def reparse_command(service: ServiceTarget, name: str, parser: str, *, as_json: bool) -> int:
    """Parse the stored replies of a run again.

    No calls are made. The new verdicts are kept next to the old ones: `judge rank --parser PARSER` uses them.
    """

    async def work() -> int:
        async with connected(service) as client:
            counts = await client.reparse_run(full_name(name), parser)
            if as_json:
                echo_json(counts)
            else:
                click.echo(
                    f"{counts.read:,} replies parsed: {counts.changed:,} with another result, "
                    f"{counts.unreadable:,} unreadable."
                )
            return 0

    return run(work())
