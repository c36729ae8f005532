"""`judge settle`: what a run cost according to its provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from judge.cli.budget_options import Usd, micros
from judge.cli.connect import ServiceTarget, connected, run
from judge.cli.executed import is_executed
from judge.cli.group import cli
from judge.cli.run_control import YES, confirm, full_name
from judge.cli.run_progress import run_summary
from judge.domain.money import usd

if TYPE_CHECKING:
    from judge.api.v1.run_service_pb2 import Run


@cli.command("settle")
@click.argument("name", metavar="RUN")
@click.option("--cost-usd", type=Usd(), required=True, help="What the provider billed, in USD.")
@click.option("--judge", default="", help="The judge that was billed. Needed if the run has several.")
@YES
@click.pass_obj
def settle_command(service: ServiceTarget, name: str, cost_usd: float, judge: str, *, yes: bool) -> int:
    """Replace what a judge cost in a run by the provider's own total.

    The cost of calls that were lost with their process, or that the provider did not count, is only known at most. Look
    up the real total in the provider's console and enter it here. A resumed run continues with what its budget then
    leaves. Asks first if the total is more than the calls can cost at the judge's price.
    """

    async def work() -> int:
        async with connected(service) as client:
            most = _most_micros(await client.get_run(full_name(name)), judge)
            if 0 < most < micros(cost_usd):
                question = (
                    f"The calls cost at most ${usd(most)} by their tokens and the judge's price. "
                    f"Enter ${usd(micros(cost_usd))}?"
                )
                confirm(question, yes=yes)
            settled = await client.set_run_cost(full_name(name), micros(cost_usd), judge)
            click.echo(run_summary(settled, executed=is_executed(service, [settled])))
            return 0

    return run(work())


def _most_micros(unsettled: Run, judge: str) -> int:
    """Return what the calls of a judge can have cost at most, in micro-USD; 0 if it is not known.

    Without a *judge*, that is the sum over all judges. Calls that have not settled count whichever judge made them.
    """
    wanted = judge.removeprefix("judges/")
    spent = [each for each in unsettled.spending if wanted in ("", each.judge.removeprefix("judges/"))]
    booked = sum(each.cost_micros for each in spent)
    return booked + unsettled.open.cost_micros
