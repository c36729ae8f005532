"""`judge serve` and `judge judges`."""

from __future__ import annotations

import click

from judge.cli.connect import Where, connected, echo_json, run
from judge.cli.main import cli
from judge.cli.tables import table


@cli.command("serve")
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; default 127.0.0.1:50051.")
@click.pass_obj
def serve_command(where: Where, listen: str | None) -> int:
    """Serve until told to stop, then drain."""
    if where.server:
        raise click.UsageError("serve is the server; say where with --listen HOST:PORT")
    from judge.app.serve import serve  # noqa: PLC0415  # the whole house

    return run(serve(where.config, listen))


@cli.command("judges")
@click.option("--json", "as_json", is_flag=True, help="Print each judge as JSON.")
@click.pass_obj
def judges_command(where: Where, *, as_json: bool) -> None:
    """List the judges that can be asked, and those whose verdicts were uploaded."""

    async def work() -> None:
        async with connected(where) as client:
            judges = [judge async for judge in client.list_judges()]
        if as_json:
            for judge in judges:
                echo_json(judge)
            return
        rows = [
            (j.name.removeprefix("judges/"), j.backend, j.model or "-", j.rubric, j.unavailable_reason or "yes")
            for j in judges
        ]
        table("Judges", ("name", "backend", "model", "rubric", "available"), rows)

    run(work())
