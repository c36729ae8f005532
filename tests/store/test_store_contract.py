"""What every store does, on a file and in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from judge.domain.dataset import ImportedVerdict, Label, Output, Prompt
from judge.domain.errors import AlreadyExists, NotFound, RequestIdReused
from judge.domain.judge import AnswerForm, JudgeDefinition, Rubric, RubricVariant
from judge.domain.outcome import AnnotatorKind, ItemState, Order, Outcome, Preference, VerdictStatus
from judge.domain.run import Budget, NewRun, Run, RunSpec, RunState
from judge.domain.verdict import CallKey, ParsedVerdict, Reply, Usage
from judge.ports.records import ItemRef, PermitRequest, Settled, VerdictQuery
from judge.store.sql_store import SqlStore
from support.clocks import pass_time

DEFINITION = JudgeDefinition(
    "oracle", "scripted", Rubric("brackets", (RubricVariant("v", "s", "u", AnswerForm.BRACKETS),)), "brackets/1"
)
TENANT = "default"


class Clock(Protocol):
    """The fixture's clock: it moves only when it is told to."""

    time: float

    def now(self) -> float: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


@pytest.fixture
async def store(store: SqlStore) -> SqlStore:
    """Each store in turn, with a prompt that two contestants answered."""
    await store.create_dataset(TENANT, "data")
    await store.add_prompts(TENANT, "data", [Prompt("p", ("ask",), "maths")], replace=False)
    outputs = [Output("p", name, (f"text of {name}",)) for name in ("ada", "bob")]
    await store.add_outputs(TENANT, "data", outputs, replace=False)
    return store


async def make_run(store: SqlStore, name: str = "r1", *, request_id: str = "", body: str = "b", calls: int = 0) -> Run:
    spec = RunSpec("data", ("oracle",), budget=Budget(0, calls))
    new = NewRun(name, request_id, body, spec, 2, (DEFINITION,), 4, "hash")
    return await store.create_run(TENANT, new)


async def keys(store: SqlStore, count: int = 2) -> list[CallKey]:
    ids = await store.intern(TENANT, [bytes([number]) * 32 for number in range(count + 3)])
    return [CallKey(ids[0], ids[1], 1, ids[2], ids[3 + number]) for number in range(count)]


async def item(store: SqlStore, position: int = 0) -> ItemRef:
    index = await store.dataset_index(TENANT, "data", 2)
    return ItemRef(position, 0, index.prompts[0].row, 1, index.outputs[0].row, index.outputs[1].row, Order(1), 0)


def asks(run: Run | None, wanted: list[CallKey], *, worst: int = 0) -> PermitRequest:
    return PermitRequest(wanted, run.row if run else None, worst, 60)


def answered(key: CallKey, where: ItemRef | None, attempt: int, raw: str = "[[A]]", cost: int = 7) -> Settled:
    reply = Reply(raw, usage=Usage(cost_micros=cost))
    return Settled(key, where, attempt, reply, parsed_verdict=ParsedVerdict("brackets/1", Preference.FIRST), calls=1)


async def test_two_writers_of_one_key_leave_the_first_answer(store: SqlStore, clock: Clock) -> None:
    """Law 3: the first commit stays; the other's call is booked as repeated and its cost is kept."""
    run = await make_run(store)
    [key] = await keys(store, 1)
    first = await store.permit(TENANT, asks(run, [key]))
    await pass_time(store, clock, 100)
    second = await store.permit(TENANT, asks(run, [key]))

    await store.commit(TENANT, run.row, [answered(key, await item(store), second.granted[key], "[[A]] second")])
    await store.commit(TENANT, run.row, [answered(key, await item(store), first.granted[key], "[[A]] first")])
    [verdict] = await store.verdicts(run.row, VerdictQuery(), after=-1, limit=10)
    after = await store.run(TENANT, run.run_id)

    assert verdict.reply is not None
    assert "[[A]] second" == verdict.reply.raw
    assert {"ok": 1} == dict(after.counts.by_status)
    assert 1 == after.counts.repeated


async def test_a_commit_reported_as_failed_may_be_repeated(store: SqlStore) -> None:
    """Law 4: committing the same again changes nothing."""
    run = await make_run(store)
    [key] = await keys(store, 1)
    permit = await store.permit(TENANT, asks(run, [key]))
    settled = [answered(key, await item(store), permit.granted[key])]

    await store.commit(TENANT, run.row, settled)
    once = await store.run(TENANT, run.run_id)
    await store.commit(TENANT, run.row, settled)

    assert once == await store.run(TENANT, run.run_id)
    assert (1, 7) == (once.counts.calls, once.cost_micros)


async def test_no_permit_after_cancel(store: SqlStore) -> None:
    """A run told to cancel gets no further call; what was called before still commits."""
    run = await make_run(store)
    first, second = await keys(store)
    await store.move_run(run.row, RunState.RUNNING)
    permit = await store.permit(TENANT, asks(run, [first]))

    await store.move_run(run.row, RunState.CANCELLING)
    refused = await store.permit(TENANT, asks(run, [second]))
    await store.commit(TENANT, run.row, [answered(first, await item(store), permit.granted[first])])

    assert ("CANCELLED", {}) == (refused.refused, dict(refused.granted))
    assert 1 == (await store.run(TENANT, run.run_id)).counts.settled


async def test_an_orphaned_attempt_is_booked_as_spent(store: SqlStore) -> None:
    """What a dead process may have paid counts as spent at its worst cost, and its key can be called again."""
    run = await make_run(store)
    [key] = await keys(store, 1)
    await store.permit(TENANT, asks(run, [key], worst=50))

    assert 1 == await store.orphan_attempts()
    again = await store.permit(TENANT, asks(run, [key], worst=50))
    after = await store.run(TENANT, run.run_id)

    assert key in again.granted
    assert (50, 1) == (after.cost_micros, after.counts.repeated)


async def test_two_overlapping_runs_pay_each_key_once(store: SqlStore) -> None:
    """A key that another run is calling is waited for, then found."""
    one, two = await make_run(store, "r1"), await make_run(store, "r2")
    wanted = await keys(store)
    permit = await store.permit(TENANT, asks(one, wanted))

    waiting = await store.permit(TENANT, asks(two, wanted))
    where = await item(store)
    await store.commit(TENANT, one.row, [answered(key, where, permit.granted[key]) for key in wanted])
    found = await store.permit(TENANT, asks(two, wanted))

    assert frozenset(wanted) == waiting.busy
    assert not waiting.granted
    assert set(wanted) == set(found.answered)


async def test_a_budget_in_calls_grants_no_more(store: SqlStore) -> None:
    """With one call left of the budget, one of two keys is granted, and why is said."""
    run = await make_run(store, calls=1)

    permit = await store.permit(TENANT, asks(run, await keys(store)))

    assert (1, "BUDGET_STOPPED") == (len(permit.granted), permit.refused)


async def test_a_request_id_gives_its_run_and_refuses_another_body(store: SqlStore) -> None:
    """The same id with an equal body is the same run; with another it names the run it belongs to."""
    made = await make_run(store, request_id="mine")

    assert made.run_id == (await make_run(store, "r2", request_id="mine")).run_id
    with pytest.raises(RequestIdReused, match="r1"):
        await make_run(store, "r3", request_id="mine", body="other")


async def test_uploads_sort_rows_into_new_equal_and_refused(store: SqlStore) -> None:
    """Equal rows are duplicates, other text is refused unless it replaces, an output needs its prompt."""
    rows = [
        Output("p", "ada", ("text of ada",)),
        Output("p", "bob", ("another text",)),
        Output("q", "ada", ("no prompt",)),
        Output("p", "cy", ("one", "two")),
    ]

    result = await store.add_outputs(TENANT, "data", rows, replace=False)
    replaced = await store.add_outputs(TENANT, "data", rows[1:2], replace=True)
    old = await store.read_outputs(TENANT, "data", 2, 0, 10)
    new = await store.read_outputs(TENANT, "data", replaced.revision, 0, 10)

    assert (0, 1) == (result.accepted, result.duplicates)
    assert ["OUTPUT_DIFFERS", "UNKNOWN_PROMPT", "EXTRA_TURN"] == [r.reason for r in result.rejections]
    assert 1 == replaced.replaced
    assert "text of bob" in {output.turns[0] for _, output in old}
    assert {"text of ada", "another text"} == {output.turns[0] for _, output in new}


async def test_resume_forgets_only_presentations_without_a_verdict(store: SqlStore) -> None:
    """Law 2: a transport error is tried again; a verdict is not."""
    run = await make_run(store)
    first, second = await keys(store)
    permit = await store.permit(TENANT, asks(run, [first, second]))
    failed = Settled(second, await item(store, 1), permit.granted[second], state=ItemState.TRANSPORT_ERROR, calls=5)
    await store.commit(TENANT, run.row, [answered(first, await item(store), permit.granted[first]), failed])
    await store.move_run(run.row, RunState.RUNNING)
    await store.move_run(run.row, RunState.DONE)

    assert await store.reopen_run(run.row, None)
    again = await store.run(TENANT, run.run_id)

    assert {0} == await store.done_positions(run.row, 0, 4)
    assert (RunState.QUEUED, {"ok": 1}) == (again.state, dict(again.counts.by_status))


async def test_imported_verdicts_keep_the_sources_outcome_and_our_parsed_verdict(store: SqlStore) -> None:
    """Both readings stand beside the raw text, and the source's own counts."""
    row = ImportedVerdict("p", "ada", "bob", Order.RIGHT_FIRST, "gpt", raw="so: [[A]]", outcome=Outcome.LEFT)
    own = ParsedVerdict("brackets/1", Preference.FIRST)

    await store.add_verdicts(TENANT, "data", [(row, own)], replace=False)
    [verdict] = await store.judge_verdicts(TENANT, "data", "gpt")

    assert ["source", "brackets/1"] == [parsed_verdict.parser for parsed_verdict in verdict.parsed_verdicts]
    assert (Outcome.LEFT, VerdictStatus.OK) == (verdict.outcome, verdict.status)
    assert ["gpt"] == [definition.name for definition in await store.judge_definitions(TENANT)]


async def test_law_5_a_judges_verdicts_stand_by_plan_position_not_by_arrival(store: SqlStore, clock: Clock) -> None:
    """Answers that came in the other way round are read in the plan's order."""
    run = await make_run(store)
    wanted = await keys(store)
    permit = await store.permit(TENANT, asks(run, wanted))
    for position in (1, 0):
        where = (await item(store))._replace(position=position, order=Order(position + 1))
        key = wanted[position]
        await store.commit(TENANT, run.row, [answered(key, where, permit.granted[key])])
        clock.time += 1

    assert [0, 1] == [verdict.position for verdict in await store.judge_verdicts(TENANT, "data", "oracle")]


async def test_one_annotator_may_vote_twice(store: SqlStore) -> None:
    """A label's identity is its source and row, not who gave it."""
    labels = [Label(str(i), "p", "ada", "bob", Outcome.LEFT, "eve", AnnotatorKind.HUMAN) for i in range(2)]

    result = await store.add_labels(TENANT, "data", labels, source="votes", replace=False)

    assert 2 == result.accepted
    assert {("eve", AnnotatorKind.HUMAN): 2} == dict((await store.dataset(TENANT, "data")).annotators)


async def test_names_are_taken_missing_and_deleted(store: SqlStore) -> None:
    """A taken name, an unknown dataset and an unknown run are said; a deleted dataset is gone with its runs."""
    run = await make_run(store)
    with pytest.raises(AlreadyExists, match="data"):
        await store.create_dataset(TENANT, "data")

    await store.delete_dataset(TENANT, "data")

    with pytest.raises(NotFound, match="data"):
        await store.dataset(TENANT, "data")
    with pytest.raises(NotFound, match="r1"):
        await store.run(TENANT, run.run_id)


async def test_a_file_keeps_everything(tmp_path: Path, clock: Clock) -> None:
    """Law 4: what was stored is there when the file is opened again."""
    url = f"sqlite:///{tmp_path}/judge.db"
    store = SqlStore.open(url, clock=clock)
    await store.create_dataset(TENANT, "kept")
    await store.close()

    again = SqlStore.open(url, clock=clock)

    assert "kept" == (await again.dataset(TENANT, "kept")).name
    await again.close()
