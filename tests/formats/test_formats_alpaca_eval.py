"""AlpacaEval's outputs, annotations and cross-annotations."""

from __future__ import annotations

import json
import os
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from judge.domain.dataset import Label, Output, Prompt
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.formats.detect import read
from judge.formats.importing import Import, count, text_id

DATA = Path(os.environ.get("JUDGE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "formats/alpaca-eval"
ROW: dict[str, Any] = {
    "instruction": "Why?",
    "dataset": "koala",
    "annotator": "weighted-judge",
    "output_1": "So.",
    "generator_1": "base",
    "output_2": "Because.",
    "generator_2": "new",
}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows), "utf-8")
    return path


def labels(content: Import) -> list[Label]:
    return [label for _, label in content.labels()]


def preferred(tmp_path: Path, *preferences: object) -> list[Label]:
    rows = [ROW | {"preference": preference} for preference in preferences]
    return labels(read(write(tmp_path / "annotations.json", *rows)))


def test_formats_alpaca_eval_outputs(tmp_path: Path) -> None:
    """An output brings its prompt, whose id is the hash of its text and whose category is its part of the set."""
    row = {"instruction": "Why?", "output": "So.", "generator": "m", "dataset": "koala", "datasplit": "eval"}

    content = read(write(tmp_path / "model_outputs.json", row))

    (prompt,), (output,) = content.rows(Prompt), content.rows(Output)
    assert prompt == Prompt(prompt_id=text_id("Why?"), turns=("Why?",), category="koala")
    assert output == Output(prompt_id=prompt.prompt_id, contestant="m", turns=("So.",))


def test_formats_alpaca_eval_annotation(tmp_path: Path) -> None:
    """An annotation is a label of a model on the baseline at the left, and brings both outputs."""
    content = read(write(tmp_path / "annotations.json", ROW | {"preference": 1.25, "price_per_example": 0.1}))

    (label,) = labels(content)
    assert (label.left, label.right, label.outcome) == ("base", "new", Outcome.LEFT)
    assert (label.annotator, label.kind, label.probability) == ("weighted-judge", AnnotatorKind.MODEL, 0.75)
    assert [(output.contestant, output.turns) for output in content.rows(Output)] == [
        ("base", ("So.",)),
        ("new", ("Because.",)),
    ]
    assert [prompt.prompt_id for prompt in content.rows(Prompt)] == [label.prompt_id]


@pytest.mark.parametrize(
    ("preference", "outcome", "probability"),
    [
        (1, Outcome.LEFT, 1),
        (2, Outcome.RIGHT, 0),
        (1.5, Outcome.TIE, 0.5),
        (0, Outcome.TIE, 0.5),
        (1.5001, Outcome.RIGHT, 0.4999),
    ],
)
def test_formats_alpaca_eval_preferences(
    tmp_path: Path, preference: float, outcome: Outcome, probability: float
) -> None:
    """1 means that the first output is better, 2 the second; 1.5 and, in older files, 0 are ties."""
    (label,) = preferred(tmp_path, preference)

    assert label.outcome is outcome
    assert label.probability == pytest.approx(probability)


def test_formats_alpaca_eval_without_a_preference_there_is_no_label(tmp_path: Path) -> None:
    """A judge that gave no preference made no tie. The rows are counted, and their outputs go in."""
    rows = [ROW | {"preference": None}, ROW | {"preference": float("nan"), "instruction": "What?"}]

    (file,) = read(write(tmp_path / "annotations.json", *rows)).files
    counts = count(file)

    assert (counts.items, counts.n_wrong) == ({"prompts": 2, "outputs": 4}, 0)
    assert counts.notes == {"without a preference, so without a label": 2}


@pytest.mark.parametrize("preference", [3, 0.5, -1, "1", True])
def test_formats_alpaca_eval_a_wrong_preference_is_a_wrong_row(tmp_path: Path, preference: object) -> None:
    rows = [ROW | {"preference": preference}, ROW | {"preference": 1}]

    (file,) = read(write(tmp_path / "annotations.json", *rows)).files
    counts = count(file)

    (error,) = counts.wrong
    assert "annotations.json entry 1 has an invalid preference" in error.message
    assert counts.items["labels"] == 1


def test_formats_alpaca_eval_cross_annotations_are_labels_of_people(tmp_path: Path) -> None:
    """They name no models, so their sides are the contestants. Each annotator's label counts."""
    row = {"instruction": "Sum up.", "input": "Long text.", "output_1": "a", "output_2": "b", "datasplit": "eval"}
    rows = [row | {"annotator_index": index, "preference": 1 + index % 2} for index in range(4)]

    content = read(write(tmp_path / "crossannotations.json", *rows))

    made = labels(content)
    assert [label.annotator for label in made] == ["0", "1", "2", "3"]
    assert {label.kind for label in made} == {AnnotatorKind.HUMAN}
    assert {(label.left, label.right, label.probability) for label in made} == {("output_1", "output_2", None)}
    assert [prompt.turns for prompt in content.rows(Prompt)] == [("Sum up.\n\nLong text.",)]


def test_formats_alpaca_eval_another_output_of_a_side_is_another_sample(tmp_path: Path) -> None:
    """Two pairs of outputs to one instruction stay apart."""
    row = {"instruction": "Why?", "annotator_index": 0, "preference": 1, "output_1": "a"}
    rows = [row | {"output_2": text} for text in ("b", "c", "b")]

    content = read(write(tmp_path / "crossannotations.json", *rows))

    assert [label.right_sample for label in labels(content)] == [0, 1, 0]
    assert len({label.label_id for label in labels(content)}) == 3
    assert [(output.contestant, output.turns[0]) for output in content.rows(Output)] == [
        ("output_1", "a"),
        ("output_2", "b"),
        ("output_2", "c"),
    ]


def test_formats_alpaca_eval_a_baseline_against_itself_is_counted(tmp_path: Path) -> None:
    (file,) = read(write(tmp_path / "annotations.json", ROW | {"generator_2": "base", "preference": 1.5})).files

    counts = count(file)

    assert not counts.items
    assert counts.notes == {"left out: a contestant compared with itself": 1}


def test_formats_alpaca_eval_a_models_folder_holds_its_annotations_in_folders(tmp_path: Path) -> None:
    """Results have the outputs of a model, and a folder for each judge with annotations and a leaderboard."""
    write(tmp_path / "model_outputs.json", {"instruction": "Why?", "output": "Because.", "generator": "new"})
    write(tmp_path / "some_judge/annotations.json", ROW | {"preference": 2})
    header = "name,win_rate,standard_error,n_wins,n_wins_base,n_draws,n_total\nnew,100,0,1,0,0,1\n"
    (tmp_path / "some_judge/leaderboard.csv").write_text(header)

    content = read(tmp_path)

    assert [file.name for file in content.files] == ["model_outputs.json", "some_judge/annotations.json"]
    (left_out,) = content.left_out
    assert (left_out.name, left_out.loses) == ("some_judge/leaderboard.csv", False)


def test_formats_alpaca_eval_an_output_that_differs_from_the_file_of_outputs_is_a_further_sample(
    tmp_path: Path,
) -> None:
    """No text takes the place of another: the file's is sample 0, and the account counts the annotation."""
    outputs = [{"instruction": "Why?", "output": text, "generator": "new"} for text in ("Never mind.",)]
    for folder in (tmp_path, tmp_path / "some_judge"):
        write(tmp_path / "model_outputs.json", *outputs)
        (file,) = read(write(folder / "annotations.json", ROW | {"preference": 2})).files

        (made,) = [label for _, label in file.labels()]
        assert (made.left_sample, made.right_sample) == (0, 1)
        assert [(output.contestant, output.sample) for output in file.rows(Output)] == [("base", 0), ("new", 1)]
        further = "with another output than an earlier row, or than the file of outputs, as a further sample"
        assert count(file).notes == {further: 1}


def test_formats_alpaca_eval_an_output_of_the_file_of_outputs_is_the_same(tmp_path: Path) -> None:
    write(tmp_path / "model_outputs.json", {"instruction": "Why?", "output": "Because.", "generator": "new"})
    (file,) = read(write(tmp_path / "annotations.json", ROW | {"preference": 2})).files

    assert [(output.contestant, output.sample) for output in file.rows(Output)] == [("base", 0), ("new", 0)]
    assert not count(file).notes


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the sample is not in {DATA}")
def test_formats_alpaca_eval_win_rates_of_the_sample() -> None:
    """The win rate is the mean probability of the second output; the discrete one counts ties as half."""
    expected = json.loads((DATA / "expected.json").read_text("utf-8"))
    (file,) = read(DATA / "annotations.json").files

    made = [label for _, label in file.labels()]

    shares = {Outcome.LEFT: 0.0, Outcome.TIE: 0.5, Outcome.RIGHT: 1.0}
    assert count(file).notes["without a preference, so without a label"] == expected["unreadable"]
    assert len(made) == expected["annotations"] - expected["unreadable"]
    win_rate = 100 * mean(1 - (label.probability or 0) for label in made)
    assert win_rate == pytest.approx(expected["win_rate_pct"], abs=0.005)
    assert 100 * mean(shares[label.outcome] for label in made) == expected["discrete_win_rate_pct"]
