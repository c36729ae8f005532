"""`judge demo`: the whole way on the bundled answers, keyless and offline."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from judge.cli.agreement_tables import summary
from judge.cli.connect import ServiceTarget, run
from judge.cli.data import upload
from judge.cli.group import cli
from judge.cli.leaderboard_tables import print_leaderboard
from judge.cli.runs import exit_code, followed, told

BUNDLED = Path(__file__).parents[1] / "demo"
JUDGES = ("longest", "matches-reference")
GOLD = "labels:construction"


@cli.command("demo")
@click.option("--judge", "more", multiple=True, help="Another configured judge, for instance openai.")
@click.pass_obj
def demo_command(where: ServiceTarget, more: tuple[str, ...]) -> int:
    """Judge the bundled answers with two yardsticks, rank, and measure agreement."""
    from judge.api.v1 import ranking_service_pb2  # noqa: PLC0415  # grpc's messages when needed
    from judge.api.v1 import run_service_pb2 as pb  # noqa: PLC0415
    from judge.app.local import local_server  # noqa: PLC0415  # the whole house
    from judge.formats import jsonl  # noqa: PLC0415
    from judge_client import JudgeClient  # noqa: PLC0415

    judges = list(dict.fromkeys((*JUDGES, *more)))

    async def work() -> int:
        with tempfile.TemporaryDirectory(prefix="judge-demo-") as folder:
            url = f"sqlite:///{folder}/judge.db"
            async with (
                local_server(where.config, store_url=url, listen="127.0.0.1:0") as address,
                JudgeClient(address) as client,
            ):
                click.echo(f"server on {address}", err=True)
                await upload(client, "demo", jsonl.read(BUNDLED))
                spec = pb.RunSpec(dataset="datasets/demo", judges=[f"judges/{name}" for name in judges])
                ended = await followed(client, (await client.create_run(spec)).name)
                click.echo(told(ended), err=True)
                run_id = ended.name.removeprefix("runs/")
                # To `longest` the shortest contestant loses every battle: it is named, and the others are ranked.
                largest = ranking_service_pb2.RankingOptions(degenerate=ranking_service_pb2.DEGENERATE_LARGEST)
                for name in judges:
                    leaderboard = await client.leaderboard("demo", f"run:{run_id}/{name}", largest)
                    print_leaderboard(leaderboard, f"Ranking by the judge {name}")
                reports = [(name, await client.agreement("demo", f"run:{run_id}/{name}", GOLD)) for name in judges]
                summary(reports, "the gold labels")
        click.echo(
            "The labels follow from how the answers were made. Preferring the longer answer\n"
            "agrees with them less often than a coin would; looking the answer up does well,\n"
            "and misses where a right answer is put in other words."
        )
        return exit_code(ended)

    return run(work())
