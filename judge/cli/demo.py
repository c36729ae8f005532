"""`judge demo`: import, judge, rank, and measure agreement on the bundled dataset, offline and without a key."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from judge.cli.agreement_tables import summary
from judge.cli.connect import ServiceTarget, run
from judge.cli.data import upload
from judge.cli.group import cli
from judge.cli.leaderboard_tables import print_leaderboard
from judge.cli.run_progress import exit_code, follow_run, run_summary

BUNDLED = Path(__file__).parents[1] / "demo"
JUDGES = ("longest", "matches-reference")
GOLD = "labels:construction"


@cli.command("demo")
@click.option("--judge", "more", multiple=True, help="Another judge of the configuration. Repeatable.")
@click.pass_obj
def demo_command(service: ServiceTarget, more: tuple[str, ...]) -> int:
    """Judge and rank the bundled answers, and measure agreement.

    Two baseline judges, which need no model, judge 480 comparisons of five contestants. Their verdicts are compared
    with labels that are right by construction. Nothing is kept.
    """
    from judge.api.v1 import ranking_service_pb2  # noqa: PLC0415  # grpc's messages when needed
    from judge.api.v1 import run_service_pb2 as pb  # noqa: PLC0415
    from judge.app.local import local_server  # noqa: PLC0415  # it loads the whole service
    from judge.formats import detect  # noqa: PLC0415
    from judge_client import JudgeClient  # noqa: PLC0415

    judges = list(dict.fromkeys((*JUDGES, *more)))

    async def work() -> int:
        with tempfile.TemporaryDirectory(prefix="judge-demo-") as folder:
            url = f"sqlite:///{folder}/judge.db"
            async with (
                local_server(service.config, store_url=url, listen="127.0.0.1:0") as address,
                JudgeClient(address) as client,
            ):
                click.echo(f"The demo's server listens on {address}.", err=True)
                await upload(client, "demo", detect.read(BUNDLED))
                spec = pb.RunSpec(dataset="datasets/demo", judges=[f"judges/{name}" for name in judges])
                ended = await follow_run(client, (await client.create_run(spec)).name)
                click.echo(run_summary(ended), err=True)
                run_id = ended.name.removeprefix("runs/")
                # With `longest`, the shortest contestant loses every battle and cannot be ranked; rank the others.
                largest = ranking_service_pb2.RankingOptions(degenerate=ranking_service_pb2.DEGENERATE_LARGEST)
                for name in judges:
                    leaderboard = await client.leaderboard("demo", f"run:{run_id}/{name}", largest)
                    print_leaderboard(leaderboard, f"Ranking by the judge {name}")
                reports = [(name, await client.agreement("demo", f"run:{run_id}/{name}", GOLD)) for name in judges]
                summary(reports, "the gold labels")
        click.echo(
            "\nThe labels are right by construction: a right answer beats a wrong one.\n"
            "Preferring the longer answer agrees with them less often than tossing a coin.\n"
            "Looking for the reference answer does well, but misses right answers that use\n"
            "other words."
        )
        return exit_code(ended)

    return run(work())
