"""Arena-Hard's questions, answers and judgments, of v0.1, its re-issue, and v2.0."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from judge.domain.dataset import ImportedVerdict, Output, Prompt
from judge.domain.errors import InvalidInput
from judge.domain.outcome import Order, Outcome, VerdictStatus
from judge.formats.detect import read
from judge.formats.importing import Import, count

DATA = Path(os.environ.get("JUDGE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "formats"
sample = pytest.mark.skipif(not DATA.is_dir(), reason=f"the samples are not in {DATA}")
OLD: dict[str, Any] = {"question_id": "q", "model": "new", "judge": "j"}
ROW: dict[str, Any] = {"uid": "q", "category": "hard_prompt", "model": "new", "judge": "j", "baseline": "base"}
BOTH = [{"score": "A>B"}, {"score": "B>A"}]


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def verdicts(content: Import) -> list[ImportedVerdict]:
    return list(content.rows(ImportedVerdict))


def verdicts_of(tmp_path: Path, *games: object) -> list[ImportedVerdict]:
    return verdicts(read(write(tmp_path / "new.jsonl", ROW | {"games": games})))


def win_rate(made: Iterable[ImportedVerdict]) -> float:
    """The percent of battles that the right side wins, of which a double score is three."""
    won = total = 0.0
    for verdict in made:
        if verdict.outcome is not None:
            weight = 3 if {">>", "<<"} & {verdict.reason[1:-1]} else 1
            won += weight * {Outcome.RIGHT: 1, Outcome.TIE: 0.5, Outcome.LEFT: 0}[verdict.outcome]
            total += weight
    return 100 * won / total


def test_formats_arena_hard_games(tmp_path: Path) -> None:
    """A is the baseline in the first game, and the model in the second. The score is kept as the reason."""
    first, second = verdicts_of(
        tmp_path, {"score": "A>>B", "judgment": "hm [[A>>B]]"}, {"score": "A>B", "judgment": "x"}
    )

    assert (first.prompt_id, first.left, first.right, first.judge) == ("q", "base", "new", "j")
    assert (first.order, first.outcome) == (Order.LEFT_FIRST, Outcome.LEFT)
    assert (first.reason, first.raw) == ("A>>B", "hm [[A>>B]]")
    assert (second.order, second.outcome, second.reason) == (Order.RIGHT_FIRST, Outcome.RIGHT, "A>B")


@pytest.mark.parametrize(
    ("scores", "outcome"),
    [
        (("A>>B", "A>B", "B<A", "B<<A"), Outcome.LEFT),
        (("A=B", "B=A"), Outcome.TIE),
        (("B>>A", "B>A", "A<B", "A<<B"), Outcome.RIGHT),
    ],
)
def test_formats_arena_hard_scores(tmp_path: Path, scores: tuple[str, ...], outcome: Outcome) -> None:
    """Every spelling of a score is read, and nothing else."""
    for score in scores:
        (verdict,) = verdicts_of(tmp_path, {"score": score})
        assert verdict.outcome is outcome


@pytest.mark.parametrize(("games", "problem"), [([{"score": "A"}], "unknown score 'A'"), ([], "invalid games")])
def test_formats_arena_hard_a_wrong_row_is_named(tmp_path: Path, games: list[object], problem: str) -> None:
    (file,) = read(write(tmp_path / "new.jsonl", ROW | {"games": games}, ROW | {"games": BOTH})).files

    counts = count(file)

    (error,) = counts.wrong
    assert "new.jsonl line 1 has" in error.message
    assert problem in error.message
    assert counts.items == {"verdicts": 2}


def test_formats_arena_hard_a_missing_game_is_counted_and_a_missing_score_is_unreadable(tmp_path: Path) -> None:
    """Neither is a tie. The reply without a score keeps its text, in both shapes of a judgment."""
    games = [[None, BOTH[1]], [{"score": None, "judgment": {"answer": "no score"}}, BOTH[1]], [BOTH[0]]]
    (file,) = read(write(tmp_path / "new.jsonl", *(ROW | {"games": each} for each in games))).files

    made = list(file.rows(ImportedVerdict))

    assert [verdict.order for verdict in made] == [
        *(Order.RIGHT_FIRST, Order.LEFT_FIRST, Order.RIGHT_FIRST, Order.LEFT_FIRST)
    ]
    assert (made[1].status, made[1].outcome, made[1].raw) == (VerdictStatus.UNREADABLE, None, "no score")
    assert count(file).notes == {"with a game that is missing": 1, "with one game only, which counts once": 1}


def test_formats_arena_hard_judgments_without_a_baseline_need_one(tmp_path: Path) -> None:
    """Those of v0.1 do not say what a model was compared with. The account says what was taken."""
    path = write(tmp_path / "new.jsonl", OLD | {"games": BOTH}, OLD | {"games": BOTH, "model": "base"})

    with pytest.raises(InvalidInput, match="without their baseline: name it with --reference NAME"):
        read(path)
    (file,) = read(path, reference="base").files

    assert [(verdict.left, verdict.right) for verdict in file.rows(ImportedVerdict)] == [("base", "new")] * 2
    assert count(file).notes == {
        "compared with base, the reference that was given": 1,
        "left out: the baseline compared with itself": 1,
    }


def test_formats_arena_hard_a_reference_that_nothing_needs_is_refused(tmp_path: Path) -> None:
    """A file that names its baseline is not overruled in silence."""
    path = write(tmp_path / "new.jsonl", ROW | {"games": BOTH})

    with pytest.raises(InvalidInput, match="needs a reference: leave out 'other'"):
        read(path, reference="other")


def test_formats_arena_hard_the_baseline_is_that_of_the_row(tmp_path: Path) -> None:
    """In v2.0, each category has its own."""
    rows = [ROW | {"games": BOTH, "baseline": name, "uid": name} for name in ("base", "other")]

    made = verdicts(read(write(tmp_path / "new.jsonl", *rows)))

    assert [verdict.left for verdict in made] == ["base", "base", "other", "other"]


def test_formats_arena_hard_folder_of_v01(tmp_path: Path) -> None:
    """Questions and answers have their texts as objects. The cluster is a tag."""
    turns = [{"content": "Why?"}]
    question = {"question_id": "q", "category": "arena-hard-v0.1", "cluster": "Puzzles & Groups", "turns": turns}
    write(tmp_path / "question.jsonl", question)
    choice = {"index": 0, "turns": [{"content": "So.", "token_len": 2}]}
    answer = {"question_id": "q", "answer_id": "x", "model_id": "new", "choices": [choice], "tstamp": 1.5}
    write(tmp_path / "model_answer/new.jsonl", answer | {"conv_metadata": {"token_len": 2}})
    write(tmp_path / "model_judgment/j/new.jsonl", OLD | {"games": BOTH})

    content = read(tmp_path, reference="base")

    (prompt,), (output,) = content.rows(Prompt), content.rows(Output)
    assert prompt == Prompt(prompt_id="q", turns=("Why?",), category="arena-hard-v0.1", tags=("Puzzles & Groups",))
    assert output == Output(prompt_id="q", contestant="new", turns=("So.",))
    assert len(verdicts(content)) == 2
    assert not content.left_out


@pytest.mark.parametrize(
    "content", ["So.", {"answer": "So.", "thought": "hm"}, [{"type": "text", "text": "So."}]], ids=type
)
def test_formats_arena_hard_folder_of_v20(tmp_path: Path, content: object) -> None:
    """An answer may be beside its thoughts. A line separator inside a text ends no line."""
    text = "Why?\u2028Say so."
    write(tmp_path / "question.jsonl", {"uid": "q", "category": "hard_prompt", "subcategory": "math", "prompt": text})
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": content}]
    write(tmp_path / "model_answer/new.jsonl", {"uid": "q", "ans_id": "x", "model": "new", "messages": messages})
    write(tmp_path / "model_judgment/j/new.jsonl", ROW | {"games": BOTH})

    imported = read(tmp_path)

    (prompt,), (output,) = imported.rows(Prompt), imported.rows(Output)
    assert prompt == Prompt(prompt_id="q", turns=(text,), category="hard_prompt", tags=("math",))
    assert output == Output(prompt_id="q", contestant="new", turns=("So.",))
    assert len(verdicts(imported)) == 2


def test_formats_arena_hard_a_leaderboard_holds_nothing_to_import(tmp_path: Path) -> None:
    write(tmp_path / "question.jsonl", {"uid": "q", "category": "hard_prompt", "prompt": "Why?"})
    (tmp_path / "leaderboard.csv").write_text("model,score,rating_q025,rating_q975\nnew,50.0,49.0,51.0\n")

    (left_out,) = read(tmp_path).left_out

    assert (left_out.name, left_out.loses) == ("leaderboard.csv", False)


@sample
def test_formats_arena_hard_published_scores_of_v01() -> None:
    """The verdicts give the published score of each model, and the file of the baseline gives none."""
    expected = json.loads((DATA / "arena-hard-v0.1/expected.json").read_text("utf-8"))
    content = read(DATA / "arena-hard-v0.1/data", reference=expected["baseline"])

    made = verdicts(content)

    models = {name: facts for name, facts in expected["models"].items() if name != expected["baseline"]}
    assert {verdict.right for verdict in made} == models.keys()
    for name, facts in models.items():
        own = [verdict for verdict in made if verdict.right == name]
        assert len(own) == facts["verdicts"]
        assert win_rate(own) == pytest.approx(facts["win_rate_pct"], abs=1e-6)
        assert round(win_rate(own), 2) == facts["published_score"]
    assert not [entry for entry in content.left_out if entry.loses]
    notes = [count(file).notes["left out: the baseline compared with itself"] for file in content.files]
    assert sum(notes) == expected["models"][expected["baseline"]]["questions"]


@sample
@pytest.mark.parametrize("name", ["arena-hard-v0.1-reissued", "arena-hard-v2.0"])
def test_formats_arena_hard_samples(name: str) -> None:
    """All verdicts are read; by Arena-Hard's rule, rows that lack one do not count."""
    expected = json.loads((DATA / name / "expected.json").read_text("utf-8"))
    content = read(DATA / name / "data")

    made = verdicts(content)
    prompts = {prompt.prompt_id: prompt.category for prompt in content.rows(Prompt)}
    readable = [verdict for verdict in made if verdict.outcome is not None]

    assert len(readable) == expected["readable_verdicts"]
    assert len(prompts) == expected.get("questions", 0)
    whole = [verdict for verdict in readable if sum(verdict.prompt_id == other.prompt_id for other in readable) > 1]
    scores = expected.get("score_pct_by_arena_hard_rule") or {"": expected["score_pct"]}
    for category, score in scores.items():
        own = [verdict for verdict in whole if prompts.get(verdict.prompt_id, "") == category]
        assert win_rate(own) == pytest.approx(score, abs=1e-6)
    assert not content.left_out


@pytest.mark.parametrize(("score", "strength"), [("A>>B", 1.0), ("B<A", 0.5), ("A=B", 0.0), ("B>>A", 1.0)])
def test_formats_arena_hard_scores_say_how_decisive_they_are(tmp_path: Path, score: str, strength: float) -> None:
    """With --decisive-weight 3, two signs count as three battles, as in the published scores."""
    row = {"uid": "q", "judge": "j", "model": "m", "baseline": "b", "games": [{"score": score, "judgment": "x"}]}
    (path := tmp_path / "m.jsonl").write_text(json.dumps(row) + "\n", "utf-8")

    (verdict,) = read(path).rows(ImportedVerdict)

    assert verdict.strength == strength
