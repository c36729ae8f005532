"""The contract of verdicts as columns: they have the same values as the verdicts themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from judge.domain.dataset import ImportedVerdict
from judge.domain.errors import NotFound
from judge.domain.outcome import ItemState, Order, Outcome, Preference, VerdictStatus
from judge.domain.verdict import ParsedVerdict, Reply, Verdict
from judge.ports.records import Settled, VerdictQuery
from judge.ports.verdict_columns import STATUSES, VerdictColumns
from judge.store.verdict_columns import PAGE

if TYPE_CHECKING:
    from judge.domain.verdict import CallKey
    from support.scene import Scene

TENANT = "default"


def rows_of_columns(columns: VerdictColumns) -> list[tuple[object, ...]]:
    """Return the rows of *columns*, with names instead of codes."""
    numbers = zip(
        [columns.prompt_ids[code] for code in columns.prompt],
        columns.turn.tolist(),
        [columns.contestants[code] for code in columns.left],
        [columns.contestants[code] for code in columns.right],
        columns.left_sample.tolist(),
        columns.right_sample.tolist(),
        columns.order.tolist(),
        columns.repeat.tolist(),
        [STATUSES[code] for code in columns.status],
        columns.preference.tolist(),
        [None if np.isnan(value) else value for value in columns.probability_first.tolist()],
        [None if np.isnan(value) else value for value in columns.strength.tolist()],
        columns.answer.tolist(),
        strict=True,
    )
    return list(numbers)


def rows_of_verdicts(verdicts: list[Verdict]) -> list[tuple[object, ...]]:
    """Return the same rows, made from verdicts."""
    rows: list[tuple[object, ...]] = []
    for v in verdicts:
        shown, parsed_verdict = v.presentation, v.parsed_verdict
        status = v.status if v.state is None else v.state
        assert status is not None
        rows.append(
            (
                *(shown.prompt_id, shown.turn, shown.left, shown.right, shown.left_sample, shown.right_sample),
                *(shown.order, v.repeat, status.name.lower()),
                *(
                    (parsed_verdict.preference or 0, parsed_verdict.probability_first, parsed_verdict.strength)
                    if parsed_verdict
                    else (0, None, None)
                ),
                v.answer,
            )
        )
    return rows


async def commit_every_kind(scene: Scene, keys: list[CallKey], run: int) -> None:
    """Commit verdicts of every kind, by two judges, in both orders, some with probabilities, the last pages away."""
    sure = ParsedVerdict("brackets", Preference.FIRST, probability_first=0.1 + 0.2, strength=1 / 3)
    strong = ParsedVerdict("brackets", Preference.TIE, strength=1.0)
    turned = scene.item(6, prompt=2, pair="bc")._replace(order=Order.RIGHT_FIRST, turn=2, repeat=3)
    done = [
        scene.called(keys[0], None, 0, parsed_verdict=sure),
        scene.called(keys[1], None, item=scene.item(1, judge=1)),
        scene.called(keys[2], None, item=scene.item(2, prompt=1, pair="bc"), parsed_verdict=strong),
        scene.called(keys[3], None, 3, parsed_verdict=ParsedVerdict("brackets", None, "nothing")),
        scene.called(keys[4], None, 4, reply=Reply("", VerdictStatus.FILTERED), parsed_verdict=None),
        Settled(keys[5], scene.item(5, pair="ac"), state=ItemState.TOO_LONG),
        scene.called(keys[6], None, item=turned, parsed_verdict=ParsedVerdict("brackets", Preference.SECOND)),
        scene.called(keys[7], None, 2 * PAGE + 1, reply=Reply("", VerdictStatus.REFUSED), parsed_verdict=None),
    ]
    await scene.store.commit(TENANT, run, done)


@pytest.mark.parametrize("judge", [0, 1])
async def test_columns_say_what_the_verdicts_say(scene: Scene, judge: int) -> None:
    """Presentation, order, status, preference, probability, strength and answer are the same in each row."""
    run = await scene.run()
    await commit_every_kind(scene, await scene.keys(8), run.row)

    columns = await scene.store.run_columns(run.row, judge)

    query = VerdictQuery(judges=(run.judges[judge].name,))
    assert rows_of_columns(columns) == rows_of_verdicts(await scene.store.verdicts(run.row, query, after=-1, limit=100))
    assert len(rows_of_columns(columns)) == [7, 1][judge]


async def test_a_run_without_a_verdict_has_empty_columns(scene: Scene) -> None:
    """A run that has no verdict yet has columns without rows, and a judge without verdicts is not found."""
    run = await scene.run()

    assert rows_of_columns(await scene.store.run_columns(run.row, 0)) == []
    with pytest.raises(NotFound):
        await scene.store.judge_columns(TENANT, "d", "strict")


async def test_columns_hold_verdicts_of_another_parser(scene: Scene) -> None:
    """If a reply was parsed only by another parser, that parsed verdict counts, in columns as in rows."""
    run = await scene.run()
    keys = await scene.keys(2)
    other = ParsedVerdict("other", Preference.SECOND)
    done = [scene.called(keys[0], None, 0, parsed_verdict=other), scene.called(keys[1], None, 1)]
    await scene.store.commit(TENANT, run.row, done)

    columns = await scene.store.run_columns(run.row, 0)
    of_judge = await scene.store.judge_columns(TENANT, "d", "strict")

    query = VerdictQuery(judges=("strict",))
    assert rows_of_columns(columns) == rows_of_verdicts(await scene.store.verdicts(run.row, query, after=-1, limit=9))
    assert rows_of_columns(of_judge) == rows_of_verdicts(await scene.store.judge_verdicts(TENANT, "d", "strict"))
    assert [Preference.SECOND, Preference.FIRST] == columns.preference.tolist()


async def test_columns_hold_imported_verdicts(scene: Scene) -> None:
    """Verdicts that were made elsewhere are in the columns of their judge, with the source's outcome."""
    verdict = ImportedVerdict(
        prompt_id="p0", left="a", right="b", order=Order.RIGHT_FIRST, judge="gpt", outcome=Outcome.LEFT
    )
    await scene.store.add_verdicts(TENANT, "d", [(verdict, None)], replace=False)

    columns = await scene.store.judge_columns(TENANT, "d", "gpt")

    assert rows_of_columns(columns) == rows_of_verdicts(await scene.store.judge_verdicts(TENANT, "d", "gpt"))
    assert [Preference.SECOND] == columns.preference.tolist()


async def test_columns_of_a_judge_hold_each_presentation_once_in_every_cache_tag(scene: Scene) -> None:
    """If several runs have the same presentation, the newest answer counts, at the place of the first."""
    keys = await scene.keys(5)
    first, second = await scene.run("run-1"), await scene.run("run-2")
    await scene.answer(keys[:2], first)
    failed = Settled(keys[2], scene.item(2, pair="bc"), state=ItemState.REJECTED)
    await scene.store.commit(TENANT, first.row, [failed])
    again = scene.called(keys[3], None, item=scene.item(0, pair="bc"))
    await scene.store.commit(TENANT, second.row, [again, scene.called(keys[4], None, item=scene.item(1, prompt=2))])

    columns = await scene.store.judge_columns(TENANT, "d", "strict")

    assert rows_of_columns(columns) == rows_of_verdicts(await scene.store.judge_verdicts(TENANT, "d", "strict"))
    assert "rejected" not in [row[8] for row in rows_of_columns(columns)]
