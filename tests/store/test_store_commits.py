"""The contract of commits: an answer is stored once, with its presentation, parsed verdict, counts and cost."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING

from judge.domain.outcome import ItemState, Preference, VerdictStatus
from judge.domain.usage import Usage
from judge.domain.verdict import SOURCE_PARSER, ParsedVerdict, Reply
from judge.ports.records import Settled, VerdictQuery
from support.clocks import pass_time

if TYPE_CHECKING:
    from support.scene import Scene

TENANT = "default"
ALL = VerdictQuery()


async def test_an_answer_commits_once_with_its_counts(scene: Scene) -> None:
    """One commit stores an answer and its presentation, and updates the run's calls, cost and revision."""
    run = await scene.run()
    [key] = await scene.keys(1)

    await scene.answer([key], run)

    after = await scene.store.run(TENANT, "run-1")
    [verdict] = await scene.store.verdicts(run.row, ALL, after=-1, limit=10)
    assert after.counts.by_status == {"ok": 1}
    assert (after.counts.calls, after.cost_micros, after.counts.reused, after.counts.repeated) == (1, 7, 0, 0)
    assert after.revision == run.revision + 1 == verdict.revision
    assert (verdict.judge, verdict.status, verdict.comparison_id) == ("strict", VerdictStatus.OK, "c0")
    assert (verdict.presentation.prompt_id, verdict.presentation.left, verdict.presentation.right) == ("p0", "a", "b")


async def test_the_first_of_two_answers_to_a_key_stays(scene: Scene) -> None:
    """If two runs call one key, the first answer stays, and the second one's cost is booked as repeated."""
    first, second = await scene.run("run-1"), await scene.run("run-2")
    [key] = await scene.keys(1)
    early = (await scene.permit([key], first)).granted[key]
    await pass_time(scene.store, scene.clock, 100)
    late = (await scene.permit([key], second)).granted[key]
    other = Reply("[[B]]", usage=Usage(cost_micros=9))

    await scene.store.commit(TENANT, first.row, [scene.called(key, early, 0)])
    parsed_verdict = ParsedVerdict("brackets", Preference.SECOND)
    await scene.store.commit(
        TENANT, second.row, [scene.called(key, late, 0, reply=other, parsed_verdict=parsed_verdict)]
    )

    [kept] = await scene.store.verdicts(second.row, ALL, after=-1, limit=10)
    run = await scene.store.run(TENANT, "run-2")
    assert kept.reply is not None
    assert (kept.reply.raw, kept.parsed_verdicts) == ("[[A]]", (ParsedVerdict("brackets", Preference.FIRST),))
    assert (run.counts.repeated, run.counts.calls, run.cost_micros) == (1, 1, 9)


async def test_a_losing_reply_leaves_no_parsed_verdict_on_the_answer_that_stays(scene: Scene) -> None:
    """The parsed verdict of a reply that came second is not stored for the answer that came first."""
    run = await scene.run()
    [key] = await scene.keys(1)
    await scene.store.commit(TENANT, None, [scene.called(key, None)])
    other, parsed_verdict = Reply("nonsense"), ParsedVerdict("brackets/2", None, "no verdict")

    await scene.store.commit(TENANT, run.row, [scene.called(key, None, 0, reply=other, parsed_verdict=parsed_verdict)])

    [kept] = await scene.store.verdicts(run.row, ALL, after=-1, limit=10)
    assert kept.parsed_verdicts == (ParsedVerdict("brackets", Preference.FIRST),)
    assert (await scene.store.run(TENANT, "run-1")).counts.by_status == {"ok": 1}


async def test_a_commit_is_safe_to_repeat(scene: Scene) -> None:
    """A commit that succeeded but was reported as failed changes nothing when it is repeated."""
    run = await scene.run()
    keys = await scene.keys(3)
    granted = (await scene.permit(keys, run)).granted
    done = [scene.called(key, granted[key], n) for n, key in enumerate(keys)]
    done[2] = Settled(keys[2], scene.item(2), granted[keys[2]], state=ItemState.REJECTED, calls=1)
    await scene.store.commit(TENANT, run.row, done)
    before = await scene.store.run(TENANT, "run-1")
    seen = await scene.store.verdicts(run.row, ALL, after=-1, limit=10)

    await scene.store.commit(TENANT, run.row, done)

    assert await scene.store.run(TENANT, "run-1") == before
    assert await scene.store.verdicts(run.row, ALL, after=-1, limit=10) == seen
    assert before.counts.by_status == {"ok": 2, "rejected": 1}
    assert before.counts.calls == 3


async def test_a_commit_needs_no_run(scene: Scene) -> None:
    """A single comparison is stored without a run, and the next permit returns its answer."""
    [key] = await scene.keys(1)
    attempt = (await scene.permit([key])).granted[key]

    await scene.store.commit(TENANT, None, [scene.called(key, attempt)])

    permit = await scene.permit([key])
    assert permit.answered[key].reply == scene.called(key, None).reply
    assert permit.answered[key].parsed_verdicts == (ParsedVerdict("brackets", Preference.FIRST),)
    assert not permit.granted


async def test_a_reused_answer_is_counted_and_not_called(scene: Scene) -> None:
    """A run uses a stored answer, with its status, without a call."""
    keys = await scene.keys(2)
    refusal = Reply("I will not", VerdictStatus.REFUSED)
    done = [scene.called(keys[0], None), scene.called(keys[1], None, reply=refusal, parsed_verdict=None)]
    await scene.store.commit(TENANT, None, done)
    run = await scene.run()
    answered = (await scene.permit(keys, run)).answered

    reused = [Settled(key, scene.item(n), answer=answered[key].answer) for n, key in enumerate(keys)]
    await scene.store.commit(TENANT, run.row, reused)

    after = await scene.store.run(TENANT, "run-1")
    assert after.counts.by_status == {"ok": 1, "refused": 1}
    assert (after.counts.reused, after.counts.calls, after.cost_micros) == (2, 0, 0)
    assert [v.reused for v in await scene.store.verdicts(run.row, ALL, after=-1, limit=10)] == [True, True]


async def test_a_run_counts_what_its_own_parser_reads(scene: Scene) -> None:
    """Of several parsed verdicts of an answer, the one by the run's own parser counts, unless the source has one."""
    keys = await scene.keys(2)
    unreadable = ParsedVerdict("newer", None, "two verdicts")
    await scene.store.commit(TENANT, None, [scene.called(key, None) for key in keys])
    await scene.store.commit(TENANT, None, [scene.called(key, None, parsed_verdict=unreadable) for key in keys])
    source = ParsedVerdict(SOURCE_PARSER, Preference.TIE)
    await scene.store.commit(TENANT, None, [scene.called(keys[1], None, parsed_verdict=source)])
    run = await scene.run()
    answered = (await scene.permit(keys, run)).answered

    reused = [Settled(key, scene.item(n), answer=answered[key].answer) for n, key in enumerate(keys)]
    await scene.store.commit(TENANT, run.row, reused)

    seen = await scene.store.verdicts(run.row, ALL, after=-1, limit=10)
    assert (await scene.store.run(TENANT, "run-1")).counts.by_status == {"ok": 2}
    assert [v.parsed_verdict for v in seen] == [ParsedVerdict("brackets", Preference.FIRST), source]
    assert {len(stored.parsed_verdicts) for stored in answered.values()} == {2, 3}


async def test_what_may_have_been_paid_counts_as_spent(scene: Scene) -> None:
    """A call that broke off is booked at its worst cost, in addition to a reply's cost, and only once."""
    run = await scene.run()
    lost, answered = await scene.keys(2)
    granted = (await scene.permit([lost, answered], run)).granted
    failed = Settled(lost, scene.item(0), granted[lost], state=ItemState.TRANSPORT_ERROR, calls=2, lost_micros=30)
    done = [failed, scene.called(answered, granted[answered], 1, lost_micros=15)]

    for _ in range(2):
        await scene.store.commit(TENANT, run.row, done)

    after = await scene.store.run(TENANT, "run-1")
    assert (after.cost_micros, after.counts.calls) == (30 + 15 + 7, 3)


async def test_a_failed_call_may_be_called_again(scene: Scene) -> None:
    """A failed call settles its attempt and stores a state, and its key can be called again."""
    run = await scene.run()
    [key] = await scene.keys(1)
    attempt = (await scene.permit([key], run)).granted[key]

    failed = Settled(key, scene.item(4), attempt, state=ItemState.TRANSPORT_ERROR, calls=5)
    await scene.store.commit(TENANT, run.row, [failed])

    after = await scene.store.run(TENANT, "run-1")
    assert (after.counts.by_status, after.counts.calls, after.cost_micros) == ({"transport_error": 1}, 5, 0)
    assert await scene.store.done_positions(run.row, 0, 4) == set()
    assert await scene.store.done_positions(run.row, 4, 5) == {4}
    assert list((await scene.permit([key], run)).granted) == [key]


async def test_tenants_share_no_answers(scene: Scene) -> None:
    """An answer of one tenant is invisible to another."""
    [key] = await scene.keys(1)

    await scene.store.commit("another", None, [scene.called(key, None)])

    assert list((await scene.permit([key])).granted) == [key]


async def test_a_reply_with_broken_unicode_is_kept(scene: Scene) -> None:
    """A reply with half a surrogate pair does not fail the commit that it is part of."""
    keys = await scene.keys(2)

    broken = scene.called(keys[0], None, reply=Reply("[[A]] \ud83d"))
    await scene.store.commit(TENANT, None, [broken, scene.called(keys[1], None)])

    assert set((await scene.permit(keys)).answered) == set(keys)


async def test_texts_come_back_unchanged(scene: Scene) -> None:
    """Replies, models, logprobs and reasons may contain any characters of a database's own notation.

    A logprob of minus infinity, which JSON does not have, is left out.
    """
    whole = (
        "",
        " ",
        "NULL",
        "null",
        "{}",
        "{a,b}",
        "[]",
        "\\N",
        "%s :x ?",
        "\n\t\r\x01",
        "é 好 \N{SLIGHTLY SMILING FACE}",
        "x" * 5000,
    )
    drawn = Random(7)  # noqa: S311  # the same characters each time
    texts = [*whole, *("".join(drawn.choices("ab\"\\'{},NUL \n", k=drawn.randrange(12))) for _ in range(600))]
    run, keys = await scene.run(), await scene.keys(len(texts))
    granted = (await scene.permit(keys, run)).granted
    replies = [Reply(text, model=text, logprobs=((text, -0.1), (text * 2, -math.inf))) for text in texts]
    parsed_verdicts = [ParsedVerdict("own", None, text, strength=n / 7) for n, text in enumerate(texts)]

    done = [
        scene.called(k, granted[k], reply=r, parsed_verdict=o)
        for k, r, o in zip(keys, replies, parsed_verdicts, strict=True)
    ]
    await scene.store.commit(TENANT, run.row, done)

    answers = await scene.store.answers(TENANT, keys)
    stored = [(r.raw, r.model, r.logprobs) for r in (answers[key].reply for key in keys)]
    assert stored == [(text, text, ((text, -0.1),)) for text in texts]
    assert [answers[key].parsed_verdicts for key in keys] == [(parsed_verdict,) for parsed_verdict in parsed_verdicts]
