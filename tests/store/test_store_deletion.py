"""What the deletion of a dataset loses."""

from __future__ import annotations

from judge.domain.dataset import ImportedVerdict
from judge.domain.judge import RECORDED
from judge.domain.outcome import Order, Outcome
from judge.domain.run import RunState
from judge.domain.verdict import CallKey
from support.scene import TENANT, Scene


async def keys_of_texts(scene: Scene) -> list[CallKey]:
    """Return the keys of the calls about each prompt's outputs of two contestants."""
    texts = await scene.store.prompt_texts(scene.prompts)
    shown = await scene.store.output_texts(list(scene.outputs.values()))
    [fingerprint] = await scene.store.intern(TENANT, [b"f" * 32])
    return [
        CallKey(
            fingerprint=fingerprint,
            prompt=texts[prompt].plain[0],
            turn=1,
            first=shown[scene.outputs[prompt, "a"]].shown[0],
            second=shown[scene.outputs[prompt, "b"]].shown[0],
        )
        for prompt in scene.prompts[:2]
    ]


async def test_the_replies_that_a_deletion_loses_are_counted_once(scene: Scene) -> None:
    """Also if two runs share them, and if their runs were deleted before. Uploaded verdicts are no replies."""
    keys = await keys_of_texts(scene)
    run, other = await scene.run(), await scene.run("run-2")
    await scene.answer(keys, run)
    await scene.store.commit(TENANT, other.row, [scene.called(key, None, n) for n, key in enumerate(keys)])
    uploaded = ImportedVerdict(
        prompt_id="p0", left="a", right="b", order=Order.LEFT_FIRST, judge="gpt", outcome=Outcome.LEFT
    )
    await scene.store.add_verdicts(TENANT, "d", [(uploaded, None)], replace=False)

    shared = await scene.store.count_deletion(TENANT, "d")
    for each in (run, other):
        await scene.store.move_run(each.row, RunState.CANCELLING)
        await scene.store.move_run(each.row, RunState.CANCELLED)
        await scene.store.delete_run(TENANT, each.run_id)
    orphaned = await scene.store.count_deletion(TENANT, "d")

    assert {judge.backend for judge in await scene.store.judge_definitions(TENANT)} >= {RECORDED}
    assert (shared.runs, shared.replies) == (2, len(keys))
    assert (orphaned.runs, orphaned.replies, orphaned.cost_micros) == (0, len(keys), 0)
    assert await scene.store.delete_dataset(TENANT, "d") == orphaned


async def test_replies_that_another_dataset_reaches_are_not_lost(scene: Scene) -> None:
    """They stay stored, so they are not counted."""
    await scene.answer(await keys_of_texts(scene), await scene.run())
    texts = await scene.store.prompt_texts(scene.prompts)
    shown = await scene.store.output_texts(list(scene.outputs.values()))
    await scene.store.create_dataset(TENANT, "twin")
    await scene.store.add_prompts(TENANT, "twin", [text.prompt for text in texts.values()], replace=False)
    await scene.store.add_outputs(TENANT, "twin", [text.output for text in shown.values()], replace=False)

    lost = await scene.store.count_deletion(TENANT, "d")

    assert (lost.runs, lost.replies) == (1, 0)
