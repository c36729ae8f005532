"""Dataset indexes for tests of plans, with gaps, samples out of order, unequal turns, tags and categories."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from judge.ports.dataset_index import DatasetIndex, IndexedOutput, IndexedPrompt, OutputIndex, PromptIndex


def index_of(prompts: Sequence[IndexedPrompt], outputs: Sequence[IndexedOutput]) -> DatasetIndex:
    """Return the dataset index of these prompts and outputs."""
    names = sorted({output.contestant for output in outputs})
    return DatasetIndex(
        revision=1,
        prompts=PromptIndex(
            row=np.array([prompt.row for prompt in prompts], dtype=np.int64),
            prompt_id=[prompt.prompt_id for prompt in prompts],
            category=[prompt.category for prompt in prompts],
            tags=[prompt.tags for prompt in prompts],
            turns=np.array([prompt.turns for prompt in prompts], dtype=np.int32),
        ),
        outputs=OutputIndex(
            row=np.array([output.row for output in outputs], dtype=np.int64),
            prompt=np.array([output.prompt for output in outputs], dtype=np.int64),
            contestant=np.array([names.index(output.contestant) for output in outputs], dtype=np.int32),
            sample=np.array([output.sample for output in outputs], dtype=np.int32),
            turns=np.array([output.turns for output in outputs], dtype=np.int32),
            contestants=names,
        ),
    )


def uneven_index(
    prompts: int = 30, names: Sequence[str] = ("dan", "ada", "cy", "bob", "eve", "élodie")
) -> DatasetIndex:
    """Return an index where a third of the outputs is missing and others have two or three samples, not in order."""
    asked = [
        IndexedPrompt(
            row=1000 + 3 * p,
            prompt_id=f"q{p * 7 % 31}-ß",
            category=("maths", "code", "")[p % 3],
            tags=_tags(p),
            turns=1 + p % 3,
        )
        for p in range(prompts)
    ]
    given = [
        (p, c, sample)
        for c in range(len(names))
        for p in range(prompts)
        for sample in ((2, 0, 5)[: 1 + (p + c) % 3])
        if (p * p + 2 * c * p + c) % 7 > 1
    ]
    outputs = [
        IndexedOutput(
            row=5000 + n,
            prompt=asked[p].row,
            contestant=names[c],
            sample=sample,
            turns=1 + (p * 3 + c + sample) % asked[p].turns,
        )
        for n, (p, c, sample) in enumerate(given)
    ]
    return index_of(asked, outputs)


def full_index(prompts: int = 12, names: Sequence[str] = ("bob", "a", "d", "c", "e")) -> DatasetIndex:
    """Return an index where every contestant has an output of two turns for every prompt."""
    asked = [IndexedPrompt(row=1 + p, prompt_id=f"p{p:02}", category="", tags=(), turns=2) for p in range(prompts)]
    outputs = [
        IndexedOutput(row=100 + n, prompt=1 + n // len(names), contestant=names[n % len(names)], sample=0, turns=2)
        for n in range(prompts * len(names))
    ]
    return index_of(asked, outputs)


def _tags(number: int) -> tuple[str, ...]:
    return tuple(tag for tag, every in (("hard", 4), ("long", 5)) if number % every == 0)
