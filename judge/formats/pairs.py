"""The items of files whose rows repeat prompts and outputs, as texts without ids."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable

from judge.domain.dataset import Label, Output, Prompt
from judge.domain.messages import Turn, turn_body
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.formats.importing import Item, LabelIds

GOLD = "gold"
"""The annotator of labels that are right by construction."""


class Pairs:
    """The prompts and outputs of one file, each of which becomes an item once.

    Another text of a contestant to the same prompt is a further sample.

    >>> pairs = Pairs()
    >>> outputs = [pairs.output("p", "m", text) for text in ("a", "a", "b")]
    >>> [output.sample for output in outputs], len(pairs.new(outputs))
    ([0, 0, 1], 2)
    """

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], list[bytes]] = {}
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._done: set[tuple[object, ...]] = set()
        self._ids = LabelIds()

    def output(self, prompt_id: str, contestant: str, turn: Turn) -> Output:
        """Return an output, whose sample is the number of its turn among those of the contestant to the prompt."""
        texts, key = self._texts.setdefault((prompt_id, contestant), []), _key(turn)
        if key not in texts:
            texts.append(key)
        return Output(prompt_id=prompt_id, contestant=contestant, turns=(turn,), sample=texts.index(key))

    def further_output(self, prompt_id: str, contestant: str, turn: Turn) -> Output:
        """Return an output that is a sample of its own, even if it was there before."""
        key = (prompt_id, contestant)
        self._numbers[key] += 1
        return Output(prompt_id=prompt_id, contestant=contestant, turns=(turn,), sample=self._numbers[key] - 1)

    def new(self, items: Iterable[Item]) -> list[Item]:
        """Return the items of a row without the prompts and outputs that were in an earlier one.

        They count as done only here, so that a row that turns out to be wrong takes nothing from the rows after it.
        """
        made = {_identity(item): item for item in items}
        new = [item for identity, item in made.items() if identity not in self._done]
        self._done.update(identity for identity, item in made.items() if isinstance(item, (Prompt, Output)))
        return new

    def label(
        self,
        left: Output,
        right: Output,
        outcome: Outcome,
        *,
        annotator: str,
        kind: AnnotatorKind,
        label_id: str = "",
        probability: float | None = None,
        strength: float | None = None,
        note: str = "",
    ) -> Label:
        """Return a label on two outputs, with the file's id for it, or else one made of its content."""
        sides = ((left.contestant, left.sample), (right.contestant, right.sample))
        return Label(
            label_id=label_id or self._ids.next(left.prompt_id, 1, sides, annotator),
            prompt_id=left.prompt_id,
            left=left.contestant,
            right=right.contestant,
            outcome=outcome,
            annotator=annotator,
            kind=kind,
            probability=probability,
            strength=strength,
            note=note,
            left_sample=left.sample,
            right_sample=right.sample,
        )


def _key(turn: Turn) -> bytes:
    text = turn if isinstance(turn, str) else json.dumps(turn_body(turn))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def _identity(item: Item) -> tuple[object, ...]:
    if isinstance(item, Prompt):
        return ("prompt", item.prompt_id)
    if isinstance(item, Output):
        return (item.prompt_id, item.contestant, item.sample)
    return ("item", id(item))
