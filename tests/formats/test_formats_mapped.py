"""Any table is read by a mapping of its columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.domain.dataset import Label, Output, Prompt
from judge.domain.errors import InvalidInput
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.formats.detect import read
from judge.formats.importing import Import, count
from judge.formats.mapped import mapping_of

PAIRS = (
    "Frage\tantwort 1\tantwort 2\tUrteil\tRater\n"
    "Why?\tone\ttwo\t1\tr0\n"
    "Why?\tone\ttwo\tgleich\tr1\n"
    "Why?\tthree\ttwo\t2\tr0\n"
    "How?\tfour\tfive\tneither\tr0\n"
)
COLUMNS = [("prompt", "Frage"), ("left", "antwort 1"), ("right", "antwort 2"), ("outcome", "Urteil")]


def mapped(path: Path, text: str, *columns: tuple[str, str], **outcomes: str) -> Import:
    path.write_text(text, "utf-8")
    return read(path, mapping=mapping_of(columns, outcomes.items()))


def labels(content: Import) -> list[Label]:
    return [label for _, label in content.labels(lambda _: None)]


def test_formats_a_table_of_texts_becomes_pairs(tmp_path: Path) -> None:
    """Texts are outputs of the two sides, each once, and words are outcomes as the mapping says."""
    content = mapped(tmp_path / "table.tsv", PAIRS, *COLUMNS, ("annotator", "Rater"), gleich="tie")

    (file,) = content.files
    counts = count(file)
    assert (dict(counts.items), counts.n_wrong) == ({"prompts": 1, "outputs": 3, "labels": 3}, 1)
    with pytest.raises(InvalidInput, match="line 5 has the unknown outcome 'neither'"):
        raise counts.wrong[0]
    first, second, third = labels(content)
    assert [label.outcome for label in (first, second, third)] == [Outcome.LEFT, Outcome.TIE, Outcome.RIGHT]
    assert [(label.left, label.left_sample, label.annotator) for label in (first, second, third)] == [
        ("left", 0, "r0"),
        ("left", 0, "r1"),
        ("left", 1, "r0"),
    ]
    texts = {(output.contestant, output.sample): output.turns for output in content.rows(Output, lambda _: None)}
    assert texts == {("left", 0): ("one",), ("left", 1): ("three",), ("right", 0): ("two",)}


def test_formats_a_table_of_names_becomes_labels(tmp_path: Path) -> None:
    """Values that come again and again are contestants. A constant stands for a column that is missing."""
    rows = "".join(f"q{n}\tm\tn\t{'left' if n % 2 else 'right'}\n" for n in range(6))
    content = mapped(
        tmp_path / "table.csv",
        f"item\tfirst system\tsecond system\tbetter\n{rows}",
        ("prompt_id", "item"),
        ("left", "first system"),
        ("right", "second system"),
        ("outcome", "better"),
        ("annotator", "=gpt-5"),
        ("kind", "=model"),
    )

    (file,) = content.files
    assert (file.format.name, dict(count(file).items)) == ("mapped labels", {"labels": 6})
    label = labels(content)[1]
    assert (label.left, label.right, label.annotator, label.kind) == ("m", "n", "gpt-5", AnnotatorKind.MODEL)


def test_formats_texts_may_have_names(tmp_path: Path) -> None:
    columns = [*COLUMNS, ("left_name", "=m"), ("right_name", "=n")]

    content = mapped(tmp_path / "table.tsv", PAIRS, *columns, gleich="tie")

    assert {(label.left, label.right, label.annotator) for label in labels(content)} == {("m", "n", "annotator")}


def test_formats_tables_of_outputs_and_of_prompts(tmp_path: Path) -> None:
    text = "system;question;reply;topic\nm;Why?;So.;a\nn;Why?;No.;a\n"

    outputs = mapped(
        tmp_path / "o.csv",
        text,
        ("contestant", "system"),
        ("prompt", "question"),
        ("text", "reply"),
        ("category", "topic"),
    )
    prompts = mapped(tmp_path / "p.csv", text, ("prompt", "question"))

    (file,) = outputs.files
    assert dict(count(file).items) == {"prompts": 1, "outputs": 2}
    assert [prompt.prompt_id for prompt in prompts.rows(Prompt)] == [p.prompt_id for p in outputs.rows(Prompt)]


@pytest.mark.parametrize(
    ("columns", "outcomes", "message"),
    [
        ([("lefty", "a")], {}, "nothing is called 'lefty'; map one of prompt,"),
        ([*COLUMNS, ("annotator", "Name")], {}, "has no column 'Name'. It has 'Frage', 'antwort 1'"),
        (COLUMNS[:-1], {}, "need a column for outcome: --map outcome=COLUMN"),
        ([("category", "Rater")], {}, "map left and right"),
        (COLUMNS, {"gleich": "same"}, "'same' is no outcome; use one of left, a,"),
    ],
)
def test_formats_a_wrong_mapping_says_what_is_right(
    tmp_path: Path, columns: list[tuple[str, str]], outcomes: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        mapped(tmp_path / "table.tsv", PAIRS, *columns, **outcomes)
