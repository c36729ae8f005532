"""`judge run` and `judge watch`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from judge.cli.connect import ServiceTarget, connected, echo_json, run
from judge.cli.group import FAILED, cli
from judge.cli.tables import estimated, usd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from judge.api.v1.run_service_pb2 import Pairing, Run
    from judge_client import JudgeClient

PARTIAL = 3


def exit_code(ended: Run) -> int:
    """0 for full coverage, 3 for less, 1 for a run that failed."""
    from judge.api.v1.run_service_pb2 import RUN_STATE_FAILED  # noqa: PLC0415  # grpc's messages when needed

    if ended.state == RUN_STATE_FAILED:
        return FAILED
    return 0 if ended.counts.by_status.get("ok", 0) == ended.counts.planned else PARTIAL


def told(ended: Run) -> str:
    """How a run ended, in one line."""
    counts = ", ".join(f"{n} {name}" for name, n in sorted(ended.counts.by_status.items()))
    message = f"; {ended.state_message}" if ended.state_message else ""
    cost = f", {usd(ended.cost_micros)} USD" if ended.cost_micros else ""
    rounds = f" in {ended.round} rounds" if ended.round else ""
    done = f"{counts or 'nothing judged'} of {ended.counts.planned}{rounds}, {ended.counts.calls} calls{cost}"
    return f"{ended.name}: {done}{message}"


async def followed(client: JudgeClient, name: str) -> Run:
    """The run once it has ended, with a progress bar on stderr."""
    from rich.console import Console  # noqa: PLC0415  # rich is imported when a bar is shown
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    from judge.api.v1.run_service_pb2 import RUN_STATE_WAITING  # noqa: PLC0415  # grpc's messages when needed

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("judging", total=None)
        snapshot = None
        async for snapshot in client.watch_run(name):
            counts = snapshot.counts
            doing = f"waiting: {snapshot.state_reason}" if snapshot.state == RUN_STATE_WAITING else "judging"
            doing += f", round {snapshot.round}" if snapshot.round else ""
            progress.update(bar, description=doing, total=counts.planned, completed=counts.planned - counts.pending)
    return snapshot if snapshot is not None else await client.get_run(name)


def _pairing(pairs: str, turns: str, orders: str) -> Pairing:
    from judge.api.v1 import run_service_pb2 as pb  # noqa: PLC0415

    kind, _, rest = pairs.partition(":")
    if kind not in ("all", "against", "random", "adaptive", "labelled", "listed"):
        raise click.BadParameter(f"{pairs!r} is none of all, against:NAME, random:N, adaptive, labelled, listed")
    made = pb.Pairing(policy=pb.PairPolicy.Value(f"PAIR_POLICY_{kind.upper()}"))
    if kind == "against":
        made.reference_contestant = rest
    if kind == "adaptive" and rest:
        raise click.BadParameter("adaptive takes its number as --count N")
    if kind == "random":
        if not rest.isdigit():
            raise click.BadParameter("random needs a number: random:N")
        made.count = int(rest)
    if turns.isdigit():
        made.turns, made.turn = pb.TURN_POLICY_NUMBER, int(turns)
    elif turns in ("last", "each"):
        made.turns = pb.TurnPolicy.Value(f"TURN_POLICY_{turns.upper()}")
    else:
        raise click.BadParameter(f"{turns!r} is none of last, each, N")
    made.orders = pb.OrderPolicy.Value(f"ORDER_POLICY_{orders.upper()}")
    return made


def _add_adaptive(pairing: Pairing, pairs: str, said: Mapping[str, Any]) -> None:
    """Put the options of adaptive runs into *pairing*."""
    if pairs == "adaptive" and said["count"] < 1:
        raise click.UsageError("--pairs adaptive needs --count: the most comparisons it may make")
    for name, value in said.items():
        if value:
            if pairs != "adaptive":
                raise click.UsageError(f"--{name.replace('_', '-')} goes with --pairs adaptive")
            setattr(pairing, name, value)


@cli.command("run")
@click.argument("dataset")
@click.option("--judge", "judges", multiple=True, required=True, help="A judge's name; may be given more than once.")
@click.option(
    "--pairs", default="all", show_default=True, help="all, against:NAME, random:N, adaptive, labelled or listed."
)
@click.option("--count", default=0, help="The most comparisons an adaptive run makes.")
@click.option("--round-size", default=0, help="Comparisons in a round of an adaptive run; 0 is a tenth of --count.")
@click.option("--top", default=0, help="Compare to find the best so many, not the whole order.")
@click.option("--precision", default=0.0, help="End once every rating is known to so many points either way.")
@click.option("--separated", is_flag=True, help="End once everybody is told apart, or the best --top from the rest.")
@click.option("--turns", default="last", show_default=True, help="last, each, or a number.")
@click.option("--orders", type=click.Choice(["both", "one", "random"]), default="both", show_default=True)
@click.option("--category", "categories", multiple=True, help="Only prompts of this category.")
@click.option("--contestant", "contestants", multiple=True, help="Only these contestants.")
@click.option("--repeats", default=1, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--cache-tag", default="", help="Judge the same content afresh under this word.")
@click.option("--budget-usd", type=float, default=0.0, help="Spend no more than this; 0 is no limit.")
@click.option("--budget-calls", type=int, default=0, help="Make no more calls than this; 0 is no limit.")
@click.option("--request-id", default=None, help="The same id gives the same run.")
@click.option("--estimate", is_flag=True, help="Say what it would take, and judge nothing.")
@click.option("--detach", is_flag=True, help="Print the run's name and leave it at work (needs --server).")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON.")
@click.pass_obj
def run_command(  # one option each
    where: ServiceTarget,
    /,
    dataset: str,
    judges: tuple[str, ...],
    pairs: str,
    turns: str,
    orders: str,
    categories: tuple[str, ...],
    contestants: tuple[str, ...],
    repeats: int,
    seed: int,
    cache_tag: str,
    budget_usd: float,
    budget_calls: int,
    request_id: str | None,
    *,
    estimate: bool,
    detach: bool,
    as_json: bool,
    **adaptive: Any,  # noqa: ANN401  # the options of adaptive runs, called as the wire calls them
) -> int:
    """Judge the pairs of DATASET; print the run's name and wait for it."""
    from judge.api.v1 import run_service_pb2 as pb  # noqa: PLC0415

    if detach and where.server is None:
        raise click.UsageError("--detach needs --server: without one the run would end with this command")
    pairing = _pairing(pairs, turns, orders)
    _add_adaptive(pairing, pairs, adaptive)
    pairing.categories.extend(categories)
    pairing.contestants.extend(contestants)
    pairing.repeats, pairing.seed, pairing.cache_tag = repeats, seed, cache_tag
    spec = pb.RunSpec(
        dataset=f"datasets/{dataset}",
        judges=[f"judges/{name}" for name in judges],
        pairing=pairing,
        budget=pb.Budget(cost_micros=round(budget_usd * 1_000_000), calls=budget_calls),
    )

    async def work() -> int:
        async with connected(where) as client:
            if estimate:
                found = await client.estimate_run(spec)
                if as_json:
                    echo_json(found)
                else:
                    estimated(found)
                return 0
            made = await client.create_run(spec, request_id)
            if not as_json:
                click.echo(made.name)
            ended = made if detach else await followed(client, made.name)
            if as_json:
                echo_json(ended)
            click.echo(told(ended), err=True)
            return 0 if detach else exit_code(ended)

    return run(work())


@cli.command("reparse")
@click.argument("name")
@click.option("--parser", default="", help="Such as brackets or likert-8~1.5; without it the judges' own.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.pass_obj
def reparse_command(where: ServiceTarget, name: str, parser: str, *, as_json: bool) -> int:
    """Read the stored replies of the run NAME with another parser; no call is made.

    The new readings stand beside the old ones: `judge rank --parser PARSER` uses them.
    """

    async def work() -> int:
        async with connected(where) as client:
            read = await client.reparse_run(name if name.startswith("runs/") else f"runs/{name}", parser)
            if as_json:
                echo_json(read)
            else:
                click.echo(f"{read.read} replies read, {read.changed} otherwise, {read.unreadable} unreadable")
            return 0

    return run(work())


@cli.command("watch")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON when it has ended.")
@click.pass_obj
def watch_command(where: ServiceTarget, name: str, *, as_json: bool) -> int:
    """Wait for the run NAME with a progress bar."""

    async def work() -> int:
        async with connected(where) as client:
            ended = await followed(client, name if name.startswith("runs/") else f"runs/{name}")
            if as_json:
                echo_json(ended)
            click.echo(told(ended), err=True)
            return exit_code(ended)

    return run(work())
