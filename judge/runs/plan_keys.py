"""The keys of a plan's showings as columns: each text is looked at once, however often it is shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from judge.columns.names import first_comers
from judge.domain.judge import JudgeDefinition
from judge.domain.outcome import Order
from judge.domain.verdict import Shown
from judge.execution.cost import characters
from judge.execution.judge_call import shows_reference
from judge.planning.plan import Plan
from judge.ports.records import OutputText, PromptText
from judge.ports.store import Store

T = TypeVar("T")
PAGE = 1000
"""Texts read at once."""
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PlanKeys:
    """The distinct keys of one judge's showings, each of its repeats' left out.

    *keys* is int64[5, n]: the store's ids of fingerprint, prompt, turn, first and second. *characters* is int64[n],
    about how many each sends.
    """

    keys: Numbers
    characters: Numbers


async def plan_keys(store: Store, tenant: str, definition: JudgeDefinition, plan: Plan) -> PlanKeys:
    """The keys of *plan*'s showings before a judge that is no recorded one."""
    codes: dict[str, int] = {}

    def prompt_codes(text: PromptText, turn: int) -> tuple[int, int, int]:
        prompt = text.prompt
        shown = Shown(prompt.turns[:turn], (), (), prompt.category, prompt.reference[:turn])
        content = text.referenced if shows_reference(definition, shown) else text.plain
        code = codes.setdefault(definition.call_fingerprint(shown), len(codes))
        return code, content[turn - 1], characters(shown)

    def answered(text: OutputText, turn: int) -> tuple[int, int]:
        return text.shown[turn - 1], sum(map(len, text.output.turns[:turn]))

    (code, prompt, sent), which = await _looked_at(plan.prompt, plan.turn, store.prompt_texts, prompt_codes)
    ends, turns = np.concatenate((plan.left, plan.right)), np.concatenate((plan.turn, plan.turn))
    (shown, long), at = await _looked_at(ends, turns, store.output_texts, answered)
    fingerprint = np.array(await store.intern(tenant, [bytes.fromhex(one) for one in codes]), dtype=np.int64)[code]
    first, second = at[: len(plan.left)], at[len(plan.left) :]
    if plan.orders > 1:
        first, second, which = np.concatenate((first, second)), np.concatenate((second, first)), np.tile(which, 2)
        turns = np.tile(plan.turn, 2)
    else:
        turned = plan.order == Order.RIGHT_FIRST
        first, second, turns = np.where(turned, second, first), np.where(turned, first, second), plan.turn
    columns = (fingerprint[which], prompt[which], turns.astype(np.int64), shown[first], shown[second])
    once, _ = first_comers(columns)
    return PlanKeys(np.stack(columns)[:, once], (sent[which] + long[first] + long[second])[once])


async def _looked_at(
    rows: NDArray[Any],
    turns: NDArray[Any],
    read: Callable[[Collection[int]], Awaitable[Mapping[int, T]]],
    look: Callable[[T, int], tuple[int, ...]],
) -> tuple[Numbers, NDArray[np.int32]]:
    """What *look* sees in each text up to a turn, int64[k, texts], and which of them stands at each of *rows*."""
    first, which = first_comers((rows.astype(np.int64), turns.astype(np.int64)))
    there = list(zip(rows[first].tolist(), turns[first].tolist(), strict=True))
    found: list[tuple[int, ...]] = []
    for begin in range(0, len(there), PAGE):
        page = there[begin : begin + PAGE]
        texts = await read({row for row, _ in page})
        found.extend(look(texts[row], turn) for row, turn in page)
    return np.array(found, dtype=np.int64).T, which


async def answered(store: Store, tenant: str, keys: PlanKeys, cache_tag: str, repeats: int) -> NDArray[np.bool_]:
    """Which of *keys* have an answer in that *cache_tag*, bool[repeats, n]."""
    told = keys.keys
    fingerprints, prompts = (np.unique(told[at]).tolist() for at in (0, 1))
    stored = await store.stored_keys(tenant, fingerprints, prompts, cache_tag)
    found = np.zeros((repeats, told.shape[1]), dtype=np.bool_)
    for repeat in range(repeats):
        here = stored[:5, stored[5] == repeat]
        _, which = first_comers(tuple(np.concatenate((told, here), axis=1)))
        same = which[told.shape[1] :]
        found[repeat, same[same < told.shape[1]]] = True
    return found
