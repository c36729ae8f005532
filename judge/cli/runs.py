"""`judge run`, `judge resume`, `judge reparse`, and `judge watch`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from judge.cli.connect import ServiceTarget, connected, echo_json, run
from judge.cli.group import FAILED, cli
from judge.cli.server_options import EnumChoice, server_option
from judge.cli.tables import print_estimate, usd
from judge.domain.run import INTERRUPTED, ROUNDS
from judge.domain.run import Pairing as PairingOptions
from judge.rpc.enum_words import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from judge.api.v1.run_service_pb2 import Pairing, Run
    from judge_client import JudgeClient

PARTIAL = 3
_option = partial(server_option, PairingOptions())


def exit_code(ended: Run) -> int:
    """Return 0 if every verdict is there, 3 if some are missing, and 1 if the run failed."""
    from judge.api.v1.run_service_pb2 import RUN_STATE_FAILED  # noqa: PLC0415  # grpc's messages when needed

    if ended.state == RUN_STATE_FAILED:
        return FAILED
    return 0 if ended.counts.by_status.get("ok", 0) == ended.counts.planned else PARTIAL


def run_summary(state: Run) -> str:
    """Say how far a run has got, how many calls it made, what they cost, and why it stopped early."""
    counts, budget = state.counts, state.budget
    by_status = dict(counts.by_status)
    done = by_status.pop("ok", 0)
    others = ", ".join(f"{n:,} {status.replace('_', ' ')}" for status, n in sorted(by_status.items()))
    calls = f"{counts.calls:,} of at most {budget.calls:,} calls" if budget.calls else f"{counts.calls:,} calls"
    parts = (
        f"{state.name}: {done:,} of {counts.planned:,} verdicts done",
        f" ({others})" if others else "",
        f" in {state.round} rounds" if state.round else "",
        f", {calls}",
        f", {_cost(state)}" if state.cost_micros else "",
        f". {state.state_message[:1].upper()}{state.state_message[1:]}" if state.state_message else "",
    )
    return "".join(parts).removesuffix(".") + "."


def _cost(state: Run) -> str:
    """Say what a run cost: "at most" if there are calls whose cost is not known, and of which budget."""
    uncounted = sum(judge.uncounted for judge in state.spending)
    limit = f" of ${usd(state.budget.cost_micros)}" if state.budget.cost_micros else ""
    if not uncounted:
        return f"${usd(state.cost_micros)}{limit}"
    return f"at most ${usd(state.cost_micros)}{limit} (nobody counted {uncounted:,} call{'s' * (uncounted > 1)})"


async def follow_run(client: JudgeClient, name: str) -> Run:
    """Show a progress bar on stderr until the run ends or was interrupted, and return its last state."""
    from rich.console import Console  # noqa: PLC0415  # rich is imported when a bar is shown
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    from judge.api.v1.run_service_pb2 import (  # noqa: PLC0415  # grpc's messages when needed
        RUN_STATE_PAUSED,
        RUN_STATE_WAITING,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("judging", total=None)
        snapshot = None
        async for snapshot in client.watch_run(name):
            counts = snapshot.counts
            activity = f"waiting: {snapshot.state_reason}" if snapshot.state == RUN_STATE_WAITING else "judging"
            activity += f", round {snapshot.round}" if snapshot.round else ""
            progress.update(bar, description=activity, total=counts.planned, completed=counts.planned - counts.pending)
            if snapshot.state == RUN_STATE_PAUSED and snapshot.state_reason == INTERRUPTED:
                break
    return snapshot if snapshot is not None else await client.get_run(name)


def _pairing(pairs: str | None, turns: str | None, **fields: Any) -> Pairing:  # noqa: ANN401  # the message's fields
    """Build the message from the options of `judge run`. Raises BadParameter for values that are not understood."""
    from judge.api.v1 import run_service_pb2 as pb  # noqa: PLC0415

    pairing = pb.Pairing(**fields)
    if pairs is not None:
        _set_policy(pairing, pairs)
    if turns is None:
        return pairing
    if turns.isdigit():
        pairing.turns, pairing.turn = pb.TURN_POLICY_NUMBER, int(turns)
    elif turns in ("last", "each"):
        pairing.turns = pb.TurnPolicy.Value(f"TURN_POLICY_{turns.upper()}")
    else:
        raise click.BadParameter(f"{turns!r} is unknown; use last, each, or a number", param_hint="--turns")
    return pairing


def _set_policy(pairing: Pairing, pairs: str) -> None:
    """Set the policy of *pairing*, with the name or number that it takes. Raises BadParameter if it is unknown."""
    from judge.api.v1 import run_service_pb2 as pb  # noqa: PLC0415

    kind, _, rest = pairs.partition(":")
    policies = {word: name for name, word in words(pb.PairPolicy.DESCRIPTOR).items()}
    if kind not in policies:
        known = "all, against:NAME, random:N, adaptive, labeled, or listed"
        raise click.BadParameter(f"{pairs!r} is unknown; use {known}", param_hint="--pairs")
    pairing.policy = pb.PairPolicy.Value(policies[kind])
    if kind == "against":
        pairing.reference_contestant = rest
    if kind == "adaptive" and rest:
        raise click.BadParameter(f"{pairs!r} has no number; use --pairs adaptive --count N", param_hint="--pairs")
    if kind == "random":
        if not rest.isdigit():
            raise click.BadParameter(
                f"{pairs!r} needs the number of comparisons, such as random:500", param_hint="--pairs"
            )
        pairing.count = int(rest)


def _add_adaptive(pairing: Pairing, pairs: str | None, options: Mapping[str, Any]) -> None:
    """Put the options of adaptive runs into *pairing*. Raises UsageError if they do not fit *pairs*."""
    if pairs == "adaptive" and options["count"] < 1:
        raise click.UsageError("--pairs adaptive needs --count N, the largest number of comparisons")
    for name, value in options.items():
        if value:
            if pairs != "adaptive":
                raise click.UsageError(f"--{name.replace('_', '-')} needs --pairs adaptive")
            setattr(pairing, name, value)


@cli.command("run")
@click.argument("dataset")
@click.option("--judge", "judges", multiple=True, required=True, help="A judge's name. Repeatable.")
@_option(
    "--pairs",
    "policy",
    type=str,
    help="Which pairs to compare: all, against:NAME, random:N, adaptive, labeled, or listed.",
)
@click.option("--count", default=0, help="Adaptive: the maximum number of comparisons.")
@click.option("--round-size", default=0, help=f"Adaptive: comparisons in a round. By default, --count / {ROUNDS}.")
@click.option("--top", default=0, help="Adaptive: find the best N contestants, not the whole order.")
@click.option("--precision", default=0.0, help="Adaptive: stop once all intervals are within +- this many points.")
@click.option(
    "--separated",
    is_flag=True,
    help="Adaptive: stop once all contestants, or the best --top and the rest, are significantly different.",
)
@_option("--turns", type=str, help="Which turns to judge: last, each, or a number.")
@_option(
    "--orders",
    type=EnumChoice("run_service_pb2", "Pairing", "orders"),
    help="Show each pair in both orders, with the left output first, or in a random order.",
)
@click.option("--category", "categories", multiple=True, help="Only prompts of this category. Repeatable.")
@click.option("--contestant", "contestants", multiple=True, help="Only contestants of this name. Repeatable.")
@_option("--repeats", help="How often to judge each pair in each order.")
@_option("--seed", help="Seed of everything that is drawn at random.")
@click.option("--cache-tag", default="", help="Any word. With a new word, stored verdicts are not reused.")
@click.option("--budget-usd", type=float, default=0.0, help="The maximum cost in USD; 0 means no limit.")
@click.option("--budget-hard", is_flag=True, help="Never exceed --budget-usd, even if that is slower and leaves more.")
@click.option("--budget-calls", type=int, default=0, help="The maximum number of calls; 0 means no limit.")
@click.option("--request-id", default=None, help="Any string; the same one never starts a second run.")
@click.option("--estimate", is_flag=True, help="Print the number of calls and the cost, and judge nothing.")
@click.option("--detach", is_flag=True, help="Print the run's name and don't wait for it. Needs --server.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON.")
@click.pass_obj
def run_command(  # one option each
    service: ServiceTarget,
    /,
    dataset: str,
    judges: tuple[str, ...],
    policy: str | None,
    turns: str | None,
    orders: str | None,
    categories: tuple[str, ...],
    contestants: tuple[str, ...],
    repeats: int | None,
    seed: int | None,
    cache_tag: str,
    budget_usd: float,
    budget_calls: int,
    budget_hard: bool,
    request_id: str | None,
    *,
    estimate: bool,
    detach: bool,
    as_json: bool,
    **adaptive: Any,  # noqa: ANN401  # the options of adaptive runs, which have the names of the message's fields
) -> int:
    """Judge pairs of outputs in DATASET.

    Prints the run's name and waits until the run ends. Verdicts that are stored already cost nothing. Exits with 0 if
    every verdict is there, with 3 if some are missing, and with 1 if the run failed.
    """
    from judge.api.v1 import run_service_pb2 as pb  # noqa: PLC0415

    if detach and service.server is None:
        raise click.UsageError(
            "--detach needs --server HOST:PORT: without a server, the run ends when this command does"
        )
    pairing = _pairing(
        policy,
        turns,
        orders=orders,
        categories=categories,
        contestants=contestants,
        repeats=repeats,
        seed=seed,
        cache_tag=cache_tag,
    )
    _add_adaptive(pairing, policy, adaptive)
    spec = pb.RunSpec(
        dataset=f"datasets/{dataset}",
        judges=[f"judges/{name}" for name in judges],
        pairing=pairing,
        budget=pb.Budget(cost_micros=round(budget_usd * 1_000_000), calls=budget_calls, hard=budget_hard),
    )

    async def work() -> int:
        async with connected(service) as client:
            if estimate:
                estimate_reply = await client.estimate_run(spec)
                if as_json:
                    echo_json(estimate_reply)
                else:
                    print_estimate(estimate_reply)
                return 0
            created = await client.create_run(spec, request_id)
            if not as_json:
                click.echo(created.name)
            last = created if detach else await _follow_or_explain(service, client, created.name)
            if as_json:
                echo_json(last)
            click.echo(run_summary(last), err=True)
            return 0 if detach else exit_code(last)

    return run(work())


@cli.command("reparse")
@click.argument("name")
@click.option("--parser", default="", help="Such as brackets or likert-8~1.5. By default, each judge's own parser.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.pass_obj
def reparse_command(service: ServiceTarget, name: str, parser: str, *, as_json: bool) -> int:
    """Parse the stored replies of a run again.

    No calls are made. The new verdicts are kept next to the old ones: `judge rank --parser PARSER` uses them.
    """

    async def work() -> int:
        async with connected(service) as client:
            counts = await client.reparse_run(name if name.startswith("runs/") else f"runs/{name}", parser)
            if as_json:
                echo_json(counts)
            else:
                click.echo(
                    f"{counts.read:,} replies parsed: {counts.changed:,} with another result, "
                    f"{counts.unreadable:,} unreadable."
                )
            return 0

    return run(work())


async def _follow_or_explain(service: ServiceTarget, client: JudgeClient, name: str) -> Run:
    """Follow a run until it ends. If that is interrupted, say what happens to the run and how to continue."""
    try:
        return await follow_run(client, name)
    except asyncio.CancelledError:
        if service.server is None:
            click.echo(f"Pausing {name}. Continue with: judge resume {name}", err=True)
        else:
            click.echo(f"{name} continues on the server. See: judge --server {service.server} watch {name}", err=True)
        raise


@cli.command("resume")
@click.argument("name")
@click.option("--budget-usd", type=float, default=None, help="A new maximum cost in USD; 0 means no limit.")
@click.option("--budget-hard", is_flag=True, help="Never exceed --budget-usd, even if that is slower and leaves more.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON.")
@click.pass_obj
def resume_command(
    service: ServiceTarget, name: str, budget_usd: float | None, *, budget_hard: bool, as_json: bool
) -> int:
    """Continue the run NAME, and wait until it ends. Presentations without a verdict are tried again."""
    from judge.api.v1 import run_service_pb2 as pb  # noqa: PLC0415

    budget = None if budget_usd is None else pb.Budget(cost_micros=round(budget_usd * 1_000_000), hard=budget_hard)

    async def work() -> int:
        async with connected(service) as client:
            resumed = await client.resume_run(name if name.startswith("runs/") else f"runs/{name}", budget)
            last = await _follow_or_explain(service, client, resumed.name)
            if as_json:
                echo_json(last)
            click.echo(run_summary(last), err=True)
            return exit_code(last)

    return run(work())


@cli.command("watch")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON when it has ended.")
@click.pass_obj
def watch_command(service: ServiceTarget, name: str, *, as_json: bool) -> int:
    """Show the progress of the run NAME until it ends. Without a server, show how far it is: nothing executes it."""
    from judge.api.v1.run_service_pb2 import RUN_STATE_CANCELLED  # noqa: PLC0415  # grpc's messages when needed
    from judge.config.settings import load  # noqa: PLC0415  # only without a server

    async def work() -> int:
        async with connected(service) as client:
            watched = name if name.startswith("runs/") else f"runs/{name}"
            here = service.server is None and load(service.config).engine == "local"
            ended = await (client.get_run(watched) if here else follow_run(client, watched))
            if here and ended.state < RUN_STATE_CANCELLED:
                click.echo(f"No process executes this run. Continue with: judge resume {ended.name}", err=True)
            if as_json:
                echo_json(ended)
            click.echo(run_summary(ended), err=True)
            return exit_code(ended)

    return run(work())
