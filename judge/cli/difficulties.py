"""The difficulties of prompts for length-controlled win rates, from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path

    from judge.api.v1.ranking_service_pb2 import RankingOptions
    from judge_client import JudgeClient


def read_difficulties(path: Path) -> list[tuple[str, float]]:
    """Read the difficulty of each prompt, with the prompt's id, or with "" where the file does not name prompts.

    Raises InvalidInput with the file and the row that is wrong.
    """
    from judge.formats.alpaca_eval import difficulty  # noqa: PLC0415  # when needed
    from judge.formats.containers import rows_of  # noqa: PLC0415
    from judge.formats.importing import parsed_row  # noqa: PLC0415

    return [row for place, number, each in rows_of(path) for row in parsed_row(path, place, difficulty, number, each)]


async def name_prompts(client: JudgeClient, dataset: str, options: RankingOptions) -> None:
    """Take difficulties that name no prompt, as in AlpacaEval's own file, for the dataset's prompts in their order.

    Raises UsageError if their numbers differ.
    """
    from judge.api.v1 import dataset_service_pb2 as pb  # noqa: PLC0415  # grpc's messages when needed

    if all(row.prompt_id for row in options.difficulties):
        return
    ids: list[str] = []
    async for batch in client.read_dataset(dataset, [pb.DATASET_PART_PROMPTS]):
        ids.extend(prompt.prompt_id for prompt in batch.prompts)
    n = len(options.difficulties)
    if any(row.prompt_id for row in options.difficulties) or len(ids) != n:
        raise click.UsageError(
            f"--difficulties has {n:,} rows, not all of which name a prompt, and {dataset} has {len(ids):,} prompts: "
            "add a column instruction or prompt_id"
        )
    click.echo(f"--difficulties names no prompts: its rows are taken for those of {dataset}, in their order.", err=True)
    for row, prompt_id in zip(options.difficulties, ids, strict=True):
        row.prompt_id = prompt_id
