"""Turning positions of a plan into work: load the texts of a shard, and compute each presentation's key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

from judge.domain.judge import RECORDED, JudgeDefinition
from judge.domain.outcome import Order
from judge.domain.verdict import CallKey, Shown
from judge.execution.judge_call import Work, recorded_key, shows_reference, texts
from judge.planning.text_pages import TEXT_CHARS, text_pages
from judge.ports.records import ItemRef, OutputText, PromptText
from judge.ports.store import DatasetStore


class Keys:
    """Computes the keys of one judge's presentations.

    A key is made of contents; for a recorded judge, whose verdicts were uploaded, it is made of contestants.
    """

    def __init__(self, store: DatasetStore, tenant: str, definition: JudgeDefinition, cache_tag: str) -> None:
        self._store, self._tenant, self._definition, self._cache_tag = store, tenant, definition, cache_tag
        self._fingerprints: dict[str, int] = {}

    async def pages(self, items: Sequence[ItemRef], *, chars: int = TEXT_CHARS) -> AsyncIterator[list[Work]]:
        """Yield the work of *items* in pages whose texts have at most *chars* characters, so that they fit memory."""
        async for page in text_pages(
            self._store, items, lambda item: (item.prompt,), lambda item: (item.left, item.right), chars=chars
        ):
            yield await self.work(page)

    async def work(self, items: Sequence[ItemRef]) -> list[Work]:
        """Load the texts of *items* and return their work, in the same order."""
        prompts = await self._store.prompt_texts({item.prompt for item in items})
        outputs = await self._store.output_texts({row for item in items for row in (item.left, item.right)})
        presentations = [self._shown(item, prompts, outputs) for item in items]
        fingerprints = [self._definition.call_fingerprint(shown) for shown in presentations]
        if new := sorted(set(fingerprints) - self._fingerprints.keys()):
            ids = await self._store.intern(self._tenant, [bytes.fromhex(fingerprint) for fingerprint in new])
            self._fingerprints.update(zip(new, ids, strict=True))
        contents = await self._contents(items, presentations, prompts, outputs)
        return [
            Work(self._key(item, fingerprint, content), shown, item)
            for item, shown, fingerprint, content in zip(items, presentations, fingerprints, contents, strict=True)
        ]

    def _key(self, item: ItemRef, fingerprint: str, content: tuple[int, int, int]) -> CallKey:
        prompt, first, second = content
        return CallKey(
            fingerprint=self._fingerprints[fingerprint],
            prompt=prompt,
            turn=item.turn,
            first=first,
            second=second,
            cache_tag=self._cache_tag,
            repeat=item.repeat,
        )

    def _shown(self, item: ItemRef, prompts: dict[int, PromptText], outputs: dict[int, OutputText]) -> Shown:
        return texts(prompts[item.prompt], outputs[item.left], outputs[item.right], item.turn, item.order)

    async def _contents(
        self,
        items: Sequence[ItemRef],
        presentations: Sequence[Shown],
        prompts: dict[int, PromptText],
        outputs: dict[int, OutputText],
    ) -> list[tuple[int, int, int]]:
        """The store's ids of the prompt and of the first and second output of each of *items*."""
        outputs_shown = [
            (item.left, item.right) if item.order is Order.LEFT_FIRST else (item.right, item.left) for item in items
        ]
        if self._definition.backend == RECORDED:
            return await self._recorded_contents(items, outputs_shown, prompts, outputs)
        contents = []
        for item, shown, (first, second) in zip(items, presentations, outputs_shown, strict=True):
            prompt = prompts[item.prompt]
            at = item.turn - 1
            content = prompt.referenced[at] if shows_reference(self._definition, shown) else prompt.plain[at]
            contents.append((content, outputs[first].shown[at], outputs[second].shown[at]))
        return contents

    async def _recorded_contents(
        self,
        items: Sequence[ItemRef],
        outputs_shown: Iterable[tuple[int, int]],
        prompts: dict[int, PromptText],
        outputs: dict[int, OutputText],
    ) -> list[tuple[int, int, int]]:
        """The same for a recorded judge, whose ids stand for names instead of contents."""
        digests: list[bytes] = []
        for item, (first, second) in zip(items, outputs_shown, strict=True):
            prompt_id = prompts[item.prompt].prompt.prompt_id
            for row in (first, second):
                output = outputs[row].output
                digests.extend(recorded_key(prompt_id, output.contestant, output.sample))
        ids = await self._store.intern(self._tenant, digests)
        return [(ids[i], ids[i + 1], ids[i + 3]) for i in range(0, len(ids), 4)]
