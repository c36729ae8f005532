"""What exports for other tools are made from: votes on pairs of outputs, and the texts of these."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import click

from judge.cli.export_rows import dataset_pages, run_pages
from judge.domain.scores import ScoreScale

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from judge.cli.export_rows import Page, Row
    from judge_client import JudgeClient

Side = tuple[str, int]
"""A contestant, and which of its samples."""
SCORES = {"left": 1.0, "tie": 0.5, "right": 0.0}
"""The left score of an outcome."""


class VotedPair(NamedTuple):
    """Two outputs to one prompt at one turn."""

    prompt_id: str
    turn: int
    left: Side
    right: Side

    def swapped(self) -> VotedPair:
        """Return the same comparison with its sides exchanged."""
        return self._replace(left=self.right, right=self.left)


class ExportedVote(NamedTuple):
    """The vote of an annotator, or of a judge over all orders and repeats.

    *score* is 1 for left, 0.5 for a tie, and 0 for right; of a judge, the mean. *probability* is that of left, if the
    annotator gave one. *tie_kind* says why the vote is a tie, if it is known.
    """

    comparison: VotedPair
    annotator: str
    score: float
    probability: float | None = None
    tie_kind: str = ""


@dataclass
class LeftOutVotes:
    """How many votes were left out, for each reason."""

    left_out: Counter[str] = field(default_factory=Counter)

    def leave_out(self, why: str, n: int = 1) -> None:
        """Count *n* votes that were left out."""
        self.left_out[why] += n

    def __str__(self) -> str:
        """Say what was left out; empty if nothing was."""
        reasons = ", ".join(f"{why} ({n:,})" for why, n in self.left_out.items())
        return f" Left out: {reasons}." if reasons else ""


@dataclass(frozen=True)
class VoteSource:
    """Whose votes: the labels of a dataset, only those of *names* if there are any; or verdicts.

    Verdicts are those of a *run*, or, with *verdicts*, those that were imported into the dataset. *names* are then
    judges.
    """

    dataset: str
    run: str = ""
    verdicts: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Texts:
    """The prompts of a dataset by id, and its outputs by prompt, contestant and sample."""

    prompts: dict[str, Row]
    outputs: dict[tuple[str, str, int], list[str]]

    def output(self, comparison: VotedPair, side: Side) -> str | None:
        """Return the text of a side at the turn of a comparison; None if it is not there."""
        turns = self.outputs.get((comparison.prompt_id, *side), [])
        return turns[comparison.turn - 1] if comparison.turn <= len(turns) else None


async def read_texts(client: JudgeClient, dataset: str) -> Texts:
    """Read the prompts and outputs of a dataset."""
    prompts: dict[str, Row] = {}
    outputs: dict[tuple[str, str, int], list[str]] = {}
    async for row in _each(dataset_pages(client, dataset, "prompts")):
        prompts[row["prompt_id"]] = row
    async for row in _each(dataset_pages(client, dataset, "outputs")):
        outputs[row["prompt_id"], row["contestant"], row.get("sample", 0)] = row["turns"]
    return Texts(prompts, outputs)


async def read_votes(client: JudgeClient, source: VoteSource, account: LeftOutVotes) -> list[ExportedVote]:
    """Read the votes of a source. A judge has one vote on a comparison, over all orders and repeats.

    Scores of single outputs are no votes.
    """
    if source.run or source.verdicts:
        return list(votes_of([row async for row in read_verdicts(client, source)], account))
    rows = _each(dataset_pages(client, source.dataset, "labels"))
    return [
        _label(row)
        async for row in rows
        if (not source.names or row["annotator"] in source.names) and ScoreScale.named(row["right"]) is None
    ]


async def read_verdicts(client: JudgeClient, source: VoteSource) -> AsyncIterator[Row]:
    """Yield the rows of verdicts of a source; those of a run that are presentations without a verdict, too."""
    pages = run_pages(client, source.run) if source.run else dataset_pages(client, source.dataset, "verdicts")
    async for row in _each(pages):
        if not source.names or row["judge"] in source.names:
            yield row


async def _each(pages: AsyncIterator[Page]) -> AsyncIterator[Row]:
    async for page in pages:
        for row in page.rows:
            yield row


def comparison_of(row: Row) -> VotedPair:
    """Return what a row of labels or verdicts is about."""
    left, right = (row["left"], row.get("left_sample", 0)), (row["right"], row.get("right_sample", 0))
    return VotedPair(prompt_id=row["prompt_id"], turn=row.get("turn", 1), left=left, right=right)


def _label(row: Row) -> ExportedVote:
    return ExportedVote(
        comparison=comparison_of(row),
        annotator=row["annotator"],
        score=SCORES[row["outcome"]],
        probability=row.get("probability"),
        tie_kind=row.get("tie_kind", ""),
    )


def votes_of(rows: Iterable[Row], account: LeftOutVotes) -> Iterator[ExportedVote]:
    """Merge verdicts to a vote for each judge and comparison. Verdicts without an outcome are left out."""
    scores: dict[tuple[str, VotedPair], list[float]] = {}
    for row in rows:
        if "outcome" not in row:
            account.leave_out("verdicts without an outcome")
            continue
        comparison, score = comparison_of(row), SCORES[row["outcome"]]
        if (row["judge"], comparison.swapped()) in scores:
            comparison, score = comparison.swapped(), 1 - score
        scores.setdefault((row["judge"], comparison), []).append(score)
    for (judge, comparison), each in scores.items():
        tie_kind = "inconsistent" if len(set(each)) > 1 else ""
        yield ExportedVote(comparison, judge, score=sum(each) / len(each), tie_kind=tie_kind)


async def source_of(
    client: JudgeClient, dataset: str, run: str, judges: tuple[str, ...], annotators: tuple[str, ...]
) -> VoteSource:
    """Return the source that options name. Raises UsageError if they name none, or two."""
    if bool(dataset) == bool(run):
        raise click.UsageError("name either a --dataset, whose labels are exported, or a --run")
    if annotators and (run or judges):
        raise click.UsageError("--annotator is for the labels of a --dataset")
    if run:
        used = (await client.get_run(run)).dataset
        return VoteSource(used.removeprefix("datasets/"), run=run, names=judges)
    return VoteSource(dataset, verdicts=bool(judges), names=judges or annotators)
