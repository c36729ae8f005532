"""`judge run`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from judge.cli.budget_options import Usd, budget
from judge.cli.connect import ServiceTarget, connected, echo_json, run
from judge.cli.group import cli
from judge.cli.interrupted import follow_or_explain, summary_if_interrupted
from judge.cli.metadata_options import META, as_metadata
from judge.cli.run_progress import exit_code, run_summary
from judge.cli.server_options import EnumChoice, server_option
from judge.cli.tables import price_refusal, print_estimate
from judge.domain.run import ROUNDS
from judge.domain.run import Pairing as PairingOptions
from judge.rpc.enum_words import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from judge.api.v1.run_service_pb2 import Pairing, Run, RunSpec
    from judge_client import JudgeClient

MOST_REPEATS = 2**31 - 1
"""The most that the API can hold."""
_option = partial(server_option, PairingOptions())


def _pairing(pairs: str | None, turns: str | None, **fields: Any) -> Pairing:  # noqa: ANN401  # the message's fields
    """Build the message from the options of `judge run`. Raises BadParameter for values that are not understood."""
    from judge.api.v1 import run_service_pb2 as pb  # noqa: PLC0415

    repeats = fields["repeats"]
    if repeats is not None and not 1 <= repeats <= MOST_REPEATS:
        raise click.BadParameter(f"{repeats:,} is not from 1 to {MOST_REPEATS:,}", param_hint="--repeats")
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


async def _create(service: ServiceTarget, client: JudgeClient, spec: RunSpec, request_id: str | None) -> Run:
    """Create a run. If that is interrupted, say that a server may have created it."""
    try:
        return await client.create_run(spec, request_id)
    except asyncio.CancelledError:
        if service.server is not None:
            listed = f"judge --server {service.server} runs"
            click.echo(f"The server may have created the run, and goes on with it. See: {listed}", err=True)
        raise


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
@click.option("--budget-usd", type=Usd(), default=0.0, help="The maximum cost in USD; 0 means no limit.")
@click.option("--budget-hard", is_flag=True, help="Never exceed --budget-usd, even if that is slower and leaves more.")
@click.option("--budget-calls", type=int, default=0, help="The maximum number of calls; 0 means no limit.")
@META
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
    meta: tuple[str, ...],
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
        budget=budget(budget_usd, calls=budget_calls, hard=budget_hard),
        metadata=as_metadata(meta),
    )

    async def work() -> int:
        async with summary_if_interrupted(service), connected(service, executes=not estimate) as client:
            if estimate:
                estimate_reply = await client.estimate_run(spec)
                if as_json:
                    echo_json(estimate_reply)
                else:
                    print_estimate(estimate_reply)
                refusal = price_refusal(estimate_reply) if budget_usd else ""
                if refusal:
                    click.echo(f"judge: {refusal}", err=True)
                return 1 if refusal else 0
            created = await _create(service, client, spec, request_id)
            if not as_json:
                click.echo(created.name)
            last = created if detach else await follow_or_explain(service, client, created.name)
            if as_json:
                echo_json(last)
            click.echo(run_summary(last), err=True)
            return 0 if detach else exit_code(last)

    return run(work())
