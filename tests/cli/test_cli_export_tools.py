"""Votes as other tools' files, which say what could not be kept, and are read back where there is a reader."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Literal

import pytest
from click.testing import CliRunner, Result

from judge.cli import export_alpaca_eval, export_arena, export_dpo, export_fastchat, main
from judge.cli.export_votes import ExportedVote, LeftOutVotes, Texts, VotedPair, votes_of
from judge.cli.group import cli
from judge.domain.dataset import ImportedVerdict, Label
from judge.domain.outcome import AnnotatorKind, Order, Outcome, TieKind, VerdictStatus
from judge.formats import detect
from judge.formats.importing import Item

main._commands()

TEXTS = Texts(
    prompts={"1": {"turns": ["Why?"], "category": "c"}, "2": {"turns": ["How?", "And then?"]}},
    outputs={
        ("1", "base", 0): ["b"],
        ("1", "m", 0): ["long"],
        ("1", "m", 1): ["other"],
        ("2", "base", 0): ["b1", "b2"],
        ("2", "m", 0): ["m1", "m2"],
    },
)


def comparison(left: str, right: str, prompt_id: str = "1", turn: int = 1, sample: int = 0) -> VotedPair:
    return VotedPair(prompt_id, turn, (left, 0), (right, sample))


def verdict(first: str, outcome: str | None, left: str = "m", right: str = "base", **more: object) -> dict[str, Any]:
    """A row of an export of verdicts on prompt 81; without an outcome, it is unreadable."""
    row = {"prompt_id": "81", "turn": 2, "left": left, "right": right, "first": first, "judge": "j", "raw": f"{first}!"}
    return row | ({"outcome": outcome} if outcome else {"status": "unreadable"}) | more


def imported(path: Path) -> list[Item]:
    return list(detect.read(path).files[0].items())


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_the_orders_and_repeats_of_a_judge_are_one_vote() -> None:
    """Whichever side is called left; a vote of verdicts that differ is inconsistent if it is a tie."""
    account = LeftOutVotes()
    rows = [
        verdict("left", "left"),
        verdict("right", "right"),
        verdict("left", "tie", judge="k"),
        verdict("left", "right", judge="k", left="base", right="m"),
        verdict("left", None),
    ]

    votes = list(votes_of(rows, account))

    asked = VotedPair("81", 2, ("m", 0), ("base", 0))
    assert votes == [
        ExportedVote(asked, "j", 0.5, tie_kind="inconsistent"),
        ExportedVote(asked, "k", 0.75, tie_kind="inconsistent"),
    ]
    assert str(account) == " Left out: verdicts without an outcome (1)."


def test_alpaca_eval_annotations_have_the_baseline_first_and_are_read_back(tmp_path: Path) -> None:
    """A preference is 2 for the other contestant and 1 for the baseline; a probability counts as it is."""
    account = LeftOutVotes()
    votes = [
        ExportedVote(comparison("base", "m"), "j", 0.0),
        ExportedVote(comparison("m", "base"), "k", 0.0),
        ExportedVote(comparison("m", "base"), "l", 1.0, probability=0.75),
        ExportedVote(comparison("m", "x"), "j", 1.0),
        ExportedVote(comparison("m", "base", prompt_id="2", turn=2), "j", 1.0),
        ExportedVote(comparison("base", "m", prompt_id="3"), "j", 1.0),
    ]

    rows = list(export_alpaca_eval.annotation_rows(votes, TEXTS, "base", account))
    labels = [item for item in imported(write(tmp_path / "x.json", rows)) if isinstance(item, Label)]

    assert rows[0] == {
        "instruction": "Why?",
        "output_1": "b",
        "generator_1": "base",
        "dataset": "c",
        "output_2": "long",
        "generator_2": "m",
        "annotator": "j",
        "preference": 2.0,
    }
    assert [row["preference"] for row in rows] == [2.0, 1.0, 1.75]
    assert [(label.annotator, label.outcome, label.probability) for label in labels] == [
        ("j", Outcome.RIGHT, 0.0),
        ("k", Outcome.LEFT, 1.0),
        ("l", Outcome.RIGHT, 0.25),
    ]
    assert account.left_out == {
        "votes without base": 1,
        "votes on a turn other than the first": 1,
        "votes whose texts are not there": 1,
    }


def test_alpaca_eval_leaderboard() -> None:
    """Preferences 2, 2, 1, 1.5 have a mean of 1.625 and a standard deviation of 0.4787 (n - 1)."""
    rows = [{"generator_2": "m", "preference": each, "output_2": "abcd"} for each in (2, 2, 1, 1.5)]
    single = {"generator_2": "n", "preference": 1.75, "output_2": "ab"}

    table = export_alpaca_eval.leaderboard([*rows, single])
    first, second = (dict(zip(table.columns, row, strict=True)) for row in table.rows)

    assert (first["name"], first["standard_error"]) == ("n", None)
    assert first["win_rate"] == pytest.approx(75)
    assert second["win_rate"] == pytest.approx(62.5)
    assert second["standard_error"] == pytest.approx(100 * 0.47871355387816905 / 2)
    assert [second[name] for name in ("n_wins", "n_wins_base", "n_draws", "n_total")] == [2, 1, 1, 4]
    assert (second["discrete_win_rate"], second["avg_length"]) == (62.5, 4)


def test_fastchat_judgments_have_a_game_for_each_order_and_are_read_back(tmp_path: Path) -> None:
    """The first game shows model_1 first, whichever side of its verdict is called left."""
    account = LeftOutVotes()
    rows = [
        verdict("right", "right"),
        verdict("left", None),
        verdict("left", "left", judge="k"),
        verdict("left", "tie", judge="k", left="base", right="m"),
        verdict("left", "left", judge="alone"),
        verdict("left", "left", repeat=1),
        verdict("left", "left", right_sample=1),
    ]

    judgments = list(export_fastchat.judgments(rows, account))
    verdicts = imported(write(tmp_path / "x.jsonl", judgments))

    first = {"question_id": 81, "model_1": "m", "model_2": "base", "g1_winner": "error", "g2_winner": "model_2"}
    games = {"judge": ["j", "unknown"], "g1_judgment": "left!", "g2_judgment": "right!", "turn": 2}
    assert judgments[0] == first | games
    assert (judgments[1]["g1_winner"], judgments[1]["g2_winner"]) == ("model_1", "tie")
    assert verdicts[0] == ImportedVerdict(
        prompt_id="81",
        left="m",
        right="base",
        order=Order.LEFT_FIRST,
        judge="j",
        turn=2,
        raw="left!",
        outcome=None,
        status=VerdictStatus.UNREADABLE,
    )
    assert len(verdicts) == 4
    assert account.left_out == {
        "repeated verdicts": 1,
        "verdicts on a sample other than the first": 1,
        "verdicts in one order only": 1,
    }


def test_arena_battles_have_conversations_and_are_read_back(tmp_path: Path) -> None:
    """A tie keeps its kind, and a vote without texts has no conversation."""
    account = LeftOutVotes()
    votes = [
        ExportedVote(comparison("m", "base", prompt_id="2", turn=2), "ann", 0.5, tie_kind="both_bad"),
        ExportedVote(comparison("m", "base", prompt_id="3"), "ann", 1.0),
        ExportedVote(comparison("base", "m", sample=1), "ann", 0.0),
    ]

    rows = list(export_arena.battles(votes, TEXTS, account))
    labels = imported(write(tmp_path / "x.json", rows))

    talk = [("user", "How?"), ("assistant", "m1"), ("user", "And then?"), ("assistant", "m2")]
    assert rows[0]["conversation_a"] == [{"role": role, "content": text} for role, text in talk]
    assert rows[1] == {
        "question_id": 3,
        "model_a": "m",
        "model_b": "base",
        "winner": "model_a",
        "judge": "ann",
        "turn": 1,
    }
    assert [
        (item.prompt_id, item.left, item.outcome, item.turn, item.tie_kind, item.kind)
        for item in labels
        if isinstance(item, Label)
    ] == [
        ("2", "m", Outcome.TIE, 2, TieKind.BOTH_BAD, AnnotatorKind.HUMAN),
        ("3", "m", Outcome.LEFT, 1, None, AnnotatorKind.HUMAN),
    ]
    assert account.left_out == {"votes on a sample other than the first": 1}


@pytest.mark.parametrize(
    ("least", "ties", "expected"),
    [
        (0.5, "half", [("m", 0.625, 4)]),
        (0.5, "drop", [("m", 2 / 3, 3)]),
        (0.65, "half", []),
        (0.65, "drop", [("m", 2 / 3, 3)]),
    ],
)
def test_a_pair_for_dpo_has_enough_agreement(
    least: float, ties: Literal["half", "drop"], expected: list[tuple[str, float, int]]
) -> None:
    """Two votes for m, one for the other, and a tie: each row says by which rule it was chosen."""
    scores = [("a", "m", 1.0), ("b", "m", 1.0), ("c", "m", 0.0), ("d", "base", 0.5)]
    votes = [
        ExportedVote(comparison(left, "base" if left == "m" else "m"), name, score) for name, left, score in scores
    ]

    rows = list(export_dpo.preferences(votes, TEXTS, export_dpo.PreferenceRule(least, ties), LeftOutVotes()))

    assert [(row["chosen_model"], row["agreement"], row["votes"]) for row in rows] == expected
    for row in rows:
        assert [row["prompt"], row["chosen"], row["rejected"]] == ["Why?", "long", "b"]
        assert [row["least_agreement"], row["ties"]] == [least, ties]


def test_dpo_leaves_out_what_is_no_pair() -> None:
    account = LeftOutVotes()
    votes = [
        ExportedVote(comparison("m", "base"), "a", 0.5),
        ExportedVote(comparison("m", "base", prompt_id="2", turn=2), "a", 1.0),
        ExportedVote(comparison("m", "base", prompt_id="3"), "a", 1.0),
    ]

    assert not list(export_dpo.preferences(votes, TEXTS, export_dpo.PreferenceRule(0.5, "drop"), account))
    assert account.left_out == {
        "votes on comparisons with too little agreement": 1,
        "votes on a turn other than the first": 1,
        "votes whose texts are not there": 1,
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A store with two prompts, their outputs, a label for each, and a judge's verdicts on one."""
    (folder := tmp_path / "in").mkdir()
    ids = ("1", "2")
    pair = {"left": "m", "right": "base"}
    write(folder / "prompts.jsonl", [{"prompt_id": each, "text": f"q{each}"} for each in ids])
    outputs = [{"prompt_id": each, "contestant": name, "text": name} for each in ids for name in ("m", "base")]
    write(folder / "outputs.jsonl", outputs)
    labels = [pair | {"prompt_id": each, "outcome": "left", "annotator": f"ann{each}"} for each in ids]
    write(folder / "labels.jsonl", labels)
    orders = [pair | {"prompt_id": "1", "judge": "j", "first": first, "outcome": "left"} for first in ("left", "right")]
    write(folder / "verdicts.jsonl", orders)
    assert judge(tmp_path, "import", folder, "--dataset", "d").exception is None
    return tmp_path


def judge(home: Path, *arguments: str | Path) -> Result:
    """Run a command in this process on the store in *home*."""
    argv = [str(argument) for argument in arguments]
    return CliRunner().invoke(cli, argv, standalone_mode=False, env={"JUDGE_HOME": str(home)})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("alpaca-eval", "--reference", "base"), "Wrote 2 annotations"),
        (("alpaca-eval", "--reference", "base", "--judge", "j"), "Wrote 1 annotations"),
        (("fastchat",), "Wrote 1 judgments"),
        (("arena-battles", "--annotator", "ann1"), "Wrote 1 battles"),
        (("dpo", "--agreement", "0.6", "--ties", "drop"), "Wrote 2 pairs"),
        (("inspect-scores", "--contestant", "m"), "Wrote 2 scores"),
    ],
)
def test_each_tool_has_a_command(home: Path, options: tuple[str, ...], expected: str) -> None:
    """A file that ends with .json is an array; otherwise it has JSON lines."""
    array = judge(home, "export", *options, "--dataset", "d", "-o", home / "out.json")
    lines = judge(home, "export", *options, "--dataset", "d", "-o", home / "out.jsonl")

    assert array.exception is None
    assert lines.exception is None
    assert array.stderr == f"{expected} to {home / 'out.json'}.\n"
    rows = [json.loads(line) for line in (home / "out.jsonl").read_text("utf-8").splitlines()]
    assert json.loads((home / "out.json").read_text("utf-8")) == rows


def test_alpaca_eval_writes_its_leaderboard_beside_the_annotations(home: Path) -> None:
    options = ("--dataset", "d", "--reference", "base", "--leaderboard", home / "leaderboard.csv")

    judge(home, "export", "alpaca-eval", *options, "-o", home / "out.json")

    with (home / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["name"], row["win_rate"], row["n_total"], row["mode"]) == ("m", "100.0", "2", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("fastchat", "--dataset", "d", "--annotator", "ann1"), "labels have no order"),
        (("dpo",), "name either a --dataset, whose labels are exported, or a --run"),
        (("dpo", "--dataset", "d", "--judge", "j", "--annotator", "a"), "--annotator is for the labels"),
        (
            ("alpaca-eval", "--dataset", "d", "--reference", "bse"),
            "there are no annotations to write. Left out: votes without bse (2).",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused(home: Path, options: tuple[str, ...], message: str) -> None:
    """An empty file is none."""
    done = judge(home, "export", *options, "-o", home / "out.json")

    assert message in str(done.exception)
    assert not (home / "out.json").exists()
