"""Scores of one contestant as Inspect's scorer `precomputed_scores` reads them: a record for each sample of a log."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from judge.cli.export_rows import Row
    from judge.cli.export_votes import ExportedVote, LeftOutVotes


def scores(
    votes: Iterable[ExportedVote], contestant: str, account: LeftOutVotes, *, reference: str = "", task: str = ""
) -> Iterator[Row]:
    """Yield the mean score of a contestant on each prompt, over its votes, or those against the *reference*.

    `id` is the prompt's id, without the *task* that an import of Inspect's logs puts before it; other prompts are left
    out. `epoch`, from 1, is that of the sample, and is absent if the contestant has only the first
    sample of each prompt, so that the record counts for all epochs.
    """
    by_sample: dict[tuple[str, int], list[float]] = {}
    for vote in votes:
        left, right, score = vote.comparison.left, vote.comparison.right, vote.score
        if right[0] == contestant:
            left, right, score = right, left, 1 - score
        prompt_id, prefix = vote.comparison.prompt_id, f"{task}/" if task else ""
        if left[0] != contestant or (reference and right[0] != reference):
            account.leave_out("votes on other pairs")
        elif not prompt_id.startswith(prefix):
            account.leave_out("votes on prompts of other tasks")
        else:
            by_sample.setdefault((prompt_id.removeprefix(prefix), left[1]), []).append(score)
    several = any(sample for _, sample in by_sample)
    for (prompt_id, sample), values in by_sample.items():
        yield {
            "id": prompt_id,
            **({"epoch": sample + 1} if several else {}),
            "value": statistics.mean(values),
            "explanation": f"Mean score of {len(values):,} votes; a tie counts half.",
            "metadata": {"votes": len(values), **({"reference": reference} if reference else {})},
        }
