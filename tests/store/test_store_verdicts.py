"""The contract of reading verdicts: by place in the plan, by revision, narrowed, or all of one judge."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from judge.domain.outcome import ItemState, Outcome, Preference, VerdictStatus
from judge.domain.verdict import CallKey, ParsedVerdict, Reply, Verdict
from judge.ports.records import Settled, VerdictQuery

if TYPE_CHECKING:
    from support.scene import Scene

TENANT = "default"
ALL = VerdictQuery()
GROUPS = (3, 1, 5, 2, 1)


async def committed(scene: Scene, groups: tuple[int, ...] = GROUPS) -> tuple[int, list[CallKey]]:
    """A run with a commit per group, positions from the end to the beginning."""
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
    """Reading on after the last position gives every verdict once, in the plan's order."""
    row, keys = await committed(scene)
    seen: list[int] = []

    while page := await scene.store.verdicts(row, ALL, after=seen[-1] if seen else -1, limit=limit):
        assert len(page) <= limit
        seen += places(page)

    assert seen == list(range(len(keys)))


@pytest.mark.parametrize("limit", [1, 4, 12, 50])
async def test_pages_by_revision_hold_whole_commits(scene: Scene, limit: int) -> None:
    """Following by revision gives whole commits, each once, never more than asked unless one commit is larger."""
    row, keys = await committed(scene)
    pages: list[list[Verdict]] = []

    after = 0
    while page := await scene.store.verdicts(row, ALL, after=after, limit=limit, by_revision=True):
        after = page[-1].revision
        pages.append(page)

    seen = [verdict.revision for page in pages for verdict in page]
    assert seen == sorted(seen)
    assert sorted(place for page in pages for place in places(page)) == list(range(len(keys)))
    assert all(len(page) <= limit or len({v.revision for v in page}) == 1 for page in pages)
    for earlier, later in pairwise(pages):
        assert earlier[-1].revision < later[0].revision


async def test_a_query_narrows(scene: Scene) -> None:
    """Judges, contestants, prompts, categories, statuses, states and outcomes narrow, alone and together."""
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

    async def found(limit: int = 10, **query: object) -> list[int]:
        selected = VerdictQuery(**query)  # type: ignore[arg-type]  # as told by the name
        return places(await scene.store.verdicts(run.row, selected, after=-1, limit=limit))

    assert await found() == [0, 1, 2, 3, 4, 5]
    assert await found(judges=["kind"]) == [1]
    assert await found(judges=["nobody"]) == []
    assert await found(contestants=["c"]) == [2, 5]
    assert await found(prompt_ids=["p1"]) == [2]
    assert await found(categories=["even"]) == [0, 1, 3, 4, 5]
    assert await found(statuses=[VerdictStatus.UNREADABLE, VerdictStatus.FILTERED]) == [3, 4]
    assert await found(states=[ItemState.TOO_LONG]) == [5]
    assert await found(outcomes=[Outcome.RIGHT]) == [2]
    assert await found(outcomes=[Outcome.LEFT], limit=1) == [0]
    assert await found(outcomes=[Outcome.RIGHT], limit=1) == [2]
    assert await found(judges=["strict"], outcomes=[Outcome.LEFT]) == [0]


async def test_a_judges_verdicts_are_of_its_newest_version(scene: Scene) -> None:
    """Where runs hold several versions of a judge only the newest counts, and each showing once."""
    keys = await scene.keys(4)
    old = await scene.run("run-1")
    await scene.answer(keys[:2], old)
    newer = tuple(replace(judge, model="m-9") for judge in old.judges)
    run = await scene.run("run-2", judges=newer)
    await scene.answer(keys[2:3], run)
    again = await scene.run("run-3", judges=newer)
    answered = (await scene.permit(keys[2:3], again)).answered
    found = Settled(keys[2], scene.item(0), answer=answered[keys[2]].answer)
    await scene.store.commit(TENANT, again.row, [found])
    scene.clock.time += 1
    await scene.store.commit(TENANT, again.row, [scene.called(keys[3], None, item=scene.item(1, prompt=2))])

    seen = await scene.store.judge_verdicts(TENANT, "d", "strict")

    assert [(v.presentation.prompt_id, v.status) for v in seen] == [("p0", VerdictStatus.OK), ("p2", VerdictStatus.OK)]


async def test_five_thousand_verdicts_are_read_in_pages(scene: Scene) -> None:
    """A judge with thousands of verdicts is read whole."""
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
