"""`judge scores`: the mean score of each contestant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from judge.cli.connect import ServiceTarget, connected, echo_json, run
from judge.cli.formatting import NOTHING, part, with_interval
from judge.cli.group import cli
from judge.cli.report_files import OUTPUT, write_tables
from judge.cli.report_tables import mean_score_tables
from judge.cli.tables import console, table
from judge.domain.defaults import LEVEL
from judge.domain.levels import level_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from judge.api.v1.ranking_service_pb2 import GetMeanScoresResponse, MeanScore

MOST_COLUMNS = 3
"""With more parts than this, parts are rows of a table of their own."""


@cli.command("scores")
@click.argument("source")
@click.option("--dataset", required=True, help="The dataset that SOURCE belongs to.")
@click.option(
    "--by",
    "cuts",
    multiple=True,
    type=click.Choice(["turn", "category"]),
    help="Also break the results down by this field. Repeatable.",
)
@click.option("--level", type=float, default=LEVEL, show_default=True, help="Confidence level of the intervals.")
@OUTPUT
@click.option("--json", "as_json", is_flag=True, help="Print the mean scores as JSON.")
@click.pass_obj
def scores_command(
    service: ServiceTarget,
    /,
    source: str,
    dataset: str,
    cuts: tuple[str, ...],
    level: float,
    output: Path | None,
    *,
    as_json: bool,
) -> None:
    """Average the scores that SOURCE gave to single outputs, by contestant.

    SOURCE is people, or labels:PATTERN. To rank by the pairs that these scores make, use judge rank.
    """

    async def work() -> None:
        async with connected(service) as client:
            means = await client.mean_scores(
                dataset, source, by_turn="turn" in cuts, by_category="category" in cuts, level=level
            )
        if output is not None:
            write_tables(mean_score_tables(means), output)
        if as_json:
            echo_json(means)
        elif output is None:
            print_mean_scores(means, source, level)

    run(work())


def print_mean_scores(means: GetMeanScoresResponse, source: str, level: float) -> None:
    """Print the mean of each contestant, then those of the parts, as columns if there are few."""
    by_part: dict[str, dict[str, MeanScore]] = {}
    for row in means.means:
        by_part.setdefault(part(row.slice), {})[row.contestant] = row
    whole, *others = by_part.items()
    scale = next(iter(whole[1].values()))
    columns = others if len(others) <= MOST_COLUMNS else []
    rows = [
        (name, _mean(row), f"{row.n:,}", f"{row.prompts:,}", *(_in_part(each, name) for _, each in columns))
        for name, row in whole[1].items()
    ]
    title = f"Mean scores by {source}, from {scale.lowest:g} to {scale.highest:g}"
    table(title, ("contestant", "mean", "n", "prompts", *(name for name, _ in columns)), rows, whole=True)
    if others and not columns:
        lines = [(name, row.contestant, _mean(row), f"{row.n:,}") for name, each in others for row in each.values()]
        table("The same by part", ("part", "contestant", "mean", "n"), lines)
    if any(row.interval.HasField("low") for row in whole[1].values()):
        console().print(f"{level_text(level)} intervals are for new prompts of the same kind.")


def _mean(row: MeanScore) -> str:
    return with_interval(f"{row.mean:.4f}", row.interval)


def _in_part(rows: Mapping[str, MeanScore], contestant: str) -> str:
    return f"{rows[contestant].mean:.4f}" if contestant in rows else NOTHING
