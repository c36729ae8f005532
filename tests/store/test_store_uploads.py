"""The contract of datasets: batches, revisions, imported verdicts, deletion."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from judge.domain.dataset import BatchResult, ImportedVerdict, Label, ListedComparison, Output, Prompt
from judge.domain.errors import AlreadyExists, NotFound
from judge.domain.judge import RECORDED, JudgeDefinition, Rubric
from judge.domain.outcome import AnnotatorKind, Order, Outcome, Preference, TieKind, VerdictStatus
from judge.domain.verdict import SOURCE_PARSER, CallKey, ParsedVerdict, digest, recorded_digest
from judge.ports.records import Settled, VerdictQuery

if TYPE_CHECKING:
    from support.scene import Scene

TENANT = "default"
LABEL = Label(
    label_id="l1",
    prompt_id="p0",
    left="a",
    right="b",
    outcome=Outcome.TIE,
    annotator="ann",
    kind=AnnotatorKind.HUMAN,
    tie_kind=TieKind.BOTH_BAD,
    probability=0.5,
)


def reasons(result: BatchResult) -> list[tuple[int, str]]:
    return [(rejection.row, rejection.reason) for rejection in result.rejections]


async def test_a_batch_is_sorted_row_by_row(scene: Scene) -> None:
    """Equal rows are duplicates, also within a batch. Other content under a known id is rejected with its id."""
    same, other = Prompt("p0", ("question 0", "and then?"), category="even"), Prompt("p0", ("another",))
    fresh = Prompt("p9", ("new",), tags=("t", "u"), reference=("r",))

    result = await scene.store.add_prompts(TENANT, "d", [same, other, fresh, fresh], replace=False)

    assert (result.accepted, result.duplicates, result.replaced) == (1, 2, 0)
    assert reasons(result) == [(1, "PROMPT_DIFFERS")]
    assert "p0" in result.rejections[0].message
    assert result.revision == scene.revision + 1
    again = await scene.store.add_prompts(TENANT, "d", [same, fresh], replace=True)
    assert (again.duplicates, again.revision) == (2, result.revision)


async def test_a_replacement_keeps_the_old_revision(scene: Scene) -> None:
    """A row is replaced from one revision on. Earlier revisions keep the old row."""
    before = await scene.store.read_outputs(TENANT, "d", scene.revision, 0, 100)
    row = replace(before[1][1], turns=("better",))

    result = await scene.store.add_outputs(TENANT, "d", [row], replace=True)

    assert (result.accepted, result.replaced, result.revision) == (0, 1, scene.revision + 1)
    assert await scene.store.read_outputs(TENANT, "d", scene.revision, 0, 100) == before
    after = [output for _, output in await scene.store.read_outputs(TENANT, "d", result.revision, 0, 100)]
    assert len(after) == len(before)
    assert row in after
    assert before[1][1] not in after
    old, new = [await scene.store.dataset_index(TENANT, "d", r) for r in (scene.revision, result.revision)]
    assert {o.row for o in old.outputs} ^ {o.row for o in new.outputs} == {
        before[1][0],
        max(o.row for o in new.outputs),
    }
    first = await scene.store.dataset_index(TENANT, "d", 1)
    assert (1, list(old.prompts), []) == (first.revision, list(first.prompts), list(first.outputs))


async def test_the_last_of_two_replacements_in_a_batch_stays(scene: Scene) -> None:
    """A batch may replace a row twice."""
    first, second = Prompt("p0", ("x",)), Prompt("p0", ("y",))

    result = await scene.store.add_prompts(TENANT, "d", [first, second], replace=True)

    kept = [p for _, p in await scene.store.read_prompts(TENANT, "d", result.revision, 0, 9) if p.prompt_id == "p0"]
    assert (result.replaced, kept) == (2, [second])


async def test_a_prompt_replaced_by_a_shorter_one_shows_no_more_turns(scene: Scene) -> None:
    """Only turns that both the prompt and the output have can be judged."""
    result = await scene.store.add_prompts(TENANT, "d", [Prompt("p0", ("only one",))], replace=True)

    index = await scene.store.dataset_index(TENANT, "d", result.revision)

    turns = {p.row: p.turns for p in index.prompts}
    assert sorted(turns.values()) == [1, 2, 2]
    assert all(output.turns == turns[output.prompt] for output in index.outputs)


async def test_a_dataset_index_may_have_only_some_prompts(scene: Scene) -> None:
    """An index of some prompts, known or not, is the part of the whole index that is about them."""
    whole = await scene.store.dataset_index(TENANT, "d", scene.revision)
    some = {"p2", "p0", "absent"}

    for asked in (some, some | {f"absent {n}" for n in range(600)}):
        index = await scene.store.dataset_index(TENANT, "d", scene.revision, prompt_ids=asked)

        assert [p for p in whole.prompts if p.prompt_id in some] == list(index.prompts)
        assert {named: o for named, o in whole.named().items() if named[0] in some} == index.named()
        assert ["a", "b", "c"] == index.outputs.contestants
    none = await scene.store.dataset_index(TENANT, "d", scene.revision, prompt_ids=[])
    alone = await scene.store.prompt_index(TENANT, "d", scene.revision)
    assert (0, 0) == (len(none.prompts), len(none.outputs))
    assert list(whole.prompts) == list(alone)


async def test_a_dataset_index_has_the_order_of_upload(scene: Scene) -> None:
    """Rows ascend, whatever the names and the revision. Contestants with outputs are sorted by name."""
    await scene.store.add_prompts(TENANT, "d", [Prompt("0 first", ("ask",), tags=("t", "u"))], replace=False)
    late = [
        Output(prompt_id="0 first", contestant="_z", turns=("x",), sample=3),
        Output(prompt_id="p1", contestant="A", turns=("x",), sample=1),
    ]
    revision = (await scene.store.add_outputs(TENANT, "d", late, replace=False)).revision
    await scene.store.add_outputs(TENANT, "d", [Output("p1", "later", ("x",))], replace=False)
    assert revision + 1 == await scene.store.revision(TENANT, "d")

    index = await scene.store.dataset_index(TENANT, "d", revision)

    assert ["p0", "p1", "p2", "0 first"] == [prompt.prompt_id for prompt in index.prompts]
    assert ("t", "u") == index.prompts[3].tags
    assert ["A", "_z", "a", "b", "c"] == index.outputs.contestants
    assert sorted(o.row for o in index.outputs) == [o.row for o in index.outputs]
    assert [("_z", 3, 1), ("A", 1, 1)] == [(o.contestant, o.sample, o.turns) for o in list(index.outputs)[-2:]]


async def test_outputs_need_their_prompt(scene: Scene) -> None:
    """An output to an unknown prompt, or with more turns than its prompt, is rejected."""
    rows = [
        Output("nope", "a", ("x",)),
        Output(prompt_id="p0", contestant="a", turns=("x", "y", "z"), sample=1),
        Output("p0", "a", ("x",)),
    ]

    result = await scene.store.add_outputs(TENANT, "d", rows, replace=False)

    assert reasons(result) == [(0, "UNKNOWN_PROMPT"), (1, "EXTRA_TURN"), (2, "OUTPUT_DIFFERS")]
    assert (result.accepted, result.revision) == (0, scene.revision)


async def test_labels_may_come_before_what_they_label(scene: Scene) -> None:
    """A label's prompt and outputs may be absent. A label is identified by its source and id."""
    rows = [LABEL, replace(LABEL, label_id="l2", prompt_id="absent", turn=7), replace(LABEL, label_id="l3", turn=3)]

    result = await scene.store.add_labels(TENANT, "d", rows, source="s", replace=False)
    differs = await scene.store.add_labels(TENANT, "d", [replace(LABEL, note="x")], source="s", replace=False)
    elsewhere = await scene.store.add_labels(TENANT, "d", [replace(LABEL, note="x")], source="t", replace=False)

    assert (result.accepted, reasons(result)) == (2, [(2, "EXTRA_TURN")])
    assert (reasons(differs), elsewhere.accepted) == ([(0, "LABEL_DIFFERS")], 1)
    page = await scene.store.read_labels(TENANT, "d", elsewhere.revision, 0, 2)
    assert [(source, label) for _, source, label in page] == [("s", rows[0]), ("s", rows[1])]
    rest = await scene.store.read_labels(TENANT, "d", elsewhere.revision, page[-1][0], 2)
    assert [source for _, source, _ in rest] == ["t"]


async def test_labels_are_deleted_from_the_next_revision_on(scene: Scene) -> None:
    """The pattern is case-sensitive, and the revision before still has all labels."""
    people = ("ann", "anton", "Ann", "bea")
    rows = [replace(LABEL, label_id=who, annotator=who) for who in people]
    before = await scene.store.add_labels(TENANT, "d", rows, source="s", replace=False)

    gone = [await scene.store.delete_labels(TENANT, "d", who) for who in ("an*", "an*")]

    revision = await scene.store.revision(TENANT, "d")
    assert (gone, revision) == ([2, 0], before.revision + 1)
    for at, there in ((before.revision, people), (revision, ("Ann", "bea"))):
        page = await scene.store.read_labels(TENANT, "d", at, 0, 9)
        assert tuple(label.annotator for _, _, label in page) == there
    with pytest.raises(NotFound):
        await scene.store.delete_labels(TENANT, "none", "*")


async def test_listed_comparisons_need_their_prompt_and_outputs(scene: Scene) -> None:
    """A listed comparison of an unknown prompt or output is rejected."""
    good = ListedComparison(comparison_id="c1", prompt_id="p0", left="a", right="b")
    rows = [
        good,
        replace(good, comparison_id="c2", prompt_id="no"),
        replace(good, comparison_id="c3", right="z"),
        replace(good, comparison_id="c4", turn=3),
        replace(good, right="c"),
    ]

    result = await scene.store.add_comparisons(TENANT, "d", rows, replace=False)

    expected = ["UNKNOWN_PROMPT", "UNKNOWN_OUTPUT", "EXTRA_TURN", "COMPARISON_DIFFERS"]
    assert [reason for _, reason in reasons(result)] == expected
    assert [c for _, c in await scene.store.read_comparisons(TENANT, "d", result.revision, 0, 9)] == [good]


async def test_a_summary_counts_the_present_revision(scene: Scene) -> None:
    """Contestants, categories and annotators are counted at the present revision."""
    await scene.store.add_prompts(TENANT, "d", [Prompt("p0", ("shorter",), category="odd")], replace=True)
    await scene.store.add_labels(TENANT, "d", [LABEL], source="s", replace=False)
    await scene.store.add_verdicts(
        TENANT,
        "d",
        [
            (
                ImportedVerdict(
                    prompt_id="p0", left="a", right="b", order=Order.LEFT_FIRST, judge="j", outcome=Outcome.LEFT
                ),
                None,
            )
        ],
        replace=False,
    )

    summary = await scene.store.dataset(TENANT, "d")

    assert (summary.prompts, summary.outputs, summary.labels, summary.verdicts, summary.comparisons) == (3, 9, 1, 1, 0)
    assert dict(summary.contestants) == {"a": 3, "b": 3, "c": 3}
    assert dict(summary.categories) == {"odd": 2, "even": 1}
    assert dict(summary.annotators) == {("ann", AnnotatorKind.HUMAN): 1}
    assert dict(summary.recorded_judges) == {"j": 1}


async def test_datasets_are_listed_by_name(scene: Scene) -> None:
    """A page of datasets begins after the last name of the previous one, and has only the tenant's own."""
    for name in ("a", "e"):
        await scene.store.create_dataset(TENANT, name)
    await scene.store.create_dataset("another", "z")

    assert [s.name for s in await scene.store.datasets(TENANT, "", 2)] == ["a", "d"]
    assert [s.name for s in await scene.store.datasets(TENANT, "d", 2)] == ["e"]
    assert (await scene.store.datasets(TENANT, "a", 1))[0].outputs == 9
    with pytest.raises(AlreadyExists):
        await scene.store.create_dataset(TENANT, "a")
    with pytest.raises(NotFound):
        await scene.store.dataset(TENANT, "z")


async def test_texts_carry_the_ids_of_their_content(scene: Scene) -> None:
    """Equal content has one id for each turn, whoever wrote it. A reference makes another prompt."""
    await scene.store.add_outputs(TENANT, "d", [Output("p1", "echo", ("a on p0", "more"))], replace=False)
    rows = [Prompt("p8", ("question 0",), reference=("r",))]
    result = await scene.store.add_prompts(TENANT, "d", rows, replace=False)
    index = await scene.store.dataset_index(TENANT, "d", result.revision)
    outputs = await scene.store.output_texts([output.row for output in index.outputs])
    prompts = await scene.store.prompt_texts([prompt.row for prompt in index.prompts])

    shown = {(t.output.prompt_id, t.output.contestant): t.shown for t in outputs.values()}
    plain = {t.prompt.prompt_id: t for t in prompts.values()}

    assert shown["p1", "echo"] == shown["p0", "a"]
    assert len(set(shown["p0", "a"])) == 2
    assert plain["p0"].plain == plain["p0"].referenced
    assert plain["p8"].plain == plain["p0"].plain[:1]
    assert plain["p8"].referenced != plain["p8"].plain


async def test_imported_verdicts_have_the_sources_outcome_and_our_parsed_verdict(scene: Scene) -> None:
    """The source's outcome counts, our own parsed verdict is stored too, and every row is read back as uploaded."""
    base = ImportedVerdict(
        prompt_id="p0", left="a", right="b", order=Order.RIGHT_FIRST, judge="gpt", raw="[[A]]", outcome=Outcome.LEFT
    )
    own = ParsedVerdict("brackets", Preference.FIRST)
    rows = [
        (base, own),
        (replace(base, prompt_id="p1", outcome=None), own),
        (replace(base, prompt_id="p2", outcome=None, status=VerdictStatus.REFUSED), None),
        (replace(base, prompt_id="px", raw=None, outcome=None, status=VerdictStatus.UNREADABLE), None),
        (replace(base, repeat=1, raw=None, reason="because"), None),
    ]

    result = await scene.store.add_verdicts(TENANT, "d", rows, replace=False)

    assert (result.accepted, result.rejections) == (5, ())
    assert [v for _, v in await scene.store.read_verdicts(TENANT, "d", result.revision, 0, 9)] == [v for v, _ in rows]
    seen = await scene.store.judge_verdicts(TENANT, "d", "gpt")
    assert [v.position for v in seen] == [0, 1, 2, 3, 4]
    assert seen[0].parsed_verdicts == (ParsedVerdict(SOURCE_PARSER, Preference.SECOND), own)
    assert [v.outcome for v in seen] == [Outcome.LEFT, Outcome.RIGHT, None, None, Outcome.LEFT]
    ok, unreadable = VerdictStatus.OK, VerdictStatus.UNREADABLE
    assert [v.status for v in seen] == [ok, ok, VerdictStatus.REFUSED, unreadable, ok]
    assert [v.category for v in seen] == ["even", "odd", "even", "", "even"]
    [definition] = await scene.store.judge_definitions(TENANT)
    assert (definition.name, definition.backend, definition.scope) == ("gpt", RECORDED, "d")


async def test_the_same_presentation_from_both_sides_is_one_verdict(scene: Scene) -> None:
    """Left and right are the uploader's words. The same call with both exchanged is a duplicate, or differs."""
    uploaded = ImportedVerdict(
        prompt_id="p0", left="a", right="b", order=Order.LEFT_FIRST, judge="gpt", outcome=Outcome.LEFT
    )
    mirrored = ImportedVerdict(
        prompt_id="p0", left="b", right="a", order=Order.RIGHT_FIRST, judge="gpt", outcome=Outcome.RIGHT
    )
    other = replace(mirrored, outcome=Outcome.LEFT)

    result = await scene.store.add_verdicts(
        TENANT, "d", [(v, None) for v in (uploaded, mirrored, other)], replace=False
    )

    assert (result.accepted, result.duplicates, reasons(result)) == (1, 1, [(2, "VERDICT_DIFFERS")])


async def recorded_key(scene: Scene, first: str = "a", second: str = "b") -> CallKey:
    definition = JudgeDefinition(
        name="gpt", backend=RECORDED, rubric=Rubric("brackets", ()), parser="brackets", scope="d"
    )
    parts = [digest("prompt-id", "p0"), recorded_digest(first, 0), recorded_digest(second, 0)]
    ids = await scene.store.intern(TENANT, [bytes.fromhex(definition.fingerprint), *parts])
    return CallKey(fingerprint=ids[0], prompt=ids[1], turn=1, first=ids[2], second=ids[3])


async def test_a_run_finds_imported_verdicts_by_their_contestants(scene: Scene) -> None:
    """A run of a recorded judge uses its answers, and they do not count twice among the judge's verdicts."""
    uploaded = ImportedVerdict(
        prompt_id="p0", left="a", right="b", order=Order.LEFT_FIRST, judge="gpt", outcome=Outcome.TIE
    )
    await scene.store.add_verdicts(TENANT, "d", [(uploaded, None)], replace=False)
    [definition] = await scene.store.judge_definitions(TENANT)
    run = await scene.run(judges=(definition,))
    key = await recorded_key(scene)

    stored = (await scene.permit([key], run)).answered[key]
    await scene.store.commit(TENANT, run.row, [Settled(key, scene.item(0), answer=stored.answer)])

    [verdict] = await scene.store.verdicts(run.row, VerdictQuery(), after=-1, limit=9)
    assert verdict.outcome is Outcome.TIE
    assert len(await scene.store.judge_verdicts(TENANT, "d", "gpt")) == 1


async def test_a_replaced_verdict_leaves_runs_as_they_were(scene: Scene) -> None:
    """A run that used an imported verdict keeps it when it is replaced. Later requests get the new one."""
    uploaded = ImportedVerdict(
        prompt_id="p0", left="a", right="b", order=Order.LEFT_FIRST, judge="gpt", outcome=Outcome.LEFT
    )
    await scene.store.add_verdicts(TENANT, "d", [(uploaded, None)], replace=False)
    [definition] = await scene.store.judge_definitions(TENANT)
    run = await scene.run(judges=(definition,))
    key = await recorded_key(scene)
    stored = (await scene.permit([key], run)).answered[key]
    await scene.store.commit(TENANT, run.row, [Settled(key, scene.item(0), answer=stored.answer)])

    result = await scene.store.add_verdicts(
        TENANT, "d", [(replace(uploaded, outcome=Outcome.RIGHT), None)], replace=True
    )

    assert result.replaced == 1
    [old] = await scene.store.verdicts(run.row, VerdictQuery(), after=-1, limit=9)
    [new] = await scene.store.judge_verdicts(TENANT, "d", "gpt")
    assert (old.outcome, new.outcome) == (Outcome.LEFT, Outcome.RIGHT)
    assert (await scene.permit([key], run)).answered[key].parsed_verdicts[0].preference is Preference.SECOND


async def test_verdicts_on_other_samples_are_other_calls(scene: Scene) -> None:
    """A sample belongs to its contestant, whichever of the two is called left."""
    first = ImportedVerdict(
        prompt_id="p0", left="a", right="b", order=Order.LEFT_FIRST, judge="gpt", outcome=Outcome.LEFT
    )
    sampled = replace(first, left_sample=1, outcome=Outcome.RIGHT)
    mirrored = replace(
        sampled, left="b", right="a", order=Order.RIGHT_FIRST, left_sample=0, right_sample=1, outcome=Outcome.LEFT
    )

    result = await scene.store.add_verdicts(
        TENANT, "d", [(row, None) for row in (first, sampled, mirrored)], replace=False
    )

    assert (result.accepted, result.duplicates, result.rejections) == (2, 1, ())
    assert [v for _, v in await scene.store.read_verdicts(TENANT, "d", result.revision, 0, 9)] == [first, sampled]
    seen = [verdict.presentation for verdict in await scene.store.judge_verdicts(TENANT, "d", "gpt")]
    assert [(names.left_sample, names.right_sample) for names in seen] == [(0, 0), (1, 0)]


async def test_many_imported_verdicts_come_in_one_batch(scene: Scene) -> None:
    """A batch of 1,000 verdicts is stored and read back in order."""
    ends = [("a", "b"), ("a", "c"), ("b", "c")]
    rows = [
        ImportedVerdict(f"q{n // 3}", *ends[n % 3], Order.LEFT_FIRST, "gpt", raw=f"[[A]] {n}", outcome=Outcome.LEFT)
        for n in range(1000)
    ]

    result = await scene.store.add_verdicts(TENANT, "d", [(row, None) for row in rows], replace=False)

    assert result.accepted == 1000
    seen = await scene.store.judge_verdicts(TENANT, "d", "gpt", prompt_ids={row.prompt_id for row in rows})
    assert [v.reply and v.reply.raw for v in seen] == [row.raw for row in rows]


async def test_a_deleted_dataset_takes_its_answers_along(scene: Scene) -> None:
    """Rows, runs, recorded judges and answers about texts of no other dataset are gone, and the name is free."""
    texts = await scene.store.prompt_texts(scene.prompts)
    shown = await scene.store.output_texts(list(scene.outputs.values()))
    prompt = texts[scene.prompts[0]].plain[0]
    first, second = (shown[scene.outputs[scene.prompts[0], who]].shown[0] for who in "ab")
    [fingerprint] = await scene.store.intern(TENANT, [b"f" * 32])
    key = CallKey(fingerprint=fingerprint, prompt=prompt, turn=1, first=first, second=second)
    run = await scene.run()
    attempt = (await scene.permit([key], run)).granted[key]
    await scene.store.commit(TENANT, run.row, [scene.called(key, attempt, 0)])
    uploaded = ImportedVerdict(
        prompt_id="p0", left="a", right="b", order=Order.LEFT_FIRST, judge="gpt", outcome=Outcome.LEFT
    )
    await scene.store.add_verdicts(TENANT, "d", [(uploaded, None)], replace=False)
    imported = await recorded_key(scene)
    await scene.store.create_dataset(TENANT, "twin")
    await scene.store.add_prompts(TENANT, "twin", [texts[scene.prompts[0]].prompt], replace=False)
    held = [shown[scene.outputs[scene.prompts[0], who]].output for who in "ab"]
    await scene.store.add_outputs(TENANT, "twin", held, replace=False)

    await scene.store.delete_dataset(TENANT, "d")

    for lost in (scene.store.dataset(TENANT, "d"), scene.store.run(TENANT, "run-1")):
        with pytest.raises(NotFound):
            await lost
    with pytest.raises(NotFound):
        await scene.store.judge_verdicts(TENANT, "d", "gpt")
    assert await scene.store.judge_definitions(TENANT) == []
    assert await scene.store.unfinished() == []
    assert (await scene.permit([imported])).answered == {}
    assert set((await scene.permit([key])).answered) == {key}
    await scene.store.delete_dataset(TENANT, "twin")
    assert (await scene.permit([key])).answered == {}
    assert (await scene.store.create_dataset(TENANT, "d")).revision == 0


async def test_a_call_that_outlives_its_dataset_leaves_no_text(scene: Scene) -> None:
    """A commit for a run that was deleted meanwhile books the call and stores no text. Ids are not reused."""
    run = await scene.run()
    [key] = await scene.keys(1)
    attempt = (await scene.permit([key], run)).granted[key]
    item = scene.called(key, attempt, 0)
    await scene.store.delete_dataset(TENANT, "d")
    await scene.fill()
    other = await scene.run("run-2")

    await scene.store.commit(TENANT, run.row, [item])

    assert other.row != run.row
    assert (await scene.store.run(TENANT, "run-2")).counts.calls == 0
    permit = await scene.permit([key], other)
    assert (permit.answered, list(permit.granted)) == ({}, [key])
    assert (await scene.permit([key], run)).refused == "CANCELLED"


async def test_a_missing_dataset_is_not_found(scene: Scene) -> None:
    """Every method about a dataset that does not exist raises NotFound."""
    store = scene.store
    uploaded = ImportedVerdict(
        prompt_id="p0", left="a", right="b", order=Order.LEFT_FIRST, judge="j", outcome=Outcome.LEFT
    )
    attempts = [
        store.dataset(TENANT, "x"),
        store.delete_dataset(TENANT, "x"),
        store.add_prompts(TENANT, "x", [Prompt("p", ("t",))], replace=False),
        store.add_verdicts(TENANT, "x", [(uploaded, None)], replace=False),
        store.read_labels(TENANT, "x", 1, 0, 9),
        store.revision(TENANT, "x"),
        store.prompt_index(TENANT, "x", 1),
        store.dataset_index(TENANT, "x", 1),
        store.dataset_index("another", "d", 1),
        store.create_run(TENANT, replace(scene.new_run("r"), spec=replace(scene.new_run("r").spec, dataset="x"))),
        store.judge_verdicts(TENANT, "d", "nobody"),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            await attempt


async def test_equal_texts_have_equal_keys_in_every_dataset(scene: Scene) -> None:
    """The same texts in another dataset have the same key, so that no call is repeated."""
    ours = await scene.store.output_texts(list(scene.outputs.values()))

    await scene.fill("twin")

    theirs = await scene.store.output_texts(list(scene.outputs.values()))
    assert sorted(t.shown for t in ours.values()) == sorted(t.shown for t in theirs.values())
