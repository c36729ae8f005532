"""A plan by its names, and a board from rows: what a plan is made of outside of a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from judge.domain.dataset import Output, Prompt
from judge.domain.outcome import Order
from judge.domain.verdict import ShowingNames
from judge.ports.store import Board, BoardOutput, BoardPrompt
from judge.runs.plan import Plan


@dataclass(frozen=True, slots=True)
class Planned:
    """One showing of a plan, and the caller's id of it if it was listed."""

    showing: ShowingNames
    comparison_id: str = ""


def named(board: Board, plan: Plan) -> Iterator[Planned]:
    """The showings of *plan*, which was made over *board*, in their order."""
    prompts = {prompt.row: prompt.prompt_id for prompt in board.prompts}
    outputs = {output.row: output for output in board.outputs}
    columns = zip(
        *(column.tolist() for column in (plan.prompt, plan.turn, plan.left, plan.right, plan.order)), strict=True
    )
    for number, (prompt, turn, left_row, right_row, order) in enumerate(columns):
        left, right = outputs[left_row], outputs[right_row]
        names = ShowingNames(
            prompts[prompt], turn, left.contestant, right.contestant, Order(order), left.sample, right.sample
        )
        yield Planned(names, plan.comparison_ids[number] if plan.comparison_ids else "")


def board_of(revision: int, prompts: Iterable[Prompt], outputs: Iterable[Output]) -> Board:
    """The board of these rows, in the order of upload: what a store makes of the same."""
    asked = tuple(
        BoardPrompt(row, prompt.prompt_id, prompt.category, prompt.tags, len(prompt.turns))
        for row, prompt in enumerate(prompts, 1)
    )
    by_name = {prompt.prompt_id: prompt for prompt in asked}
    answered = tuple(
        BoardOutput(row, prompt.row, output.contestant, output.sample, min(len(output.turns), prompt.turns))
        for row, output in enumerate(outputs, 1)
        if (prompt := by_name.get(output.prompt_id)) is not None
    )
    return Board(revision, asked, answered)
