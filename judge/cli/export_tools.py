"""`judge export` for other tools: AlpacaEval, FastChat, Chatbot Arena, preference training, and Inspect."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from judge.cli import export_alpaca_eval, export_arena, export_dpo, export_fastchat, export_inspect
from judge.cli.connect import ServiceTarget, connected, run
from judge.cli.export import export
from judge.cli.export_forms import text_output
from judge.cli.export_votes import LeftOutVotes, VoteSource, read_texts, read_verdicts, read_votes, source_of
from judge.cli.report_files import write_csv
from judge.formats.packed import without_packing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from judge.cli.export_rows import Row
    from judge_client import JudgeClient

C = TypeVar("C", bound="Callable[..., Any]")
OUTPUT = click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write: a JSON array if it ends with .json, otherwise JSON lines; .gz or .zst compresses it.",
)
_SOURCE = (
    click.option("--dataset", default="", help="Export the labels of this dataset, or with --judge its verdicts."),
    click.option("--run", "run_name", default="", help="Export the verdicts of this run."),
    click.option("--judge", "judges", multiple=True, help="Only the verdicts of this judge. Repeatable."),
    click.option("--annotator", "annotators", multiple=True, help="Only the labels of this annotator. Repeatable."),
    OUTPUT,
)


def _sourced(command: C) -> C:
    """Add the options that name the votes and the file."""
    for option in reversed(_SOURCE):
        command = option(command)
    return command


def _write(rows: Iterable[Row], output: Path, account: LeftOutVotes, what: str) -> list[Row]:
    """Write *rows* as JSON, and say how many there are. Returns them. Raises ClickException if there is none."""
    listed = list(rows)
    if not listed:
        raise click.ClickException(f"there are no {what} to write.{account}")
    name = without_packing(output.name)
    lines = [json.dumps(row, ensure_ascii=False) for row in listed]
    with text_output(output) as file:
        file.write("[\n" + ",\n".join(lines) + "\n]\n" if name.endswith(".json") else "".join(f"{x}\n" for x in lines))
    click.echo(f"Wrote {len(listed):,} {what} to {output}.{account}", err=True)
    return listed


def _run(
    service: ServiceTarget,
    options: Mapping[str, Any],
    work: Callable[[JudgeClient, VoteSource], Awaitable[None]],
) -> None:
    """Call *work* with a client and the source that the *options* name."""

    async def connect() -> None:
        async with connected(service) as client:
            named = (options[name] for name in ("dataset", "run_name", "judges", "annotators"))
            await work(client, await source_of(client, *named))

    run(connect())


@export.command("alpaca-eval")
@_sourced
@click.option("--reference", required=True, help="The baseline, which is output_1 of each annotation.")
@click.option(
    "--leaderboard",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write AlpacaEval's leaderboard of the annotations to this CSV file.",
)
@click.pass_obj
def alpaca_eval_command(service: ServiceTarget, /, reference: str, leaderboard: Path | None, **options: Any) -> None:  # noqa: ANN401  # those of the source
    """Write votes against a baseline as AlpacaEval's annotations."""

    async def work(client: JudgeClient, source: VoteSource) -> None:
        account = LeftOutVotes()
        votes, texts = await read_votes(client, source, account), await read_texts(client, source.dataset)
        account.flattened = len(texts.messages)
        rows = export_alpaca_eval.annotation_rows(votes, texts, reference, account)
        written = _write(rows, options["output"], account, "annotations")
        if leaderboard is not None:
            with text_output(leaderboard) as file:
                write_csv(export_alpaca_eval.leaderboard(written), file)

    _run(service, options, work)


@export.command("fastchat")
@_sourced
@click.pass_obj
def fastchat_command(service: ServiceTarget, /, **options: Any) -> None:  # noqa: ANN401  # as above
    """Write verdicts in both orders as FastChat's judgments of pairs."""

    async def work(client: JudgeClient, source: VoteSource) -> None:
        account = LeftOutVotes()
        verdicts = [row async for row in read_verdicts(client, replace(source, verdicts=True))]
        _write(export_fastchat.judgments(verdicts, account), options["output"], account, "judgments")

    if options["annotators"]:
        raise click.UsageError("labels have no order: export verdicts, of a --dataset or a --run")
    _run(service, options, work)


@export.command("arena-battles")
@_sourced
@click.pass_obj
def arena_command(service: ServiceTarget, /, **options: Any) -> None:  # noqa: ANN401  # as above
    """Write votes as battles of Chatbot Arena."""

    async def work(client: JudgeClient, source: VoteSource) -> None:
        account = LeftOutVotes()
        votes, texts = await read_votes(client, source, account), await read_texts(client, source.dataset)
        _write(export_arena.battles(votes, texts, account), options["output"], account, "battles")

    _run(service, options, work)


@export.command("dpo")
@_sourced
@click.option(
    "--agreement",
    type=click.FloatRange(0.5, 1),
    default=0.5,
    show_default=True,
    help="The least share of the votes on a comparison that agree. It always takes more than half.",
)
@click.option(
    "--ties",
    type=click.Choice(["half", "drop"]),
    default="half",
    show_default=True,
    help="Count a tie half for each side, or drop it.",
)
@click.pass_obj
def dpo_command(service: ServiceTarget, /, agreement: float, ties: Literal["half", "drop"], **options: Any) -> None:  # noqa: ANN401  # as above
    """Write pairs of a chosen and a rejected answer, to train on preferences.

    Each row says by which rule it was chosen, in least_agreement and ties.
    """

    async def work(client: JudgeClient, source: VoteSource) -> None:
        account, rule = LeftOutVotes(), export_dpo.PreferenceRule(agreement, ties)
        votes, texts = await read_votes(client, source, account), await read_texts(client, source.dataset)
        account.flattened = len(texts.messages)
        _write(export_dpo.preferences(votes, texts, rule, account), options["output"], account, "pairs")

    _run(service, options, work)


@export.command("inspect-scores")
@_sourced
@click.option("--contestant", required=True, help="The contestant whose log gets the scores.")
@click.option("--reference", default="", help="Only the votes against this contestant.")
@click.option("--task", default="", help="Only prompts whose ids begin with this task, as imported logs have them.")
@click.pass_obj
def inspect_command(service: ServiceTarget, /, contestant: str, reference: str, task: str, **options: Any) -> None:  # noqa: ANN401  # as above
    """Write a contestant's scores for the scorer precomputed_scores of Inspect."""

    async def work(client: JudgeClient, source: VoteSource) -> None:
        account = LeftOutVotes()
        votes = await read_votes(client, source, account)
        rows = export_inspect.scores(votes, contestant, account, reference=reference, task=task)
        _write(rows, options["output"], account, "scores")

    _run(service, options, work)
