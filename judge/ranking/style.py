"""Style control: the length and the markdown of outputs as covariates of a fit.

W.-L. Chiang, T. Li, J. E. Gonzalez, I. Stoica (2024), "Does Style Matter? Disentangling Style and Substance in Chatbot
Arena". Here each covariate is log(1 + count), left minus right, in units of its root mean square.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Container, Mapping, Sequence
from typing import Final

import numpy as np

from judge.columns.arrays import Floats
from judge.domain.errors import InvalidInput
from judge.planning.text_pages import text_pages
from judge.ports.store import Store
from judge.ranking.battles import Style
from judge.votes.votes import SourceVotes

_CODE: Final = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_COUNTED: Final = {
    "headers": re.compile(r"^ {0,3}#{1,6}\s", re.MULTILINE),
    "lists": re.compile(r"^\s*(?:[-*+]|\d+[.)])\s", re.MULTILINE),
    "bold": re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__"),
}
NAMES: Final = ("length", *_COUNTED, "code")
"""The covariates: characters, headers, list items, bold passages, blocks of code."""
_Side = tuple[str, str, int, int]


def features(text: str) -> Floats:
    r"""log(1 + count) of characters, headers, list items, bold passages and blocks of code in *text*: float64[5].

    >>> np.expm1(features("# A\n- **b**\n- c")).round().tolist()
    [15.0, 1.0, 2.0, 1.0, 0.0]
    """
    prose, blocks = _CODE.subn("", text)
    counts = [len(text), *(len(pattern.findall(prose)) for pattern in _COUNTED.values()), blocks]
    return np.log1p(np.array(counts, dtype=np.float64))


def _all_features(texts: Sequence[str]) -> list[Floats]:
    return [features(text) for text in texts]


async def style_of(store: Store, tenant: str, votes: SourceVotes) -> Style:
    """The style of every output that *votes* are about. Raises InvalidInput if the dataset lacks an output."""
    revision = await store.revision(tenant, votes.dataset)
    prompt_ids = {key.prompt_id for key in votes.rows.compact().keys}
    index = await store.dataset_index(tenant, votes.dataset, revision, prompt_ids=prompt_ids)
    rows = {name: output.row for name, output in index.named().items()}
    all_sides = _sides(votes, rows)
    of: dict[_Side, Floats] = {}
    async for sides in text_pages(store, all_sides, lambda _: (), lambda side: (rows[side[:3]],)):
        texts = await store.output_texts({rows[side[:3]] for side in sides})
        turns = [texts[rows[side[:3]]].output.texts[side[3] - 1] for side in sides]
        of.update(zip(sides, await asyncio.to_thread(_all_features, turns), strict=True))
    return Style(NAMES, of)


def style_in(outputs: Mapping[tuple[str, str, int], Sequence[str]], votes: SourceVotes) -> Style:
    """The style of *outputs*, given as the turns by prompt, contestant and sample.

    Raises InvalidInput if an output that *votes* are about is missing.
    """
    return Style(NAMES, {side: features(outputs[side[:3]][side[3] - 1]) for side in _sides(votes, outputs)})


def _sides(votes: SourceVotes, known: Container[tuple[str, str, int]]) -> list[_Side]:
    """The outputs that *votes* are about, with their turns, sorted. Raises InvalidInput if one is not *known*."""
    sides = sorted(
        {
            side
            for key in votes.rows.compact().keys
            for side in (
                (key.prompt_id, key.left, key.left_sample, key.turn),
                (key.prompt_id, key.right, key.right_sample, key.turn),
            )
        }
    )
    missing = [side for side in sides if side[:3] not in known]
    if missing:
        prompt_id, contestant, sample, _ = missing[0]
        message = (
            f"{contestant!r} has no output for prompt {prompt_id!r}, sample {sample}; upload it, or leave out style, "
            "bias, and length control"
        )
        raise InvalidInput("options.style", message)
    return sides
