"""The contract of verdicts: in pages by position or revision, filtered, or all of one judge."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from judge.domain.dataset import ImportedVerdict
from judge.domain.names import TEXT_BYTES
from judge.domain.outcome import ItemState, Order, Outcome, Preference, VerdictStatus
from judge.domain.verdict import CallKey, ParsedVerdict, Reply, Verdict
from judge.ports.records import Settled, VerdictQuery
from judge.store.rows import READ_CHARS

if TYPE_CHECKING:
    from support.scene import Scene

TENANT = "default"
ALL = VerdictQuery()
GROUPS = (3, 1, 5, 2, 1)


async def commit_groups(scene: Scene, groups: tuple[int, ...] = GROUPS) -> tuple[int, list[CallKey]]:
    """Create a run with one commit for each group, which fill positions from the last to the first."""
    run = await scene.run()
    keys = await scene.keys(sum(groups))
    position = sum(groups)
    for size in groups:
        position -= size
        await scene.answer(keys[position : position + size], run, begin=position)
    return run.row, keys


def places(verdicts: list[Verdict]) -> list[int]:
    return [verdict.position for verdict in verdicts]


@pytest.mark.parametrize("limit", [1, 4, 12, 50])
async def test_pages_by_position_hold_everything_once(scene: Scene, limit: int) -> None:
    """Pages after the last position return every verdict once, in the plan's order."""
    row, keys = await commit_groups(scene)
    seen: list[int] = []

    while page := await scene.store.verdicts(row, ALL, after=seen[-1] if seen else -1, limit=limit):
        assert len(page) <= limit
        seen += places(page)

    assert seen == list(range(len(keys)))


@pytest.mark.parametrize("limit", [1, 4, 12, 50])
async def test_pages_by_revision_hold_everything_once(scene: Scene, limit: int) -> None:
    """Pages after the last revision and position return every verdict once, in the order of the commits."""
    row, keys = await commit_groups(scene)
    seen: list[tuple[int, int]] = [(0, 0)]

    while page := await scene.store.verdicts_by_revision(row, ALL, after=seen[-1], limit=limit):
        assert len(page) <= limit
        seen += [(verdict.revision, verdict.position) for verdict in page]

    assert seen == sorted(seen)
    assert sorted(position for _, position in seen[1:]) == list(range(len(keys)))


async def commit_large(scene: Scene, count: int = 6) -> int:
    """Create a run with *count* replies of 3 MiB, in one commit."""
    run = await scene.run()
    keys = await scene.keys(count)
    granted = (await scene.permit(keys, run)).granted
    reply = Reply("x" * (3 << 20))
    settled = [scene.called(key, granted[key], at, reply=reply) for at, key in enumerate(keys)]
    await scene.store.commit(TENANT, run.row, settled)
    return run.row


async def test_pages_of_large_replies_end_by_their_size(scene: Scene) -> None:
    """A page has at most 8 MiB and one more reply, however many rows are asked for, and pages hold everything once."""
    row = await commit_large(scene)
    by_position: list[int] = []
    by_revision: list[tuple[int, int]] = [(0, 0)]
    answers: list[int] = []

    while page := await scene.store.verdicts(row, ALL, after=by_position[-1] if by_position else -1, limit=100):
        assert len(page) <= 3
        by_position += places(page)
    while page := await scene.store.verdicts_by_revision(row, ALL, after=by_revision[-1], limit=100):
        assert len(page) <= 3
        by_revision += [(verdict.revision, verdict.position) for verdict in page]
    while read := await scene.store.run_answers(row, answers[-1] if answers else -1, 100):
        assert len(read) <= 3
        answers += [position for position, _, _ in read]

    assert by_position == answers == [position for _, position in by_revision[1:]] == list(range(6))


async def test_a_query_filters(scene: Scene) -> None:
    """Judges, contestants, prompts, categories, statuses, states and outcomes filter, alone and together."""
    run = await scene.run()
    keys = await scene.keys(6)
    second = ParsedVerdict("brackets", Preference.SECOND)
    done = [
        scene.called(keys[0], None, 0),
        scene.called(keys[1], None, item=scene.item(1, judge=1)),
        scene.called(keys[2], None, item=scene.item(2, prompt=1, pair="bc"), parsed_verdict=second),
        scene.called(keys[3], None, 3, parsed_verdict=ParsedVerdict("brackets", None, "nothing")),
        scene.called(keys[4], None, 4, reply=Reply("", VerdictStatus.FILTERED), parsed_verdict=None),
        Settled(keys[5], scene.item(5, pair="ac"), state=ItemState.TOO_LONG),
    ]
    await scene.store.commit(TENANT, run.row, done)

    async def select(limit: int = 10, **query: Any) -> list[int]:  # noqa: ANN401  # whatever VerdictQuery takes
        selected = VerdictQuery(**query)
        return places(await scene.store.verdicts(run.row, selected, after=-1, limit=limit))

    assert await select() == [0, 1, 2, 3, 4, 5]
    assert await select(judges=["kind"]) == [1]
    assert await select(judges=["nobody"]) == []
    assert await select(contestants=["c"]) == [2, 5]
    assert await select(prompt_ids=["p1"]) == [2]
    assert await select(categories=["even"]) == [0, 1, 3, 4, 5]
    assert await select(statuses=[VerdictStatus.UNREADABLE, VerdictStatus.FILTERED]) == [3, 4]
    assert await select(states=[ItemState.TOO_LONG]) == [5]
    assert await select(outcomes=[Outcome.RIGHT]) == [2]
    assert await select(outcomes=[Outcome.LEFT], limit=1) == [0]
    assert await select(outcomes=[Outcome.RIGHT], limit=1) == [2]
    assert await select(judges=["strict"], outcomes=[Outcome.LEFT]) == [0]


async def test_a_judges_verdicts_are_those_of_its_newest_version(scene: Scene) -> None:
    """If runs have several versions of a judge, only the newest counts, and each presentation once."""
    keys = await scene.keys(4)
    old = await scene.run("run-1")
    await scene.answer(keys[:2], old)
    newer = tuple(replace(judge, model="m-9") for judge in old.judges)
    run = await scene.run("run-2", judges=newer)
    await scene.answer(keys[2:3], run)
    again = await scene.run("run-3", judges=newer)
    answered = (await scene.permit(keys[2:3], again)).answered
    reused = Settled(keys[2], scene.item(0), answer=answered[keys[2]].answer)
    await scene.store.commit(TENANT, again.row, [reused])
    scene.clock.time += 1
    await scene.store.commit(TENANT, again.row, [scene.called(keys[3], None, item=scene.item(1, prompt=2))])

    seen = await scene.store.judge_verdicts(TENANT, "d", "strict")

    assert [(v.presentation.prompt_id, v.status) for v in seen] == [("p0", VerdictStatus.OK), ("p2", VerdictStatus.OK)]


async def test_five_thousand_verdicts_are_read_in_pages(scene: Scene) -> None:
    """All verdicts of a judge with thousands of them are read."""
    run = await scene.run()
    keys = await scene.keys(5000)
    ends = ["ab", "ac", "bc"]
    done = [
        scene.called(key, None, item=scene.item(n, prompt=n % 3, pair=ends[n // 3 % 3])._replace(repeat=n // 9))
        for n, key in enumerate(keys)
    ]
    for begin in range(0, len(done), 250):
        await scene.store.commit(TENANT, run.row, done[begin : begin + 250])

    seen = await scene.store.judge_verdicts(TENANT, "d", "strict")

    assert sorted(places(seen)) == list(range(5000))


async def test_the_verdicts_of_a_judge_with_the_largest_replies_fit_into_memory(scene: Scene) -> None:
    """They come without texts, page by page; the texts on a prompt are read if it is named."""
    raw = "[[A]]".rjust(TEXT_BYTES)
    uploaded = [
        ImportedVerdict(f"q{n}", "a", "b", Order.LEFT_FIRST, "strict", raw=raw, outcome=Outcome.LEFT, reason=raw)
        for n in range(32)
    ]
    for row in uploaded:
        await scene.store.add_verdicts(TENANT, "d", [(row, None)], replace=False)

    tracemalloc.start()
    light = await scene.store.judge_verdicts(TENANT, "d", "strict")
    columns = await scene.store.judge_columns(TENANT, "d", "strict")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    whole = await scene.store.judge_verdicts(TENANT, "d", "strict", prompt_ids={"q7"})

    assert [verdict.presentation.prompt_id for verdict in light] == [row.prompt_id for row in uploaded]
    assert {verdict.reply.raw for verdict in light if verdict.reply} == {""}
    assert {verdict.outcome for verdict in light} == {Outcome.LEFT}
    assert len(columns) == len(uploaded)
    assert [verdict.reply and verdict.reply.raw for verdict in whole] == [raw]
    assert await scene.store.judge_verdicts(TENANT, "d", "strict", prompt_ids={"unknown"}) == []
    assert peak < 6 * READ_CHARS, peak
