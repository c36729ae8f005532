"""`judge rank` and `judge agree`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from judge.cli.agreement_tables import agreement
from judge.cli.anchors_from import earlier_leaderboard, keep_scale
from judge.cli.connect import ServiceTarget, connected, echo_json, run
from judge.cli.disagreement_view import disagreement
from judge.cli.group import cli
from judge.cli.leaderboard_tables import leaderboard_csv, leaderboard_parquet, print_leaderboard
from judge.cli.rank_options import RECONCILE, ranking, ranking_options
from judge.rpc.enum_words import value

if TYPE_CHECKING:
    from judge.api.v1.ranking_service_pb2 import Battle


def _battles(path: Path) -> list[Battle]:
    """The battles of a file; a wrong row is named."""
    from judge.formats import battles  # noqa: PLC0415  # when needed
    from judge.rpc import rows  # noqa: PLC0415  # the nouns to the wire

    return [rows.battle(battle) for battle in battles.read(path)]


@cli.command("rank")
@click.argument("source")
@click.option("--dataset", default="", help="The dataset of the source.")
@ranking
@click.option(
    "--anchors-from",
    "earlier",
    default="",
    metavar="FILE|SOURCE",
    help="Keep the scale of an earlier leaderboard: what --json printed, or a source such as run:RUN/JUDGE.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print the ratings as CSV.")
@click.option("--parquet", type=click.Path(dir_okay=False, path_type=Path), help="Write the ratings as Parquet here.")
@click.option("--json", "as_json", is_flag=True, help="Print the leaderboard as JSON.")
@click.pass_obj
def rank_command(
    where: ServiceTarget,
    /,
    source: str,
    dataset: str,
    earlier: str,
    parquet: Path | None,
    *,
    as_csv: bool,
    as_json: bool,
    **said: Any,  # noqa: ANN401  # how to rank
) -> None:
    """Rank what SOURCE says: judge:NAME, run:RUN/JUDGE, people, labels:PATTERN, jury:A+B, or a file of battles."""
    options = ranking_options(**said)

    async def work() -> None:
        async with connected(where) as client:
            if earlier:
                keep_scale(options, await earlier_leaderboard(client, dataset, earlier, options))
            if Path(source).is_file():
                leaderboard = await client.rank_battles(_battles(Path(source)), options)
            else:
                leaderboard = await client.leaderboard(dataset, source, options)
        if as_json:
            echo_json(leaderboard)
        elif as_csv:
            leaderboard_csv(leaderboard)
        elif parquet is not None:
            leaderboard_parquet(leaderboard, parquet)
        else:
            print_leaderboard(leaderboard, f"Ranking by {source}")

    run(work())


@cli.command("agree")
@click.argument("source")
@click.argument("target", required=False, default="")
@click.option("--dataset", required=True, help="The dataset of both.")
@click.option("--unit", type=click.Choice(["vote", "plurality"]), help="What is counted.")
@click.option("--orientation", type=click.Choice(["both", "sorted"]), default="both", show_default=True)
@click.option("--reconcile", type=RECONCILE, default="tie", show_default=True)
@click.option("--parser", default="", help="Which reading of replies: source, or a parser's name.")
@click.option(
    "--ties",
    type=click.Choice(["with", "without"]),
    help="Report only figures with ties (S1), or only figures without them (S2).",
)
@click.option(
    "--by",
    "cuts",
    multiple=True,
    type=click.Choice(["turn", "category", "pair", "annotator"]),
    help="Figures by it too. Repeatable.",
)
@click.option("--level", default=0.95, show_default=True, help="The level of the intervals.")
@click.option("--intervals", type=click.Choice(["bootstrap", "percentile"]), help="In place of the jackknife.")
@click.option("--replicates", default=2000, show_default=True, help="Resamples of a bootstrap.")
@click.option("--seed", default=0, show_default=True, help="Of resamples and draws.")
@click.option("--epsilon", default=0.2, show_default=True, help="What an annotator costs more than a judge.")
@click.option("--q", default=0.05, show_default=True, help="The false discovery rate over annotators.")
@click.option("--least-items", default=30, show_default=True, help="Items an annotator needs to be tested against.")
@click.option("--bias", is_flag=True, help="Also what sways SOURCE beyond TARGET: length, markdown, family.")
@click.option("--family", multiple=True, help="A contestant of SOURCE's own family. Repeatable.")
@click.option("--difference-to-detect", default=0.05, show_default=True, help="To be told from 0: how many prompts?")
@click.option("--second-source", default="", help="Another source: which of the two agrees with TARGET more?")
@click.option("--cascade-target", default=0.0, help="Where may SOURCE answer alone, with this agreement?")
@click.option("--cascade-delta", default=0.1, show_default=True, help="The chance that this guarantee fails.")
@click.option("--unreadable-as-tie", is_flag=True, help="Count verdicts without an outcome as ties.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def agree_command(
    where: ServiceTarget,
    /,
    source: str,
    target: str,
    dataset: str,
    unit: str | None,
    orientation: str,
    reconcile: str,
    parser: str,
    cuts: tuple[str, ...],
    intervals: str | None,
    ties: str | None,
    difference_to_detect: float,
    *,
    as_json: bool,
    **said: Any,  # noqa: ANN401  # the options that are called as the wire calls them
) -> None:
    """Say how far SOURCE agrees with TARGET, or SOURCE's annotators among themselves."""
    from judge.api.v1 import agreement_service_pb2, outcome_pb2  # noqa: PLC0415

    named = f"AGREEMENT_UNIT_{unit.upper()}" if unit else "AGREEMENT_UNIT_UNSPECIFIED"
    options = agreement_service_pb2.AgreementOptions(
        unit=agreement_service_pb2.AgreementUnit.Value(named),
        orientation=agreement_service_pb2.Orientation.Value(f"ORIENTATION_{orientation.upper()}"),
        reconcile=outcome_pb2.Reconcile.Value(f"RECONCILE_{reconcile.upper()}"),
        parser=parser,
        by_turn="turn" in cuts,
        by_category="category" in cuts,
        by_pair="pair" in cuts,
        by_annotator="annotator" in cuts,
        intervals=value(outcome_pb2.IntervalMethod, intervals or ""),
        ties=agreement_service_pb2.Ties.Value(f"TIES_{ties.upper() if ties else 'UNSPECIFIED'}"),
        difference_to_detect=difference_to_detect,
        **said,
    )

    async def work() -> None:
        async with connected(where) as client:
            report = await client.agreement(dataset, source, target, options)
        if as_json:
            echo_json(report)
        else:
            agreement(report, f"{source} and {target or 'its own annotators'}", difference_to_detect)

    run(work())


@cli.command("disagreements")
@click.argument("source")
@click.argument("target")
@click.option("--dataset", required=True, help="The dataset of both.")
@click.option("--limit", default=10, show_default=True, help="How many to print.")
@click.option("--category", default="", help="Only prompts of this category.")
@click.option("--turn", default=0, help="Only this turn.")
@click.option("--contestant", "ends", multiple=True, help="Only pairs with it; twice for one pair.")
@click.option("--least-votes", default=1, show_default=True, help="Only where the target has so many votes.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON, one after another.")
@click.pass_obj
def disagreements_command(
    where: ServiceTarget,
    /,
    source: str,
    target: str,
    dataset: str,
    limit: int,
    category: str,
    turn: int,
    ends: tuple[str, ...],
    least_votes: int,
    *,
    as_json: bool,
) -> None:
    """Print where SOURCE disagrees with most of TARGET's votes, many votes against a sure judge first."""
    from judge.api.v1 import outcome_pb2  # noqa: PLC0415

    if len(ends) > 2:  # noqa: PLR2004  # a pair
        raise click.UsageError("--contestant is given once or twice")
    left, right = (*ends, "", "")[:2]
    part = outcome_pb2.Slice(category=category, turn=turn, left=left, right=right)

    async def work() -> None:
        async with connected(where) as client:
            shown = 0
            rows = client.list_disagreements(dataset, source, target, part, least_votes, min(limit, 1000))
            async for row in rows:
                if shown == limit:
                    break
                shown += 1
                if as_json:
                    echo_json(row)
                else:
                    disagreement(row)

    run(work())
