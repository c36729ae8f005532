"""`judge runs`, `judge show`, `judge datasets`, and `judge status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from judge.cli.connect import ServiceTarget, connected, echo_json, echo_rows, run
from judge.cli.executed import (
    EXECUTING,
    explain_open_calls,
    how_to_continue,
    is_executed,
    state_word,
    was_killed,
)
from judge.cli.group import FAILED, SERVICE, Commands, cli, version
from judge.cli.metadata_options import META_FILTER, as_metadata
from judge.cli.run_control import YES, confirm, full_name
from judge.cli.run_progress import n_without_verdict, run_summary, sentence
from judge.cli.spending import entered_costs
from judge.cli.tables import console, counted, table, to_minute
from judge.domain.money import usd
from judge.domain.run import RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from judge.api.v1.dataset_service_pb2 import Dataset, DeleteDatasetResponse
    from judge.api.v1.run_service_pb2 import Run
    from judge.api.v1.verdict_pb2 import Verdict

SHOWN = 20
"""How many runs are listed by default."""
CREATED = "UTC created"
"""The heading of a column of times, as wide as a time."""
STATES = [state.name.lower() for state in RunState]
UNFINISHED = [state for state in RunState if not state.ended]


def _print_runs(runs: Sequence[Run], *, executed: bool) -> None:
    """Print a table of runs, and below it why they wait or stopped, and which calls have not settled.

    *executed* says whether a process executes runs of the store.
    """
    rows = [
        (
            each.name.removeprefix("runs/"),
            each.dataset.removeprefix("datasets/"),
            "interrupted" if was_killed(each, executed=executed) else state_word(each),
            f"{each.counts.by_status.get('ok', 0):,}/{each.counts.planned:,}",
            f"{n_without_verdict(each):,}",
            "at most " * any(judge.uncounted for judge in each.spending)
            + usd(each.cost_micros)
            + " (entered)" * bool(entered_costs(each)),
            to_minute(each.create_time).partition("-")[2],
        )
        for each in runs
    ]
    columns = ("run", "dataset", "state", "verdicts", "no verdict", "USD", CREATED)
    table("", columns, rows, unfolded=("run", "state", "verdicts", CREATED), gap=1)
    for each in runs:
        killed = was_killed(each, executed=executed)
        unsettled = explain_open_calls(each, executed=executed)
        state = (unsettled, how_to_continue(each)) if killed else (sentence(each.state_message), unsettled)
        parts = (*state, sentence("; ".join(entered_costs(each))))
        if any(parts):
            console().print(f"{each.name.removeprefix('runs/')}: {' '.join(filter(None, parts))}")


@cli.command("runs")
@click.option("--dataset", default="", help="Only runs over this dataset.")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only in this state. Repeatable.")
@META_FILTER
@click.option("--limit", type=click.IntRange(min=1), default=SHOWN, show_default=True, help="How many to list.")
@click.option("--json", "as_json", is_flag=True, help="Print each run as a line of JSON.")
@click.pass_obj
def runs_command(
    service: ServiceTarget,
    dataset: str,
    states: tuple[str, ...],
    meta: tuple[str, ...],
    limit: int,
    *,
    as_json: bool,
) -> int:
    """List runs, newest first: state, verdicts, presentations judged without a verdict, cost, and why they wait."""
    wanted: Any = [RunState[state.upper()].value for state in states]
    metadata = as_metadata(meta)

    async def work() -> int:
        runs: list[Run] = []
        async with connected(service) as client:
            async for each in client.list_runs(dataset, min(limit + 1, 1000), metadata=metadata, states=wanted):
                runs.append(each)
                if len(runs) > limit:
                    break
        if as_json:
            echo_rows(runs[:limit])
        elif runs:
            _print_runs(runs[:limit], executed=is_executed(service, runs))
            if len(runs) > limit:
                click.echo(f"There are more than {limit:,} runs; list more with --limit.", err=True)
        else:
            click.echo("There are no such runs.", err=True)
        return 0

    return run(work())


@cli.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print each unfinished run as a line of JSON.")
@click.pass_obj
def status_command(service: ServiceTarget, *, as_json: bool) -> int:
    """Show what is going on: the version, who executes runs, and unfinished runs.

    It makes no call.
    """
    wanted: Any = [state.value for state in UNFINISHED]

    async def work() -> int:
        async with connected(service) as client:
            runs = [each async for each in client.list_runs(states=wanted)]
        if as_json:
            echo_rows(runs)
            return 0
        click.echo(f"judge {version()}: {_executor(service)}.")
        if runs:
            _print_runs(runs, executed=is_executed(service, runs))
        else:
            click.echo("No run is unfinished.")
        return 0

    return run(work())


def _executor(service: ServiceTarget) -> str:
    """Say which process executes runs."""
    if service.server is not None:
        return f"the server at {service.server} executes runs"
    from judge.app.local import executing_process, store_in_use  # noqa: PLC0415  # only without a server

    return f"{executing_process(service.config) or 'no process executes'} runs of {store_in_use(service.config)}"


@cli.command("show")
@click.argument("name", metavar="RUN")
@click.argument("position", type=click.IntRange(min=0), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the run, or the verdict, as JSON.")
@click.pass_obj
def show_command(service: ServiceTarget, name: str, position: int | None, *, as_json: bool) -> int:
    """Show a run, or what was judged at a POSITION of its plan, with the reply.

    Positions count from 0. `judge export verdicts --run RUN` has all of them.
    """

    async def work() -> int:
        async with connected(service) as client:
            shown = await client.get_run(full_name(name))
            if position is None:
                echo_json(shown) if as_json else _print_run(shown, executed=is_executed(service, [shown]))
                return 0
            verdict = await client.get_verdict(shown.name, position)
        if verdict is None:
            _explain_missing(shown, position)
            return FAILED
        echo_json(verdict) if as_json else _print_verdict(verdict)
        return 0

    return run(work())


def _explain_missing(shown: Run, position: int) -> None:
    """Say why there is nothing at a position."""
    last = shown.counts.planned - 1
    if position > last:
        click.echo(f"judge: {shown.name} has positions 0 to {last:,}, not {position:,}", err=True)
    else:
        n_calls = shown.counts.calls
        calls = f"; the run has made {n_calls:,} call{'s' * (n_calls > 1)}" if n_calls else ""
        message = f". {sentence(shown.state_message)}" if shown.state_message else ""
        text = f"position {position:,} of {shown.name} ({state_word(shown)}) has no verdict yet{calls}{message}"
        click.echo(f"judge: {text}", err=True)


def _print_run(shown: Run, *, executed: bool) -> None:
    out = console()
    killed = was_killed(shown, executed=executed)
    if killed:
        # Nobody waits any more for what it waited for.
        shown.ClearField("state_message")
    out.print(f"{shown.name} over {shown.dataset}: {'interrupted' if killed else state_word(shown)}", style="bold")
    out.print(run_summary(shown, executed=executed).partition(": ")[2])
    if killed:
        out.print(how_to_continue(shown))
    ended = f", ended {to_minute(shown.end_time)}" if shown.HasField("end_time") else ""
    out.print(f"created {to_minute(shown.create_time)}{ended} (UTC)")
    for name, value in sorted(shown.metadata.items()):
        out.print(f"{name} = {value}")
    rows = [
        (
            each.judge.removeprefix("judges/"),
            f"{each.calls:,}",
            usd(each.cost_micros),
            f"{each.input_tokens:,}",
            f"{each.output_tokens:,}",
            f"{each.failed:,}",
        )
        for each in shown.spending
    ]
    table("", ("judge", "calls", "USD", "tokens in", "tokens out", "failed"), rows)


def _print_verdict(verdict: Verdict) -> None:
    from judge.cli.export_rows import as_row  # noqa: PLC0415  # it needs the messages

    row = as_row(verdict)
    out = console()
    shown = verdict.presentation
    out.print(f"{verdict.name}: {shown.prompt_id}, turn {shown.turn}: {shown.left} and {shown.right}", style="bold")
    first = shown.left if row.get("first", "left") == "left" else shown.right
    out.print(f"{verdict.judge} saw {first} first")
    result = row.get("status") or row.get("state") or "pending"
    out.print(f"{result}" + (f": {row['outcome']}" if "outcome" in row else ""))
    if verdict.reason:
        out.print(f"reason: {verdict.reason}")
    if verdict.raw:
        out.print(f"reply: {verdict.raw}")
    usage = verdict.usage
    reused = ", reused from an earlier call" if verdict.reused else ""
    out.print(f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out, ${usd(usage.cost_micros)}{reused}")


@cli.group("datasets", cls=Commands, params=[*SERVICE], invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print each dataset as a line of JSON.")
@click.pass_context
def datasets(context: click.Context, /, *, as_json: bool, **options: Any) -> int:  # noqa: ANN401  # those of every command
    """List datasets, or delete one."""
    service = context.obj = context.obj.with_options(options)
    return 0 if context.invoked_subcommand else run(_list_datasets(service, as_json=as_json))


async def _list_datasets(service: ServiceTarget, *, as_json: bool) -> int:
    async with connected(service) as client:
        rows: list[Dataset] = [each async for each in client.list_datasets()]
    if as_json:
        echo_rows(rows)
    elif rows:
        columns = ("dataset", "revision", "prompts", "outputs", "labels")
        table("", columns, [_dataset_row(each) for each in rows])
    else:
        click.echo("There are no datasets.", err=True)
    return 0


def _dataset_row(each: Dataset) -> tuple[str, ...]:
    counts = (each.revision, each.prompts, each.outputs, each.labels)
    return (each.name.removeprefix("datasets/"), *(f"{count:,}" for count in counts))


def _what_is_lost(doomed: DeleteDatasetResponse) -> str:
    """Say what is deleted with a dataset, and what it cost.

    >>> from judge.api.v1.dataset_service_pb2 import DeleteDatasetResponse
    >>> _what_is_lost(DeleteDatasetResponse(runs=2, cost_micros=460_000))
    'its 2 runs, which cost $0.4600'
    """
    cost = "at most " * bool(doomed.uncounted) + f"${usd(doomed.cost_micros)}"
    runs = f"its {counted(doomed.runs, 'run')}, which cost {cost}"
    if not doomed.replies:
        return runs
    replies = f"{counted(doomed.replies, 'reply', 'replies')} that no other dataset uses"
    return f"{runs} (without runs that were deleted before), and {replies}"


@datasets.command("delete")
@click.argument("name", metavar="DATASET")
@YES
@click.pass_obj
def delete_dataset_command(service: ServiceTarget, name: str, *, yes: bool) -> int:
    """Delete a dataset with its runs, and the replies that no other dataset needs.

    A run that has not ended must be cancelled first.
    """
    from judge.api.v1.run_service_pb2 import RunState as States  # noqa: PLC0415  # grpc's messages when needed

    executing = [States.Value(f"RUN_STATE_{state.name}") for state in EXECUTING]

    async def work() -> int:
        async with connected(service) as client:
            async for unfinished in client.list_runs(name, states=executing):
                run_id, state = unfinished.name.removeprefix("runs/"), state_word(unfinished)
                message = f"run {run_id} of {name} is {state}. Cancel it before you delete: judge cancel {run_id}"
                raise click.ClickException(message)
            bare = name.removeprefix("datasets/")
            doomed = await client.delete_dataset(name, validate_only=True)
            confirm(f"Delete dataset {bare} with {_what_is_lost(doomed)}?", yes=yes)
            deleted = await client.delete_dataset(name)
            click.echo(f"Deleted dataset {bare} with {_what_is_lost(deleted)}.", err=True)
            return 0

    return run(work())
