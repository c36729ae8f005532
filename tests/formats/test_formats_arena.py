"""Votes of Chatbot Arena, LMArena and ComparIA."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from judge.domain.dataset import Label, Output, Prompt
from judge.domain.outcome import AnnotatorKind, Outcome, TieKind
from judge.formats.detect import read
from judge.formats.importing import FileCounts, Import, count, text_id, text_sample

DATA = Path(os.environ.get("JUDGE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "formats"
MODELS = {"model_a": "m", "model_b": "n", "language": "German"}


def chat(*texts: str) -> list[dict[str, Any]]:
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


CHATS = {"conversation_a": chat("Why?", "So.", "And?", "Yes."), "conversation_b": chat("Why?", "Hm.", "And?", "No.")}
VOTE = {"question_id": "v", "winner": "model_b", "judge": "arena_user_7", "turn": 2, "anony": True, **MODELS, **CHATS}


def imported(tmp_path: Path, *rows: dict[str, Any]) -> Import:
    path = tmp_path / "votes.json"
    path.write_text(json.dumps(rows), "utf-8")
    return read(path)


def label(content: Import) -> Label:
    ((_, only),) = content.labels()
    return only


def counts(content: Import) -> FileCounts:
    (file,) = content.files
    return count(file)


def test_formats_arena_vote(tmp_path: Path) -> None:
    """A vote brings its conversation: the prompt's turns, both models' replies, and a label on the last turn."""
    content = imported(tmp_path, VOTE)

    vote = label(content)
    prompt_id, samples = text_id("Why?", "And?"), (text_sample("So.", "Yes."), text_sample("Hm.", "No."))
    assert list(content.rows(Prompt)) == [Prompt(prompt_id=prompt_id, turns=("Why?", "And?"), tags=("German",))]
    assert list(content.rows(Output)) == [
        Output(prompt_id=prompt_id, contestant="m", turns=("So.", "Yes."), sample=samples[0]),
        Output(prompt_id=prompt_id, contestant="n", turns=("Hm.", "No."), sample=samples[1]),
    ]
    assert (vote.label_id, vote.prompt_id, vote.turn, vote.outcome) == ("v", prompt_id, 2, Outcome.RIGHT)
    assert (vote.left_sample, vote.right_sample) == samples
    assert (vote.annotator, vote.kind, vote.note) == ("arena_user_7", AnnotatorKind.HUMAN, "")


@pytest.mark.parametrize(
    ("word", "outcome", "tie_kind"),
    [
        ("model_a", Outcome.LEFT, None),
        ("tie", Outcome.TIE, None),
        ("tie (bothbad)", Outcome.TIE, TieKind.BOTH_BAD),
        ("both_bad", Outcome.TIE, TieKind.BOTH_BAD),
    ],
)
def test_formats_arena_words(tmp_path: Path, word: str, outcome: Outcome, tie_kind: TieKind | None) -> None:
    """Both spellings of a tie of two bad replies are kept as such."""
    vote = label(imported(tmp_path, VOTE | {"winner": word}))

    assert (vote.outcome, vote.tie_kind) == (outcome, tie_kind)


def test_formats_arena_the_label_is_on_the_last_turn_of_the_conversation(tmp_path: Path) -> None:
    """Later sets do not say how many turns there are."""
    vote = label(imported(tmp_path, {name: value for name, value in VOTE.items() if name != "turn"}))

    assert vote.turn == 2


def test_formats_arena_conversations_may_be_written_as_json(tmp_path: Path) -> None:
    """Lists and texts of lists are the same."""
    texts = {name: json.dumps(messages) for name, messages in CHATS.items()}

    content = imported(tmp_path, VOTE | texts)

    assert list(content.rows(Output)) == list(imported(tmp_path, VOTE).rows(Output))


def test_formats_arena_messages_in_parts(tmp_path: Path) -> None:
    """Text parts are joined. The flags that are true become tags, the session a note; the vote has no voter."""
    parts = [{"type": "text", "text": text, "image": None, "mimeType": None} for text in ("one", "two")]
    messages = [{"role": "user", "content": parts, "num_tokens": 2}, {"role": "assistant", "content": parts[:1]}]
    tags = {"math_v0.1": {"math": True}, "if_v0.1": {"if": False, "score": 1}}
    row = {"id": "v", "winner": "model_a", **MODELS, "conversation_a": messages, "conversation_b": messages}

    content = imported(
        tmp_path, row | {"evaluation_session_id": "s", "evaluation_order": 1, "category_tag": tags, "is_code": True}
    )

    (prompt,) = content.rows(Prompt)
    assert (prompt.turns, prompt.tags) == (("one\n\ntwo",), ("German", "math", "code"))
    assert label(content).note == "session s"
    assert [output.turns for output in content.rows(Output)] == [("one",), ("one",)]
    assert label(content).annotator == "arena-user"


def test_formats_arena_votes_on_one_text_are_on_one_prompt(tmp_path: Path) -> None:
    """They are not independent. Each vote keeps its replies, also beside those of another file."""
    other = VOTE | {"question_id": "w", "conversation_a": chat("Why?", "Since.", "And?", "Yes.")}

    content = imported(tmp_path, VOTE, other)

    assert counts(content).items == {"prompts": 1, "outputs": 4, "labels": 2}
    assert counts(content).notes == {"on the same text as an earlier vote, so on its prompt, with its tags": 1}
    first, second = (vote for _, vote in content.labels())
    assert (first.prompt_id, first.right_sample) == (second.prompt_id, second.right_sample)
    assert first.left_sample != second.left_sample
    assert [label(imported(tmp_path, row)).left_sample for row in (VOTE, other)] == [
        first.left_sample,
        second.left_sample,
    ]


def test_formats_arena_occupations_are_tags(tmp_path: Path) -> None:
    tags = {"occupational_tags": {"mathematical": True, "legal": False}}

    (prompt,) = imported(tmp_path, VOTE | tags).rows(Prompt)

    assert prompt.tags == ("German", "mathematical")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"conversation_b": chat("What?", "Hm.", "And?", "No.")}, "two conversations whose user does not say the same"),
        ({"conversation_a": chat("Why?")[:0]}, "two conversations whose user"),
        (
            {"conversation_a": [{"role": "assistant", "content": "So."}]},
            "'assistant' in conversation_a: it is before",
        ),
        ({"conversation_a": [*chat("Why?"), {"role": "critic", "content": "1"}]}, "a message of the role 'critic'"),
        ({"conversation_a": "cut off ["}, "invalid conversation_a"),
        ({"conversation_a": '[{"role": "user", "content": "\\ud83d"}]'}, "lone surrogate"),
        ({"conversation_a": None}, "invalid conversation_a"),
        ({"winner": "won"}, "unknown outcome 'won'"),
        (
            {"conversation_a": [{"role": "user", "content": [{"type": "image", "image": "aGk=", "text": None}]}]},
            "an image at 'aGk=', which is not fetched",
        ),
    ],
)
def test_formats_arena_a_wrong_row_is_named_and_the_others_go_in(
    tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    """A wrong row brings nothing, not even its prompt."""
    account = counts(imported(tmp_path, VOTE, VOTE | change, VOTE))

    (error,) = account.wrong
    assert "votes.json entry 2 has" in error.message
    assert problem in error.message
    assert account.items == {"prompts": 1, "outputs": 4, "labels": 2}


def test_formats_arena_a_turn_without_a_reply_has_an_empty_one(tmp_path: Path) -> None:
    """An empty text is an answer, too. What a model says in two messages is one reply."""
    chats = {"conversation_a": chat("Why?", "So.", "And?"), "conversation_b": CHATS["conversation_b"]}
    chats["conversation_b"] = [*chats["conversation_b"], {"role": "assistant", "content": "Never."}]

    content = imported(tmp_path, VOTE | chats)

    assert [output.turns for output in content.rows(Output)] == [("So.", ""), ("Hm.", "No.\n\nNever.")]


def test_formats_arena_what_is_not_kept_is_counted(tmp_path: Path) -> None:
    """System messages that differ, names that the voter saw, and a model against itself."""
    system = [{"role": "system", "content": "Be brief."}]
    rows = [
        VOTE | {"conversation_a": [*system, *CHATS["conversation_a"]]},
        VOTE | {"anony": False},
        VOTE | {"model_b": "m"},
    ]

    content = imported(tmp_path, *rows)

    assert counts(content).notes == {
        "on the same text as an earlier vote, so on its prompt, with its tags": 1,
        "without their system messages, which differ": 1,
        "by voters who saw the names, as their notes say": 1,
        "left out: a contestant compared with itself": 1,
    }
    assert [vote.note for _, vote in content.labels()] == ["", "the voter saw the names"]


def test_formats_arena_votes_without_conversations_are_labels(tmp_path: Path) -> None:
    """Their `turn` is the number of turns, of which the last was judged."""
    content = imported(tmp_path, {name: value for name, value in VOTE.items() if name not in CHATS})

    assert counts(content).items == {"labels": 1}
    assert (label(content).label_id, label(content).turn) == ("v", 2)


def test_formats_arena_votes_of_mt_bench_are_none(tmp_path: Path) -> None:
    """Their conversations have both turns, and their vote is on one."""
    row = {name: value for name, value in VOTE.items() if name not in ("anony", "language")}

    content = imported(tmp_path, row | {"turn": 1})

    assert counts(content).items == {"labels": 1}
    assert label(content).turn == 1


def test_formats_arena_tables_of_texts(tmp_path: Path) -> None:
    """In CSV, turns and responses are JSON lists, a missing response is null, and three columns say who won."""
    path = tmp_path / "train.csv"
    texts = {"prompt": '["Why?", "And?"]', "response_a": '["So.", null]', "response_b": '["Hm.", "No."]'}
    columns = ["winner_model_a", "winner_model_b", "winner_tie"]
    outcomes = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    rows = [
        {"id": 30192 + i, "model_a": "m", "model_b": "n", **texts, **dict(zip(columns, each, strict=True))}
        for i, each in enumerate(outcomes)
    ]
    pl.DataFrame(rows).write_csv(path)

    content = read(path)

    assert [vote.outcome for _, vote in content.labels()] == [Outcome.LEFT, Outcome.RIGHT, Outcome.TIE]
    assert [vote.label_id for _, vote in content.labels()] == ["30192", "30193", "30194"]
    assert {prompt.turns for prompt in content.rows(Prompt)} == {("Why?", "And?")}
    assert {output.turns for output in content.rows(Output)} == {("So.", ""), ("Hm.", "No.")}


def test_formats_arena_plain_texts(tmp_path: Path) -> None:
    """Another such table has one turn each, and a winner."""
    row = {"id": "v", "prompt": "Why?", "response_a": "So.", "response_b": "Hm.", "winner": "model_a", **MODELS}

    content = imported(tmp_path, row)

    assert [output.turns for output in content.rows(Output)] == [("So.",), ("Hm.",)]
    assert label(content).outcome is Outcome.LEFT


@pytest.mark.parametrize(
    ("chosen", "both_equal", "outcome"),
    [("m", False, Outcome.LEFT), ("n", False, Outcome.RIGHT), (None, True, Outcome.TIE)],
)
def test_formats_arena_comparia(tmp_path: Path, chosen: str | None, both_equal: bool, outcome: Outcome) -> None:
    """The winner is a model's name. The category is kept, and the visitor is the annotator."""
    models = {"model_a_name": "m", "model_b_name": "n", "chosen_model_name": chosen, "both_equal": both_equal}
    row = {
        "id": 3,
        "timestamp": "2025-03-01T10:00:00",
        "selected_category": "ideas",
        "visitor_id": "x",
        **models,
        **CHATS,
    }

    content = imported(tmp_path, row)

    (prompt,) = content.rows(Prompt)
    vote = label(content)
    assert (vote.left, vote.right, vote.outcome, vote.annotator) == ("m", "n", outcome, "x")
    assert (vote.label_id, vote.prompt_id, prompt.category) == ("3", prompt.prompt_id, "ideas")


def test_formats_arena_comparia_a_winner_that_took_no_part_is_wrong(tmp_path: Path) -> None:
    models = {"model_a_name": "m", "model_b_name": "n", "chosen_model_name": "o", "both_equal": False}

    (error,) = counts(imported(tmp_path, {"id": 3, "timestamp": "x", **models, **CHATS})).wrong

    assert "unknown chosen_model_name 'o'" in error.message


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the samples are not in {DATA}")
@pytest.mark.parametrize("name", ["33k", "55k", "100k", "140k", "expert-5k", "comparia"])
def test_formats_arena_samples(name: str) -> None:
    """All votes of each set are read, with the kinds of their ties."""
    folder = DATA / (name if name == "comparia" else f"arena-{name}")
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    (path,) = (path for path in folder.iterdir() if path.suffix in (".parquet", ".csv"))
    content = read(path)

    votes = [vote for _, vote in content.labels()]

    assert counts(content).items == {
        "prompts": len({vote.prompt_id for vote in votes}),
        "outputs": 2 * expected["rows"],
        "labels": expected["rows"],
    }
    assert Counter(vote.outcome.name.lower() for vote in votes) == expected["outcomes"]
    both_bad = sum(vote.tie_kind is TieKind.BOTH_BAD for vote in votes)
    assert both_bad == expected.get("ties_both_bad", 0)
    assert sorted({side for vote in votes for side in (vote.left, vote.right)}) == expected["contestants"]
    assert sum(vote.turn == 2 for vote in votes) == expected["two_turn_conversations"]
    assert len({vote.annotator for vote in votes}) == expected.get("annotators", 12 if name == "100k" else 1)
    empty = sum("" in output.turns for output in content.rows(Output))
    assert empty == expected.get("null_responses", 0)
    sessions = {vote.note for vote in votes if vote.note.startswith("session ")}
    assert len(sessions) == expected.get("sessions", 0)
