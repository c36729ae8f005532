"""`judge judges` and `judge rubric`: which judges there are, and exactly what they are sent."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from judge.cli.connect import ServiceTarget, connected, echo_json, run
from judge.cli.group import cli
from judge.cli.tables import console, table
from judge.domain.money import usd
from judge.rpc.enum_words import word

if TYPE_CHECKING:
    from judge.api.v1.judge_service_pb2 import Judge, JudgeInput, PromptPreview
    from judge_client import JudgeClient

QUESTION = "Name a prime number between 20 and 30."
ANSWERS = ("23 is prime.", "21, because it is odd.")
"""The comparison that a preview shows if no dataset is named."""
_CAPABILITIES = ("temperature", "seed", "logprobs", "json_schema", "choice", "batch", "reasoning")


@cli.command("judges")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the judge as JSON.")
@click.pass_obj
def judges_command(service: ServiceTarget, name: str | None, *, as_json: bool) -> int:
    """List the judges, or describe one.

    The description of the judge NAME has its model, rubric, settings, limits, and price.
    """

    async def work() -> int:
        async with connected(service) as client:
            if name is None:
                judges = [judge async for judge in client.list_judges()]
                for judge in judges if as_json else ():
                    echo_json(judge)
                if not as_json:
                    rows = [
                        (_short(judge), judge.backend, judge.model or "-", judge.rubric, _available(judge))
                        for judge in judges
                    ]
                    table("Judges", ("judge", "backend", "model", "rubric", "available"), rows)
                return 0
            judge = await client.get_judge(f"judges/{name}")
            if as_json:
                echo_json(judge)
            else:
                _print_judge(judge)
            return 0

    return run(work())


def _short(judge: Judge) -> str:
    return judge.name.removeprefix("judges/")


def _available(judge: Judge) -> str:
    return "yes" if judge.available else judge.unavailable_reason


def _print_judge(judge: Judge) -> None:
    limits, price, sampling = judge.limits, judge.price, judge.sampling
    settings = [name.replace("_", " ") for name in _CAPABILITIES if getattr(judge.capabilities, name)]
    lines = [
        f"judge        {_short(judge)}",
        f"available    {_available(judge)}",
        f"backend      {judge.backend}",
        f"model        {judge.model or '-'}",
        *([f"endpoint     {_endpoint(judge)}"] if judge.address else []),
        f"rubric       {judge.rubric}, version {judge.rubric_version}, hash {judge.rubric_hash[:16]}",
        f"parser       {judge.parser}",
        f"fingerprint  {judge.fingerprint[:16]}",
        f"can take     {', '.join(settings) or 'no settings'}",
        f"is sent      at most {sampling.max_output_tokens:,} output tokens"
        + (f", temperature {sampling.temperature:g}" if sampling.HasField("temperature") else "")
        + (f", seed {sampling.seed}" if sampling.HasField("seed") else "")
        + (f", effort {sampling.effort}" if sampling.effort else "")
        + "".join(f", {part}" for part in judge.request),
        f"limits       {limits.concurrency:,} calls at once, {limits.deadline_seconds:g} s per call",
        f"rate limit   {_rate_limits(limits.requests_per_minute, limits.tokens_per_minute)}",
    ]
    if price.known:
        batch = f"; {price.batch_percent}% of that in a batch" if judge.batch else ""
        lines.append(
            f"price        USD per million tokens: {usd(price.input_micros)} in, {usd(price.cached_input_micros)} "
            f"cached, {usd(price.output_micros)} out{batch}"
        )
    else:
        lines.append("price        unknown")
    lines += [f"variant      {variant.variant}: {variant.applies}, {variant.form}" for variant in judge.variants]
    for line in lines:
        click.echo(textwrap.fill(line, 79, subsequent_indent=" " * 13, break_long_words=False))


def _endpoint(judge: Judge) -> str:
    """Return the address of *judge*, and what stands in for it in the fingerprint if that is something else."""
    return judge.address + (f", as {judge.endpoint}" if judge.endpoint not in ("", judge.address) else "")


def _rate_limits(requests: int, tokens: int) -> str:
    limits = [f"{limit:,} {unit} per minute" for limit, unit in ((requests, "requests"), (tokens, "tokens")) if limit]
    return ", ".join(limits) or "none"


@cli.group("rubric")
def rubric_group() -> None:
    """Show what judges are asked."""


@rubric_group.command("preview")
@click.argument("judge")
@click.option("--dataset", default="", help="Show a comparison of this dataset. By default, an example.")
@click.option("--prompt", "prompt_id", default="", help="The prompt. By default, the first of the dataset.")
@click.option("--left", default="", help="The left contestant. By default, the first by name.")
@click.option("--right", default="", help="The right contestant. By default, the second by name.")
@click.option("--turn", default=0, help="The turn, counted from 1. By default, the first.")
@click.option("--swap", is_flag=True, help="Show the output of the right contestant first.")
@click.option("--json", "as_json", is_flag=True, help="Print the preview as JSON.")
@click.pass_obj
def preview_command(
    service: ServiceTarget,
    judge: str,
    dataset: str,
    prompt_id: str,
    left: str,
    right: str,
    turn: int,
    *,
    swap: bool,
    as_json: bool,
) -> int:
    """Show exactly what JUDGE would be sent. Nothing is sent, and nothing is spent."""

    async def work() -> int:
        async with connected(service) as client:
            judge_input = await _judge_input(client, dataset, prompt_id, (left, right), turn, swap=swap)
            preview = await client.preview_prompt(judge, judge_input)
            if as_json:
                echo_json(preview)
            else:
                _print_preview(preview)
            return 0

    return run(work())


async def _judge_input(
    client: JudgeClient, dataset: str, prompt_id: str, ends: tuple[str, str], turn: int, *, swap: bool
) -> JudgeInput:
    from judge.api.v1 import dataset_service_pb2, judge_service_pb2, outcome_pb2  # noqa: PLC0415  # grpc's messages when needed

    order = outcome_pb2.ORDER_RIGHT_FIRST if swap else outcome_pb2.ORDER_LEFT_FIRST
    if not dataset:
        left, right = ANSWERS
        texts = judge_service_pb2.InlineComparison(prompt=[QUESTION], left=[left], right=[right], order=order)
        return judge_service_pb2.JudgeInput(texts=texts)
    contestants = [row.contestant for row in (await client.get_dataset(dataset)).contestants]
    others = [contestant for contestant in contestants if contestant not in ends]
    left, right = (end or others.pop(0) for end in ends) if len(others) >= ends.count("") else ends
    if not prompt_id:
        async for page in client.read_dataset(dataset, [dataset_service_pb2.DATASET_PART_PROMPTS]):
            prompt_id = page.prompts[0].prompt_id if page.prompts else ""
            break
    presentation = outcome_pb2.Presentation(prompt_id=prompt_id, turn=turn, left=left, right=right, order=order)
    return judge_service_pb2.JudgeInput(dataset=f"datasets/{dataset}", presentation=presentation)


def _print_preview(preview: PromptPreview) -> None:
    constraint = f", restricted to {', '.join(preview.choices)}" if preview.choices else ""
    constraint += ", restricted to a JSON schema" if preview.json_schema else ""
    stored = " A verdict for it is stored already." if preview.stored else ""
    console().print(
        f"Rubric variant {preview.variant}; answer form {preview.form}{constraint}; "
        f"at most {preview.sampling.max_output_tokens:,} output tokens.{stored}"
    )
    for message in preview.messages:
        click.echo(f"\n--- {word(message, 'role')} ---")
        click.echo(message.content)
    if preview.json_schema:
        click.echo(f"\n--- JSON schema ---\n{preview.json_schema}")
