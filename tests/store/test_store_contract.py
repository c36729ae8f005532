"""The contract of every store, on a file, in memory and on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.domain.dataset import ImportedVerdict, Label, Output, Prompt
from judge.domain.errors import AlreadyExists, NotFound, RequestIdReused
from judge.domain.judge import AnswerForm, JudgeDefinition, Rubric, RubricVariant
from judge.domain.outcome import AnnotatorKind, ItemState, Order, Outcome, Preference, VerdictStatus
from judge.domain.run import Budget, NewRun, Run, RunSpec, RunState
from judge.domain.usage import Usage
from judge.domain.verdict import CallKey, ParsedVerdict, Reply
from judge.ports.records import ItemRef, PermitRequest, Settled, VerdictQuery
from judge.store.sql_store import SqlStore
from support.clocks import StillClock, pass_time

DEFINITION = JudgeDefinition(
    name="oracle",
    backend="scripted",
    rubric=Rubric("brackets", (RubricVariant(name="v", system="s", user="u", form=AnswerForm.BRACKETS),)),
    parser="brackets/1",
)
TENANT = "default"


@pytest.fixture
async def store(store: SqlStore) -> SqlStore:
    """Open each kind of store in turn, with a prompt that two contestants answered."""
    await store.create_dataset(TENANT, "data")
    await store.add_prompts(TENANT, "data", [Prompt("p", ("ask",), "maths")], replace=False)
    outputs = [Output("p", name, (f"text of {name}",)) for name in ("ada", "bob")]
    await store.add_outputs(TENANT, "data", outputs, replace=False)
    return store


async def make_run(store: SqlStore, name: str = "r1", *, request_id: str = "", body: str = "b", calls: int = 0) -> Run:
    spec = RunSpec("data", ("oracle",), budget=Budget(0, calls))
    new = NewRun(
        run_id=name,
        request_id=request_id,
        body_hash=body,
        spec=spec,
        dataset_revision=2,
        judges=(DEFINITION,),
        planned=4,
        plan_hash="hash",
    )
    return await store.create_run(TENANT, new)


async def keys(store: SqlStore, count: int = 2) -> list[CallKey]:
    ids = await store.intern(TENANT, [bytes([number]) * 32 for number in range(count + 3)])
    return [
        CallKey(fingerprint=ids[0], prompt=ids[1], turn=1, first=ids[2], second=ids[3 + number])
        for number in range(count)
    ]


async def item(store: SqlStore, position: int = 0) -> ItemRef:
    index = await store.dataset_index(TENANT, "data", 2)
    return ItemRef(
        position=position,
        judge=0,
        prompt=index.prompts[0].row,
        turn=1,
        left=index.outputs[0].row,
        right=index.outputs[1].row,
        order=Order(1),
        repeat=0,
    )


def asks(run: Run | None, wanted: list[CallKey], *, worst: int = 0) -> PermitRequest:
    return PermitRequest(keys=wanted, run=run.row if run else None, worst_micros=worst, seconds=60)


def answered(key: CallKey, presentation: ItemRef | None, attempt: int, raw: str = "[[A]]", cost: int = 7) -> Settled:
    reply = Reply(raw, usage=Usage(cost_micros=cost))
    return Settled(
        key=key,
        item=presentation,
        attempt=attempt,
        reply=reply,
        parsed_verdict=ParsedVerdict("brackets/1", Preference.FIRST),
        calls=1,
    )


async def test_two_writers_of_one_key_leave_the_first_answer(store: SqlStore, clock: StillClock) -> None:
    """Law 3: the answer committed first stays; the other call is booked as repeated, with its cost."""
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
    """Law 4: repeating a commit changes nothing."""
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
    """A run that is being cancelled gets no more calls; calls made before still commit."""
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
    """A call of a dead process is booked at its worst cost, and its key can be called again."""
    run = await make_run(store)
    [key] = await keys(store, 1)
    await store.permit(TENANT, asks(run, [key], worst=50))

    assert 1 == await store.orphan_attempts()
    again = await store.permit(TENANT, asks(run, [key], worst=50))
    after = await store.run(TENANT, run.run_id)

    assert key in again.granted
    assert (50, 1) == (after.cost_micros, after.counts.repeated)


async def test_two_overlapping_runs_pay_each_key_once(store: SqlStore) -> None:
    """A run waits for a key that another run is calling, and then uses its answer."""
    first, second = await make_run(store, "r1"), await make_run(store, "r2")
    wanted = await keys(store)
    permit = await store.permit(TENANT, asks(first, wanted))

    waiting = await store.permit(TENANT, asks(second, wanted))
    presentation = await item(store)
    await store.commit(TENANT, first.row, [answered(key, presentation, permit.granted[key]) for key in wanted])
    later = await store.permit(TENANT, asks(second, wanted))

    assert frozenset(wanted) == waiting.busy
    assert not waiting.granted
    assert set(wanted) == set(later.answered)


async def test_a_budget_in_calls_grants_no_more(store: SqlStore) -> None:
    """If one call of the budget is left, one of two keys is granted, and the other waits for it to settle."""
    run = await make_run(store, calls=1)

    permit = await store.permit(TENANT, asks(run, await keys(store)))

    assert (1, None, True) == (len(permit.granted), permit.refused, permit.over_budget)


async def test_a_request_id_gives_its_run_and_refuses_different_settings(store: SqlStore) -> None:
    """The same id with equal settings gives the same run. With different ones, the error names the run."""
    made = await make_run(store, request_id="mine")

    assert made.run_id == (await make_run(store, "r2", request_id="mine")).run_id
    with pytest.raises(RequestIdReused, match="r1"):
        await make_run(store, "r3", request_id="mine", body="other")


async def test_uploads_sort_rows_into_new_equal_and_refused(store: SqlStore) -> None:
    """Equal rows are duplicates, other texts are refused unless they replace, and an output needs its prompt."""
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
    """Law 2: resuming repeats transport errors but no verdicts."""
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
    """The answer has both parsed verdicts, and the source's own counts."""
    row = ImportedVerdict(
        prompt_id="p",
        left="ada",
        right="bob",
        order=Order.RIGHT_FIRST,
        judge="gpt",
        raw="so: [[A]]",
        outcome=Outcome.LEFT,
    )
    own = ParsedVerdict("brackets/1", Preference.FIRST)

    await store.add_verdicts(TENANT, "data", [(row, own)], replace=False)
    [verdict] = await store.judge_verdicts(TENANT, "data", "gpt")

    assert ["source", "brackets/1"] == [parsed_verdict.parser for parsed_verdict in verdict.parsed_verdicts]
    assert (Outcome.LEFT, VerdictStatus.OK) == (verdict.outcome, verdict.status)
    assert ["gpt"] == [definition.name for definition in await store.judge_definitions(TENANT)]


async def test_law_5_a_judges_verdicts_are_sorted_by_plan_position_not_by_arrival(
    store: SqlStore, clock: StillClock
) -> None:
    """Answers that arrived in another order are read in the plan's order."""
    run = await make_run(store)
    wanted = await keys(store)
    permit = await store.permit(TENANT, asks(run, wanted))
    for position in (1, 0):
        presentation = (await item(store))._replace(position=position, order=Order(position + 1))
        key = wanted[position]
        await store.commit(TENANT, run.row, [answered(key, presentation, permit.granted[key])])
        clock.time += 1

    assert [0, 1] == [verdict.position for verdict in await store.judge_verdicts(TENANT, "data", "oracle")]


async def test_one_annotator_may_vote_twice(store: SqlStore) -> None:
    """A label is identified by its source and label id, not by its annotator."""
    labels = [
        Label(
            label_id=str(i),
            prompt_id="p",
            left="ada",
            right="bob",
            outcome=Outcome.LEFT,
            annotator="eve",
            kind=AnnotatorKind.HUMAN,
        )
        for i in range(2)
    ]

    result = await store.add_labels(TENANT, "data", labels, source="votes", replace=False)

    assert 2 == result.accepted
    assert {("eve", AnnotatorKind.HUMAN): 2} == dict((await store.dataset(TENANT, "data")).annotators)


async def test_names_are_taken_missing_and_deleted(store: SqlStore) -> None:
    """A taken name, an unknown dataset and an unknown run are errors; a deleted dataset is gone with its runs."""
    run = await make_run(store)
    with pytest.raises(AlreadyExists, match="data"):
        await store.create_dataset(TENANT, "data")

    await store.delete_dataset(TENANT, "data")

    with pytest.raises(NotFound, match="data"):
        await store.dataset(TENANT, "data")
    with pytest.raises(NotFound, match="r1"):
        await store.run(TENANT, run.run_id)


async def test_a_file_keeps_everything(tmp_path: Path, clock: StillClock) -> None:
    """Law 4: stored rows are there when the file is opened again."""
    url = f"sqlite:///{tmp_path}/judge.db"
    store = SqlStore.open(url, clock=clock)
    await store.create_dataset(TENANT, "kept")
    await store.close()

    again = SqlStore.open(url, clock=clock)

    assert "kept" == (await again.dataset(TENANT, "kept")).name
    await again.close()
