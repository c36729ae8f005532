"""`judge export bundle`, `judge replay` and `judge verify`: a run as one file, ranked again and checked offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from judge.cli.connect import ServiceTarget, connected, run
from judge.cli.export import export
from judge.cli.group import FAILED, cli
from judge.cli.leaderboard_tables import print_leaderboard
from judge.cli.rank_options import ranking, ranking_options

BUNDLE = click.argument("bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@export.command("bundle")
@click.option("--run", "run_name", required=True, help="The run: it must have ended.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write."
)
@click.option("--without-texts", is_flag=True, help="Hashes in place of the texts of prompts and outputs.")
@ranking
@click.pass_obj
def bundle_command(where: ServiceTarget, /, run_name: str, output: Path, *, without_texts: bool, **said: Any) -> None:  # noqa: ANN401  # how to rank
    """Write a run as one file that `judge replay` ranks again and `judge verify` checks.

    Prints the SHA-256 of its manifest, which names all of its content.
    """
    from judge.bundles.archive import BundleWriter  # noqa: PLC0415
    from judge.cli.bundle_export import BundleRequest, Bundling  # noqa: PLC0415  # grpc's messages when needed

    options = ranking_options(**said)
    if without_texts and options.style:
        raise click.UsageError("--style looks at the texts, which --without-texts leaves out")
    target = output.resolve()
    beside = target.with_name(f"{target.name}.part")

    async def work() -> str:
        with beside.open("wb") as file, BundleWriter(file) as writer:
            async with connected(where) as client:
                bundling = Bundling(client, writer, BundleRequest(run_name, options, not without_texts))
                digest = await bundling.write()
        click.echo(f"{output}: {bundling.answers} answers of {run_name}", err=True)
        return digest

    try:
        digest = run(work())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    click.echo(digest)


@cli.command("replay", cls=click.Command)
@BUNDLE
@click.option("--json", "as_json", is_flag=True, help="Print each leaderboard's bytes.")
def replay_command(bundle: Path, *, as_json: bool) -> int:
    """Rank again what BUNDLE holds, from its raw replies, without a server or a network.

    Exits with 1 where a leaderboard has other bytes than the one in the bundle.
    """
    from judge.app.replay import replay  # noqa: PLC0415  # numpy when needed

    found = replay(bundle)
    for one in found:
        if as_json:
            click.echo(one.now, nl=False)
        else:
            _shown(one.source, one.now)
        told = "the same bytes as in the bundle" if one.same else f"OTHER bytes than {one.member} in the bundle"
        click.echo(f"{one.source}: {told}", err=True)
    return 0 if all(one.same for one in found) else FAILED


def _shown(source: str, text: str) -> None:
    from judge.api.v1.leaderboard_pb2 import Leaderboard  # noqa: PLC0415  # grpc's messages when needed
    from judge.rpc import bundle_json  # noqa: PLC0415

    body = json.loads(text)
    if "refused" in body:
        click.echo(f"{source} is not ranked: {body['refused']['message']}")
    else:
        print_leaderboard(bundle_json.message_of(Leaderboard, body), f"Ranking by {source}")


@cli.command("verify", cls=click.Command)
@BUNDLE
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def verify_command(bundle: Path, *, as_json: bool) -> int:
    """Say what in BUNDLE does not match: hashes, judges, plan, rounds, readings, counts and leaderboards.

    Exits with 1 where something does not.
    """
    from judge.app.verify import verify  # noqa: PLC0415  # numpy when needed

    found = verify(bundle)
    if as_json:
        mismatches = [{"member": one.member, "message": one.told} for one in found.mismatches]
        click.echo(json.dumps({"manifest_sha256": found.digest, "mismatches": mismatches, "notes": found.notes}))
    else:
        for one in found.mismatches:
            click.echo(one)
        for note in found.notes:
            click.echo(f"note: {note}")
        click.echo(f"{len(found.mismatches) or 'nothing'} does not match in {found.digest}", err=True)
    return FAILED if found.mismatches else 0
