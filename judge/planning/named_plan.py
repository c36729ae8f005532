"""Name the presentations of a plan, and build a dataset index from rows, without a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from judge.domain.dataset import Output, Prompt
from judge.domain.verdict import PresentationNames
from judge.planning.plan import Plan
from judge.ports.dataset_index import DatasetIndex, OutputIndex, PromptIndex

BLOCK = 1000
"""The number of presentations in a block."""


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """A presentation of a plan, and the caller's id of its comparison if it was listed."""

    presentation: PresentationNames
    comparison_id: str = ""


def plan_entries(index: DatasetIndex, plans: Sequence[Plan]) -> Iterator[PlanEntry]:
    """Yield the presentations of *plans*, which were made over *index*, one plan after another."""
    prompts = dict(zip(index.prompts.row.tolist(), index.prompts.prompt_id, strict=True))
    outputs = {output.row: output for output in index.outputs}
    for item in (item for plan in plans for block in _blocks(plan) for item in plan.items(block)):
        left, right = outputs[item.left], outputs[item.right]
        names = PresentationNames(
            prompt_id=prompts[item.prompt],
            turn=item.turn,
            left=left.contestant,
            right=right.contestant,
            order=item.order,
            left_sample=left.sample,
            right_sample=right.sample,
        )
        yield PlanEntry(names, item.comparison_id)


def _blocks(plan: Plan) -> Iterator[range]:
    """Yield the positions of the first judge's first repeats, in blocks."""
    for begin in range(plan.offset, plan.first(1), BLOCK * plan.repeats):
        yield range(begin, min(begin + BLOCK * plan.repeats, plan.first(1)), plan.repeats)


def index_of(revision: int, prompts: Iterable[Prompt], outputs: Iterable[Output]) -> DatasetIndex:
    """Build the dataset index of *prompts* and *outputs* in upload order, as a store does."""
    prompt_index = prompts_of(prompts)
    place = {prompt_id: number for number, prompt_id in enumerate(prompt_index.prompt_id)}
    rows = [
        (row, place[output.prompt_id], output) for row, output in enumerate(outputs, 1) if output.prompt_id in place
    ]
    contestants = sorted({output.contestant for _, _, output in rows})
    number = {name: code for code, name in enumerate(contestants)}
    at = np.array([prompt for _, prompt, _ in rows], dtype=np.int64)
    answered = OutputIndex(
        row=np.array([row for row, _, _ in rows], dtype=np.int64),
        prompt=prompt_index.row[at],
        contestant=np.array([number[output.contestant] for _, _, output in rows], dtype=np.int32),
        sample=np.array([output.sample for _, _, output in rows], dtype=np.int32),
        turns=np.minimum(
            np.array([len(output.turns) for _, _, output in rows], dtype=np.int32), prompt_index.turns[at]
        ),
        contestants=contestants,
    )
    return DatasetIndex(revision, prompt_index, answered)


def prompts_of(prompts: Iterable[Prompt]) -> PromptIndex:
    """The index of *prompts* in upload order."""
    rows = list(prompts)
    return PromptIndex(
        row=np.arange(1, len(rows) + 1, dtype=np.int64),
        prompt_id=[prompt.prompt_id for prompt in rows],
        category=[prompt.category for prompt in rows],
        tags=[prompt.tags for prompt in rows],
        turns=np.array([len(prompt.turns) for prompt in rows], dtype=np.int32),
    )
