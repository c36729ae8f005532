"""`judge rank` and `judge agree`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from judge.cli.connect import Where, connected, echo_json, run
from judge.cli.main import cli
from judge.cli.tables import agreement, leaderboard

if TYPE_CHECKING:
    from judge.api.v1.ranking_service_pb2 import Battle


def _battles(path: Path) -> list[Battle]:
    """The battles of a JSONL file; a wrong line is named."""
    from judge.formats.jsonl import battle  # noqa: PLC0415  # when needed
    from judge.formats.lines import read_rows  # noqa: PLC0415
    from judge.rpc import rows  # noqa: PLC0415  # the nouns to the wire

    return list(read_rows(path, lambda number, row: rows.battle(battle(number, row))))


@cli.command("rank")
@click.argument("source")
@click.option("--dataset", default="", help="The dataset of the source.")
@click.option("--method", default="bradley-terry", show_default=True, help="bradley-terry, elo or win-rate.")
@click.option("--k", default=4.0, show_default=True, help="Elo's K.")
@click.option("--by", type=click.Choice(["category"]), help="Also by category.")
@click.option("--reference", default="", help="The reference contestant.")
@click.option("--reconcile", type=click.Choice(["tie", "drop", "each", "soft"]), default="tie", show_default=True)
@click.option("--reading", default="", help="Which reading of replies: source, or a parser's name.")
@click.option("--largest", is_flag=True, help="Rank the largest part of a board that falls apart.")
@click.option("--json", "as_json", is_flag=True, help="Print the leaderboard as JSON.")
@click.pass_obj
def rank_command(
    where: Where,
    source: str,
    dataset: str,
    method: str,
    k: float,
    by: str | None,
    reference: str,
    reconcile: str,
    reading: str,
    *,
    largest: bool,
    as_json: bool,
) -> None:
    """Rank what SOURCE says: judge:NAME, run:RUN/JUDGE, people, labels:PATTERN, jury:A+B, or a file of battles."""
    from judge.api.v1 import outcome_pb2, ranking_service_pb2  # noqa: PLC0415

    options = ranking_service_pb2.RankingOptions(
        method=method,
        k=k,
        reference_contestant=reference,
        reconcile=outcome_pb2.Reconcile.Value(f"RECONCILE_{reconcile.upper()}"),
        by_category=by == "category",
        reading=reading,
        degenerate=ranking_service_pb2.DEGENERATE_LARGEST if largest else ranking_service_pb2.DEGENERATE_REFUSE,
    )

    async def work() -> None:
        async with connected(where) as client:
            if Path(source).is_file():
                board = await client.rank_battles(_battles(Path(source)), options)
            else:
                board = await client.leaderboard(dataset, source, options)
        if as_json:
            echo_json(board)
        else:
            leaderboard(board, f"Ranking by {source}")

    run(work())


@cli.command("agree")
@click.argument("source")
@click.argument("target", required=False, default="")
@click.option("--dataset", required=True, help="The dataset of both.")
@click.option("--unit", type=click.Choice(["vote", "plurality"]), help="What is counted.")
@click.option("--orientation", type=click.Choice(["both", "sorted"]), default="both", show_default=True)
@click.option("--reconcile", type=click.Choice(["tie", "drop", "each", "soft"]), default="tie", show_default=True)
@click.option("--reading", default="", help="Which reading of replies: source, or a parser's name.")
@click.option("--by", "cuts", multiple=True, type=click.Choice(["turn", "category", "pair", "annotator"]))
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def agree_command(
    where: Where,
    source: str,
    target: str,
    dataset: str,
    unit: str | None,
    orientation: str,
    reconcile: str,
    reading: str,
    cuts: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Say how far SOURCE agrees with TARGET, or SOURCE's annotators among themselves."""
    from judge.api.v1 import agreement_service_pb2, outcome_pb2  # noqa: PLC0415

    named = f"AGREEMENT_UNIT_{unit.upper()}" if unit else "AGREEMENT_UNIT_UNSPECIFIED"
    options = agreement_service_pb2.AgreementOptions(
        unit=agreement_service_pb2.AgreementUnit.Value(named),
        orientation=agreement_service_pb2.Orientation.Value(f"ORIENTATION_{orientation.upper()}"),
        reconcile=outcome_pb2.Reconcile.Value(f"RECONCILE_{reconcile.upper()}"),
        reading=reading,
        by_turn="turn" in cuts,
        by_category="category" in cuts,
        by_pair="pair" in cuts,
        by_annotator="annotator" in cuts,
    )

    async def work() -> None:
        async with connected(where) as client:
            report = await client.agreement(dataset, source, target, options)
        if as_json:
            echo_json(report)
        else:
            agreement(report, f"{source} and {target or 'its own annotators'}")

    run(work())
