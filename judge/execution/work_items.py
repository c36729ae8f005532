"""From positions of a plan to work: load the texts of a shard, and key each showing by content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from judge.domain.judge import RECORDED, JudgeDefinition
from judge.domain.outcome import Order
from judge.domain.verdict import CallKey, Shown
from judge.execution.judge_call import Work, recorded_key, shows_reference, texts
from judge.ports.records import ItemRef, OutputText, PromptText
from judge.ports.store import DatasetStore


class Keys:
    """Keys showings of one judge by content; recorded judges by their contestants."""

    def __init__(self, store: DatasetStore, tenant: str, definition: JudgeDefinition, cache_tag: str) -> None:
        self._store, self._tenant, self._definition, self._cache_tag = store, tenant, definition, cache_tag
        self._fingerprints: dict[str, int] = {}

    async def work(self, items: Sequence[ItemRef]) -> list[Work]:
        """The work of *items*, in their order."""
        prompts = await self._store.prompt_texts({item.prompt for item in items})
        outputs = await self._store.output_texts({row for item in items for row in (item.left, item.right)})
        ready = [self._shown(item, prompts, outputs) for item in items]
        calls = [self._definition.call_fingerprint(shown) for shown in ready]
        if new := sorted(set(calls) - self._fingerprints.keys()):
            ids = await self._store.intern(self._tenant, [bytes.fromhex(one) for one in new])
            self._fingerprints.update(zip(new, ids, strict=True))
        contents = await self._contents(items, ready, prompts, outputs)
        return [
            Work(
                CallKey(self._fingerprints[call], prompt, item.turn, first, second, self._cache_tag, item.repeat),
                shown,
                item,
            )
            for item, shown, call, (prompt, first, second) in zip(items, ready, calls, contents, strict=True)
        ]

    def _shown(self, item: ItemRef, prompts: dict[int, PromptText], outputs: dict[int, OutputText]) -> Shown:
        return texts(prompts[item.prompt], outputs[item.left], outputs[item.right], item.turn, item.order)

    async def _contents(
        self,
        items: Sequence[ItemRef],
        ready: Sequence[Shown],
        prompts: dict[int, PromptText],
        outputs: dict[int, OutputText],
    ) -> list[tuple[int, int, int]]:
        ends = [
            (item.left, item.right) if item.order is Order.LEFT_FIRST else (item.right, item.left) for item in items
        ]
        if self._definition.backend == RECORDED:
            return await self._recorded(items, ends, prompts, outputs)
        found = []
        for item, shown, (first, second) in zip(items, ready, ends, strict=True):
            prompt = prompts[item.prompt]
            at = item.turn - 1
            content = prompt.referenced[at] if shows_reference(self._definition, shown) else prompt.plain[at]
            found.append((content, outputs[first].shown[at], outputs[second].shown[at]))
        return found

    async def _recorded(
        self,
        items: Sequence[ItemRef],
        ends: Iterable[tuple[int, int]],
        prompts: dict[int, PromptText],
        outputs: dict[int, OutputText],
    ) -> list[tuple[int, int, int]]:
        digests: list[bytes] = []
        for item, (first, second) in zip(items, ends, strict=True):
            prompt_id = prompts[item.prompt].prompt.prompt_id
            for row in (first, second):
                output = outputs[row].output
                digests.extend(recorded_key(prompt_id, output.contestant, output.sample))
        ids = await self._store.intern(self._tenant, digests)
        return [(ids[i], ids[i + 1], ids[i + 3]) for i in range(0, len(ids), 4)]
