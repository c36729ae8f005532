"""`judge judges` and `judge rubric`: who can be asked, and exactly what they would be sent."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from judge.cli.connect import ServiceTarget, connected, echo_json, run
from judge.cli.group import cli
from judge.cli.tables import console, table, usd
from judge.rpc.enum_words import word

if TYPE_CHECKING:
    from judge.api.v1.judge_service_pb2 import Judge, JudgeInput, PromptPreview
    from judge_client import JudgeClient

QUESTION = "Name a prime number between 20 and 30."
ANSWERS = ("23 is prime.", "21, because it is odd.")
"""What a preview shows where no dataset is named."""
_CAPABILITIES = ("temperature", "seed", "logprobs", "json_schema", "choice", "batch", "reasoning")


@cli.command("judges")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the judge as JSON.")
@click.pass_obj
def judges_command(where: ServiceTarget, name: str | None, *, as_json: bool) -> int:
    """List the judges, or describe the judge NAME: what it takes, costs and may be asked."""

    async def work() -> int:
        async with connected(where) as client:
            if name is None:
                found = [judge async for judge in client.list_judges()]
                for judge in found if as_json else ():
                    echo_json(judge)
                if not as_json:
                    rows = [(_short(one), one.backend, one.model or "-", one.rubric, _available(one)) for one in found]
                    table("Judges", ("judge", "backend", "model", "rubric", "available"), rows)
                return 0
            judge = await client.get_judge(f"judges/{name}")
            if as_json:
                echo_json(judge)
            else:
                _described(judge)
            return 0

    return run(work())


def _short(judge: Judge) -> str:
    return judge.name.removeprefix("judges/")


def _available(judge: Judge) -> str:
    return "yes" if judge.available else judge.unavailable_reason


def _described(judge: Judge) -> None:
    limits, price, sampling = judge.limits, judge.price, judge.sampling
    can = [name.replace("_", " ") for name in _CAPABILITIES if getattr(judge.capabilities, name)]
    lines = [
        f"judge        {_short(judge)} ({_available(judge)})",
        f"backend      {judge.backend} {judge.model}",
        f"rubric       {judge.rubric}, version {judge.rubric_version}, {judge.rubric_hash[:16]}",
        f"parser       {judge.parser}",
        f"fingerprint  {judge.fingerprint[:16]}",
        f"takes        {', '.join(can) or 'no settings'}",
        f"sent         at most {sampling.max_output_tokens} output tokens"
        + (f", temperature {sampling.temperature:g}" if sampling.HasField("temperature") else "")
        + (f", seed {sampling.seed}" if sampling.HasField("seed") else "")
        + (f", effort {sampling.effort}" if sampling.effort else ""),
        f"limits       {limits.concurrency} calls at once, {limits.deadline_seconds:g} s a call",
        f"account      requests a minute {limits.requests_per_minute or '-'}, tokens {limits.tokens_per_minute or '-'}",
    ]
    if price.known:
        batch = f"; {price.batch_percent} % of it in a batch" if judge.batch else ""
        prices = (price.input_micros, price.cached_input_micros, price.output_micros)
        told = zip(("in", "cached", "out"), map(usd, prices), strict=True)
        lines.append("price        USD a million tokens: " + ", ".join(f"{n} {name}" for name, n in told) + batch)
    else:
        lines.append("price        unknown")
    lines += [f"variant      {one.variant}: {one.applies}, {one.form}" for one in judge.variants]
    for line in lines:
        click.echo(textwrap.fill(line, 79, subsequent_indent=" " * 13, break_long_words=False))


@cli.group("rubric")
def rubric_group() -> None:
    """Look at what judges are asked."""


@rubric_group.command("preview")
@click.argument("judge")
@click.option("--dataset", default="", help="Show a comparison of this dataset; without it, one made up.")
@click.option("--prompt", "prompt_id", default="", help="Which prompt; without it the dataset's first.")
@click.option("--left", default="", help="Which contestant; without it the first by name.")
@click.option("--right", default="", help="Which contestant; without it the second by name.")
@click.option("--turn", default=1, show_default=True)
@click.option("--swap", is_flag=True, help="Show the right answer first.")
@click.option("--json", "as_json", is_flag=True, help="Print the preview as JSON.")
@click.pass_obj
def preview_command(
    where: ServiceTarget,
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
    """Show exactly what JUDGE would be sent; nothing is sent, and nothing is spent."""

    async def work() -> int:
        async with connected(where) as client:
            judged = await _judge_input(client, dataset, prompt_id, (left, right), turn, swap=swap)
            preview = await client.preview_prompt(judge, judged)
            if as_json:
                echo_json(preview)
            else:
                _shown(preview)
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
    found = await client.get_dataset(dataset)
    others = [one.contestant for one in found.contestants if one.contestant not in ends]
    left, right = (end or others.pop(0) for end in ends) if len(others) >= ends.count("") else ends
    if not prompt_id:
        async for page in client.read_dataset(dataset, [dataset_service_pb2.DATASET_PART_PROMPTS]):
            prompt_id = page.prompts[0].prompt_id if page.prompts else ""
            break
    presentation = outcome_pb2.Presentation(prompt_id=prompt_id, turn=turn, left=left, right=right, order=order)
    return judge_service_pb2.JudgeInput(dataset=f"datasets/{dataset}", presentation=presentation)


def _shown(preview: PromptPreview) -> None:
    out = console()
    held = f", held to {', '.join(preview.choices)}" if preview.choices else ""
    held += ", held to a JSON schema" if preview.json_schema else ""
    stored = "; a verdict is stored already" if preview.stored else ""
    told = f"variant {preview.variant}, answer form {preview.form}{held}; at most "
    out.print(f"{told}{preview.sampling.max_output_tokens} output tokens{stored}", markup=False)
    for message in preview.messages:
        click.echo(f"\n--- {word(message, 'role')} ---")
        click.echo(message.content)
    if preview.json_schema:
        click.echo(f"\n--- JSON schema ---\n{preview.json_schema}")
