"""`judge export bundle`, `judge replay`, and `judge verify`."""

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
from judge.cli.server_options import fill_defaults
from judge.cli.terminal import data_output
from judge.domain.defaults import RANKING

BUNDLE = click.argument("bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@export.command("bundle")
@click.option("--run", "run_name", required=True, help="The run. It must have ended.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write."
)
@click.option("--without-texts", is_flag=True, help="Write hashes instead of the texts of prompts and outputs.")
@ranking
@click.pass_obj
def bundle_command(
    service: ServiceTarget,
    /,
    run_name: str,
    output: Path,
    *,
    without_texts: bool,
    **values: Any,  # noqa: ANN401  # the options of ranking
) -> None:
    """Write a run as one file.

    `judge replay` ranks the file again, and `judge verify` checks it. Prints the SHA-256 of the file's manifest, which
    identifies its content. Options of ranking apply to the leaderboards in the file.
    """
    from judge.bundles.archive import BundleWriter  # noqa: PLC0415
    from judge.cli.bundle_export import BundleRequest, Bundling  # noqa: PLC0415  # grpc's messages when needed

    options = ranking_options(**values)
    # The bundle states every option, so that a later release with other defaults still replays the same leaderboards.
    fill_defaults(options, RANKING)
    if without_texts and options.style:
        raise click.UsageError("--style needs the texts, which --without-texts leaves out")
    target = output.resolve()
    partial = target.with_name(f"{target.name}.part")

    async def work() -> str:
        with partial.open("wb") as file, BundleWriter(file) as writer:
            async with connected(service) as client:
                bundling = Bundling(client, writer, BundleRequest(run_name, options, texts=not without_texts))
                digest = await bundling.write()
        click.echo(f"Wrote {bundling.answers:,} verdicts of {run_name} to {output}. SHA-256 of the manifest:", err=True)
        return digest

    try:
        digest = run(work())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    click.echo(digest)


@cli.command("replay", cls=click.Command)
@BUNDLE
@click.option("--json", "as_json", is_flag=True, help="Print the bytes of each leaderboard.")
def replay_command(bundle: Path, *, as_json: bool) -> int:
    """Rank the run in BUNDLE again, offline.

    Everything is computed from the raw replies, without a server or a network.
    Exits with 1 if a leaderboard differs from the one in the bundle by a single byte.
    """
    from judge.app.replay import replay  # noqa: PLC0415  # numpy when needed

    replays = replay(bundle)
    for replayed in replays:
        if as_json:
            click.echo(replayed.now, data_output(), nl=False)
        else:
            _print_replayed(replayed.source, replayed.now)
        result = "identical to" if replayed.same else "DIFFERENT from"
        click.echo(f"{replayed.source}: {result} {replayed.member} in the bundle", err=True)
    return 0 if all(replayed.same for replayed in replays) else FAILED


def _print_replayed(source: str, text: str) -> None:
    """Print a leaderboard from its JSON, or why the contestants are not ranked."""
    from judge.api.v1.leaderboard_pb2 import Leaderboard  # noqa: PLC0415  # grpc's messages when needed
    from judge.rpc import bundle_json  # noqa: PLC0415

    body = json.loads(text)
    if "refused" in body:
        click.echo(f"{source} is not ranked: {body['refused']['message']}")
    else:
        print_leaderboard(bundle_json.message_of(Leaderboard, body), f"Ranking by {source}")


@cli.command("verify", cls=click.Command)
@BUNDLE
@click.option("--json", "as_json", is_flag=True, help="Print the mismatches as JSON.")
def verify_command(bundle: Path, *, as_json: bool) -> int:
    """Check that everything in BUNDLE matches.

    Checks hashes, judges, plan, rounds, parsed verdicts, counts, and leaderboards, and prints a line for each mismatch.
    Exits with 1 if there is one.
    """
    from judge.app.verify import verify  # noqa: PLC0415  # numpy when needed

    report = verify(bundle)
    if as_json:
        mismatches = [{"member": mismatch.member, "message": mismatch.message} for mismatch in report.mismatches]
        click.echo(json.dumps({"manifest_sha256": report.digest, "mismatches": mismatches, "notes": report.notes}))
    else:
        for mismatch in report.mismatches:
            click.echo(mismatch)
        for note in report.notes:
            click.echo(f"note: {note}")
        click.echo(_verification(len(report.mismatches), report.digest), err=True)
    return FAILED if report.mismatches else 0


def _verification(n_mismatches: int, digest: str) -> str:
    if not n_mismatches:
        return f"Bundle verified: everything matches (manifest {digest})."
    count = "1 mismatch" if n_mismatches == 1 else f"{n_mismatches:,} mismatches"
    return f"Bundle NOT verified: {count} (manifest {digest})."
