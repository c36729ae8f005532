"""`judge settle`: what a run cost according to its provider."""

from __future__ import annotations

import click

from judge.cli.budget_options import Usd, micros
from judge.cli.connect import ServiceTarget, connected, run
from judge.cli.executed import is_executed
from judge.cli.group import cli
from judge.cli.run_control import full_name
from judge.cli.run_progress import run_summary


@cli.command("settle")
@click.argument("name", metavar="RUN")
@click.option("--cost-usd", type=Usd(), required=True, help="What the provider billed, in USD.")
@click.option("--judge", default="", help="The judge that was billed. Needed if the run has several.")
@click.pass_obj
def settle_command(service: ServiceTarget, name: str, cost_usd: float, judge: str) -> int:
    """Replace what a judge cost in a run by the provider's own total.

    The cost of calls that were lost with their process, or that the provider did not count, is only known at most. Look
    up the real total in the provider's console and enter it here. A resumed run continues with what its budget then
    leaves.
    """

    async def work() -> int:
        async with connected(service) as client:
            settled = await client.set_run_cost(full_name(name), micros(cost_usd), judge)
            click.echo(run_summary(settled, executed=is_executed(service, [settled])))
            return 0

    return run(work())
