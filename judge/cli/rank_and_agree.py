"""`judge rank` and `judge agree`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from judge.cli.agree_options import agreement_options, comparing
from judge.cli.agreement_tables import agreement
from judge.cli.anchors_from import earlier_leaderboard, keep_scale
from judge.cli.connect import ServiceTarget, connected, echo_json, run
from judge.cli.difficulties import name_prompts
from judge.cli.disagreement_view import print_disagreement
from judge.cli.group import cli
from judge.cli.leaderboard_tables import print_leaderboard
from judge.cli.presets import AGREEMENTS, PER_VERDICT, RANKINGS, is_from_preset, preset_option, print_preset
from judge.cli.published_tables import print_published
from judge.cli.rank_options import ranking, ranking_options
from judge.cli.report_files import OUTPUT, write_csv, write_parquet, write_tables
from judge.cli.report_tables import agreement_tables, leaderboard_tables, ratings_table
from judge.cli.terminal import data_output
from judge.domain.defaults import AGREEMENT
from judge.rpc.enum_words import word

if TYPE_CHECKING:
    from judge.api.v1.leaderboard_pb2 import Leaderboard
    from judge.api.v1.ranking_service_pb2 import BattleColumns


def _battles(source: str) -> list[BattleColumns] | None:
    """Read the battles of a file, and say what its columns were taken for; None if *source* is not a file's name.

    Raises InvalidInput with the file and the row that is wrong, and UsageError if there is no such file.
    """
    from judge.cli.battle_messages import battle_messages  # noqa: PLC0415  # when needed
    from judge.formats import battles  # noqa: PLC0415  # when needed

    path = Path(source)
    if not (path.is_file() or battles.is_battle_file(source)):
        return None
    if not path.exists():
        raise click.UsageError(f"there is no file {source}")
    table = battles.read(path)
    click.echo(f"{table.columns}.", err=True)
    for warning in table.warnings:
        click.echo(f"Warning: {warning}.", err=True)
    return list(battle_messages(table.battles))


def _check_outputs(values: Mapping[str, Any], *, as_csv: bool, as_json: bool, parquet: Path | None) -> None:
    """Raise UsageError for two forms of output in one place, and for tables that a form would drop."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json both print to standard output: give one of them")
    tables = {"--by": values["by"], "--pairs": values["pairs"]}
    if values["method"] != "RANKING_METHOD_WIN_RATE":
        # A win rate against a reference is the rating itself.
        tables["--reference"] = values["reference_contestant"]
    left_out = [option for option, value in tables.items() if value]
    form = "--csv" if as_csv else "--parquet" if parquet is not None else ""
    if form and left_out:
        raise click.UsageError(f"{form} writes the ratings alone: leave out {', '.join(left_out)}, or use -o or --json")


def _check_no_dataset(source: str, dataset: str, values: Mapping[str, Any]) -> None:
    """Raise UsageError for options that a file of battles does not have."""
    given = {"--dataset": dataset, "--reconcile": values["reconcile"], "--parser": values["parser"]}
    if unused := [option for option, value in given.items() if value]:
        raise click.UsageError(f"{source} is a file of battles: leave out {', '.join(unused)}")


@cli.command("rank")
@click.argument("source")
@click.option("--dataset", default="", help="The dataset that SOURCE belongs to.")
@preset_option(RANKINGS)
@ranking
@click.option(
    "--anchors-from",
    "earlier",
    default="",
    metavar="FILE|SOURCE",
    help="Keep the scale of an earlier leaderboard: a file that --json printed, or a source such as run:RUN/JUDGE.",
)
@OUTPUT
@click.option("--csv", "as_csv", is_flag=True, help="Print the ratings as CSV.")
@click.option(
    "--parquet", type=click.Path(dir_okay=False, path_type=Path), help="Write the ratings to this Parquet file."
)
@click.option("--json", "as_json", is_flag=True, help="Print the leaderboard as JSON.")
@click.pass_context
def rank_command(
    context: click.Context,
    /,
    source: str,
    dataset: str,
    preset: str | None,
    earlier: str,
    parquet: Path | None,
    output: Path | None,
    *,
    as_csv: bool,
    as_json: bool,
    **values: Any,  # noqa: ANN401  # the options of ranking
) -> None:
    """Rank the contestants by the outcomes of SOURCE.

    SOURCE is judge:NAME, run:RUN/JUDGE, people, labels:PATTERN, jury:A+B, or a file of battles (JSON lines,
    a JSON array, CSV, TSV, or Parquet; also packed with gzip or zstd).
    """
    service: ServiceTarget = context.obj
    if preset is not None:
        values |= _choose_preset(context, source, preset)
    options = ranking_options(**values)
    _check_outputs(values, as_csv=as_csv, as_json=as_json, parquet=parquet)
    battles = _battles(source)
    if battles is not None:
        _check_no_dataset(source, dataset, values)

    async def work() -> None:
        async with connected(service) as client:
            if earlier:
                keep_scale(options, await earlier_leaderboard(client, dataset, earlier, options))
            await name_prompts(client, dataset, options)
            with _named_baseline(context, values):
                if battles is None:
                    leaderboard = await client.leaderboard(dataset, source, options)
                else:
                    leaderboard = await client.rank_columns(battles, options)
        if output is not None:
            write_tables(leaderboard_tables(leaderboard), output)
        if parquet is not None:
            write_parquet(ratings_table(leaderboard), parquet)
        if as_csv:
            write_csv(ratings_table(leaderboard), data_output())
        elif as_json or (parquet is None and output is None):
            _print(leaderboard, source, preset, as_json=as_json)

    run(work())


def _choose_preset(context: click.Context, source: str, preset: str) -> dict[str, None]:
    """Say what a preset stands for. Returns the options that it does not set, because *source* is a file of battles."""
    is_file = Path(source).is_file()
    unused = tuple(name for name in PER_VERDICT if is_file and is_from_preset(context, name))
    print_preset(context, preset, RANKINGS[preset], unused)
    return dict.fromkeys(unused)


@contextlib.contextmanager
def _named_baseline(context: click.Context, values: Mapping[str, Any]) -> Iterator[None]:
    """Raise UsageError where the baseline of a preset has no battle: files may name another, or none."""
    from judge_client import JudgeClientError  # noqa: PLC0415  # when needed

    try:
        yield
    except JudgeClientError as error:
        if error.reason != "UNKNOWN_CONTESTANT" or not is_from_preset(context, "reference_contestant"):
            raise
        baseline = values["reference_contestant"]
        raise click.UsageError(
            f"{error.message}. {baseline} is the baseline of the published figures: name yours with --reference NAME"
        ) from None


def _print(leaderboard: Leaderboard, source: str, preset: str | None, *, as_json: bool) -> None:
    if as_json:
        echo_json(leaderboard)
        return
    if preset is not None and word(leaderboard, "scale") == "share":
        print_published(leaderboard, preset)
    anchor = leaderboard.anchoring.labels_source
    print_leaderboard(leaderboard, f"Ranking by {anchor}, helped by {source}" if anchor else f"Ranking by {source}")


@cli.command("agree")
@click.argument("source")
@click.argument("target", required=False, default="")
@click.option("--dataset", required=True, help="The dataset that both sources belong to.")
@preset_option(AGREEMENTS)
@comparing
@OUTPUT
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def agree_command(
    context: click.Context,
    /,
    source: str,
    target: str,
    dataset: str,
    preset: str | None,
    output: Path | None,
    *,
    as_json: bool,
    **values: Any,  # noqa: ANN401  # the options of an agreement report
) -> None:
    """Measure how far SOURCE agrees with TARGET.

    Without TARGET, measure how far SOURCE's annotators agree with each other. Sources are judge:NAME, run:RUN/JUDGE,
    jury:A+B, people, or labels:PATTERN.
    """
    service: ServiceTarget = context.obj
    if preset is not None:
        print_preset(context, preset, AGREEMENTS[preset])
    options = agreement_options(**values)
    wanted = options.difference_to_detect or AGREEMENT.difference_to_detect
    if options.drift_margin and not all(side.startswith(("judge:", "run:")) for side in (source, target)):
        raise click.UsageError(
            "--drift-margin is for the drift of a judge: SOURCE and TARGET must be judge:NAME or run:RUN/JUDGE"
        )

    async def work() -> None:
        async with connected(service) as client:
            report = await client.agreement(dataset, source, target, options)
        if output is not None:
            write_tables(agreement_tables(report), output)
        if as_json:
            echo_json(report)
        elif output is None:
            agreement(report, f"{source} and {target or 'its own annotators'}", wanted)

    run(work())


@cli.command("disagreements")
@click.argument("source")
@click.argument("target")
@click.option("--dataset", required=True, help="The dataset that both sources belong to.")
@click.option("--limit", default=10, show_default=True, help="The maximum number of comparisons to print.")
@click.option("--category", default="", help="Only prompts of this category.")
@click.option("--turn", default=0, help="Only this turn.")
@click.option(
    "--contestant", "ends", multiple=True, help="Only pairs with this contestant. Give it twice for one pair."
)
@click.option("--least-votes", default=0, help="Only comparisons with at least this many votes of TARGET.")
@click.option("--json", "as_json", is_flag=True, help="Print each disagreement as JSON.")
@click.pass_obj
def disagreements_command(
    service: ServiceTarget,
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
    """Print the comparisons on which SOURCE contradicts TARGET.

    Those come first where many votes of TARGET contradict a SOURCE that is sure.
    """
    from judge.api.v1 import outcome_pb2  # noqa: PLC0415

    if len(ends) > 2:  # noqa: PLR2004  # a pair
        raise click.UsageError(f"--contestant was given {len(ends)} times; give it once, or twice for one pair")
    left, right = (*ends, "", "")[:2]
    part = outcome_pb2.Slice(category=category, turn=turn, left=left, right=right)

    async def work() -> None:
        async with connected(service) as client:
            shown = 0
            rows = client.list_disagreements(dataset, source, target, part, least_votes, min(limit, 1000))
            async for row in rows:
                if shown == limit:
                    break
                shown += 1
                if as_json:
                    echo_json(row)
                else:
                    print_disagreement(row)

    run(work())
