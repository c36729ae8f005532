"""The keys of a plan's presentations as columns. Each text is processed once, no matter how often it is shown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from judge.columns.names import first_occurrences
from judge.domain.judge import JudgeDefinition
from judge.domain.outcome import Order
from judge.domain.verdict import Shown
from judge.execution.cost import characters
from judge.execution.judge_call import shows_reference
from judge.planning.plan import Plan
from judge.planning.text_pages import text_pages
from judge.ports.records import OutputText, PromptText
from judge.ports.store import Store

T = TypeVar("T")
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PlanKeys:
    """The distinct keys of one judge's presentations, without repeats.

    *keys* is int64[5, n]: the fingerprint, the prompt, the turn, the first and the second output; all but the turn are
    the store's ids. *characters* is int64[n]: about how many characters each key sends.
    """

    keys: Numbers
    characters: Numbers


async def plan_keys(store: Store, tenant: str, definition: JudgeDefinition, plan: Plan) -> PlanKeys:
    """Compute the keys of *plan*'s presentations for a judge that is not a recorded one."""
    codes: dict[str, int] = {}

    def prompt_codes(text: PromptText, turn: int) -> tuple[int, int, int]:
        prompt = text.prompt
        shown = Shown(
            prompt=prompt.turns[:turn], first=(), second=(), category=prompt.category, reference=prompt.reference[:turn]
        )
        content = text.referenced if shows_reference(definition, shown) else text.plain
        code = codes.setdefault(definition.call_fingerprint(shown), len(codes))
        return code, content[turn - 1], characters(shown)

    def output_codes(text: OutputText, turn: int) -> tuple[int, int]:
        return text.shown[turn - 1], sum(map(len, text.output.turns[:turn]))

    def prompt_pages(places: Sequence[tuple[int, int]]) -> AsyncIterator[list[tuple[int, int]]]:
        return text_pages(store, places, lambda place: place[:1], lambda _: ())

    def output_pages(places: Sequence[tuple[int, int]]) -> AsyncIterator[list[tuple[int, int]]]:
        return text_pages(store, places, lambda _: (), lambda place: place[:1])

    (code, prompt, sent), which = await _map_texts(
        plan.prompt, plan.turn, store.prompt_texts, prompt_pages, prompt_codes
    )
    outputs, turns = np.concatenate((plan.left, plan.right)), np.concatenate((plan.turn, plan.turn))
    (shown, length), at = await _map_texts(outputs, turns, store.output_texts, output_pages, output_codes)
    fingerprint = np.array(await store.intern(tenant, [bytes.fromhex(text) for text in codes]), dtype=np.int64)[code]
    first, second = at[: len(plan.left)], at[len(plan.left) :]
    if plan.orders > 1:
        first, second, which = np.concatenate((first, second)), np.concatenate((second, first)), np.tile(which, 2)
        turns = np.tile(plan.turn, 2)
    else:
        swapped = plan.order == Order.RIGHT_FIRST
        first, second, turns = np.where(swapped, second, first), np.where(swapped, first, second), plan.turn
    columns = (fingerprint[which], prompt[which], turns.astype(np.int64), shown[first], shown[second])
    distinct, _ = first_occurrences(columns)
    return PlanKeys(np.stack(columns)[:, distinct], (sent[which] + length[first] + length[second])[distinct])


async def _map_texts(
    rows: NDArray[Any],
    turns: NDArray[Any],
    read: Callable[[Collection[int]], Awaitable[Mapping[int, T]]],
    pages: Callable[[Sequence[tuple[int, int]]], AsyncIterator[list[tuple[int, int]]]],
    describe: Callable[[T, int], tuple[int, ...]],
) -> tuple[Numbers, NDArray[np.int32]]:
    """Apply *describe* to each distinct text up to a turn. *pages* cuts pairs of a row and a turn into pages.

    Returns the k numbers that it gives for each, int64[k, texts], and the text of each of *rows*, int32[rows].
    """
    first, which = first_occurrences((rows.astype(np.int64), turns.astype(np.int64)))
    distinct = list(zip(rows[first].tolist(), turns[first].tolist(), strict=True))
    descriptions: list[tuple[int, ...]] = []
    async for page in pages(distinct):
        texts = await read({row for row, _ in page})
        descriptions.extend(describe(texts[row], turn) for row, turn in page)
    return np.array(descriptions, dtype=np.int64).T, which


async def stored_repeats(store: Store, tenant: str, keys: PlanKeys, cache_tag: str, repeats: int) -> Numbers:
    """Count for each of *keys* how many of its *repeats* have an answer with this *cache_tag*, int64[n]."""
    columns = keys.keys
    n_keys = columns.shape[1]
    fingerprints, prompts = (np.unique(columns[at]).tolist() for at in (0, 1))
    stored = await store.stored_keys(tenant, fingerprints, prompts, cache_tag)
    _, which = first_occurrences(tuple(np.concatenate((columns, stored[:5, stored[5] < repeats]), axis=1)))
    answered = which[n_keys:]
    return np.bincount(answered[answered < n_keys], minlength=n_keys)
