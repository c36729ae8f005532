"""Every form of an export holds the same rows, and is read back as such."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from google.protobuf.message import Message

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import outcome_pb2, verdict_pb2
from judge.cli.export import Export
from judge.cli.export_forms import Form, form_of, partial_path
from judge.cli.export_rows import Columns, Page, as_row, dataset_columns, importable, run_columns
from judge.domain.dataset import ImportedVerdict, Label, ListedComparison, Output, Prompt
from judge.domain.messages import ChatMessage, ChatTurn, Document, Image, Role, TextPart, ToolCall, ToolResult
from judge.formats import detect
from judge.formats.importing import Item, SourcedLabel
from judge.rpc import rows as encode

ENDINGS = ("jsonl", "csv", "parquet", "jsonl.gz", "csv.gz", "jsonl.zst", "csv.zst")
TEXTS = ["", ' a, "b";\tc|d ', "line\nline\r\nline\rend", "[1, 2]", "null", "\u2028 \U0001f600 \u00e9"]
PAIR: dict[str, Any] = {"prompt_id": "q 1", "left": "1.0", "right": "true"}
CHAT = ChatTurn(
    (
        ChatMessage(Role.SYSTEM, (TextPart("s\r"),)),
        ChatMessage(Role.ASSISTANT, (ToolCall(name="f", arguments='{"a": "\u2028"}', call_id="1"),)),
        ChatMessage(Role.TOOL, (ToolResult(text="[1]", call_id="1", name="f"), Image(b"\x00\xff", "image/png"))),
        ChatMessage(Role.USER, (Document(text="null", title="t", source="s"), TextPart("7"))),
    )
)
MESSAGES: dict[str, list[Message]] = {
    "prompts": [
        pb.Prompt(prompt_id="007", turns=TEXTS, category="a,b", tags=["x", "1"], reference=["r"]),
        pb.Prompt(prompt_id="q 1", turns=["q"]),
        encode.prompt(Prompt("q 2", (CHAT, "and?"))),
        encode.prompt(Prompt("q 3", (CHAT,))),
    ],
    "outputs": [
        pb.Output(prompt_id="q 1", contestant=" m", turns=TEXTS, sample=3),
        pb.Output(prompt_id="q 1", contestant="null", turns=[""]),
        encode.output(Output("q 3", "m", (CHAT,))),
    ],
    "labels": [
        pb.Label(
            **PAIR,
            label_id="1",
            turn=2,
            outcome=outcome_pb2.OUTCOME_TIE,
            annotator="ann\r",
            kind=outcome_pb2.ANNOTATOR_KIND_GOLD,
            probability=0.1 + 0.2,
            strength=0.0,
            tie_kind=outcome_pb2.TIE_KIND_BOTH_BAD,
            note="\nnote\r",
            selection=outcome_pb2.SELECTION_RANDOM,
            selection_probability=1e-9,
            left_sample=1,
            right_sample=2,
        ),
        pb.Label(
            **PAIR,
            label_id="2",
            turn=1,
            outcome=outcome_pb2.OUTCOME_LEFT,
            annotator="0",
            kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
        ),
    ],
    "verdicts": [
        pb.ImportedVerdict(
            **PAIR,
            turn=1,
            order=outcome_pb2.ORDER_RIGHT_FIRST,
            judge="j",
            raw="[[A]]\r",
            outcome=outcome_pb2.OUTCOME_RIGHT,
            reason="because",
            repeat=1,
        ),
        pb.ImportedVerdict(
            **PAIR,
            turn=1,
            order=outcome_pb2.ORDER_LEFT_FIRST,
            judge="j",
            raw="?",
            status=outcome_pb2.VERDICT_STATUS_UNREADABLE,
        ),
    ],
    "comparisons": [
        pb.ListedComparison(**PAIR, comparison_id="c", turn=1, left_sample=1),
        pb.ListedComparison(**PAIR, comparison_id="d"),
    ],
}
"""Rows with what tables like to change: numbers and words in quotes, blanks, line ends, empty texts."""


async def pages(rows: Sequence[dict[str, object]], error: Exception | None = None) -> AsyncIterator[Page]:
    """Yield a page for each row, and then raise *error*."""
    for number, row in enumerate(rows):
        yield Page([row], str(number))
    if error is not None:
        raise error


def write(path: Path, rows: list[dict[str, object]], kind: str, columns: Columns, form: str | None = None) -> Export:
    """Write *rows* to a file."""
    what = Export(kind=kind, columns=columns, form=form_of(path, form), output=path)
    asyncio.run(what.write(pages(rows)))
    return what


def message_of(item: Item) -> tuple[str, Message]:
    """Encode an imported item, with its source if it has one."""
    match item:
        case SourcedLabel(source, label):
            return source, encode.label(label)
        case Prompt():
            return "", encode.prompt(item)
        case Output():
            return "", encode.output(item)
        case Label():
            return "", encode.label(item)
        case ImportedVerdict():
            return "", encode.imported_verdict(item)
        case ListedComparison():
            return "", encode.listed(item)
    raise AssertionError(item)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", MESSAGES)
def test_an_exported_row_is_imported_as_the_same_row(tmp_path: Path, kind: str, ending: str) -> None:
    """Every form holds every field of every kind, whatever the name of the file."""
    source = "people" if kind == "labels" else ""
    rows = [importable(as_row(message)) | ({"source": source} if source else {}) for message in MESSAGES[kind]]

    what = write(tmp_path / f"x.{ending}", rows, kind, dataset_columns(kind))
    imported = detect.read(tmp_path / f"x.{ending}").files[0]

    assert what.n_rows == len(MESSAGES[kind])
    assert imported.format.name == kind
    assert [message_of(item) for item in imported.items()] == [(source, message) for message in MESSAGES[kind]]


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_verdicts_of_a_run_are_imported_as_verdicts(tmp_path: Path, ending: str) -> None:
    """Those of a listed comparison, too, and what is nested in a verdict does no harm."""
    verdict = verdict_pb2.Verdict(
        name="runs/r/verdicts/0",
        judge="j",
        presentation=outcome_pb2.Presentation(**PAIR, turn=1, order=outcome_pb2.ORDER_LEFT_FIRST),
        comparison_id="mine",
        status=outcome_pb2.VERDICT_STATUS_OK,
        outcome=outcome_pb2.OUTCOME_LEFT,
        raw="[[A]]",
        usage=verdict_pb2.Usage(input_tokens=3),
        logprobs=[verdict_pb2.TokenLogprob(token="A", logprob=-0.5)],
        reused=True,
    )
    verdict.create_time.FromSeconds(10**9)

    write(tmp_path / f"x.{ending}", [as_row(verdict)], "verdicts", run_columns())
    imported = list(detect.read(tmp_path / f"x.{ending}").files[0].items())

    assert [message_of(item) for item in imported] == [
        (
            "",
            pb.ImportedVerdict(
                **PAIR,
                turn=1,
                order=outcome_pb2.ORDER_LEFT_FIRST,
                judge="j",
                raw="[[A]]",
                outcome=outcome_pb2.OUTCOME_LEFT,
                status=outcome_pb2.VERDICT_STATUS_OK,
            ),
        )
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt_id": "81.0"}, "'81.0' would be read from CSV as '81'"),
        ({"prompt_id": "1", "note": "a\0b"}, "on the prompt '1' has a NUL"),
    ],
)
def test_csv_refuses_what_it_cannot_hold(tmp_path: Path, row: dict[str, object], message: str) -> None:
    """An import takes 81.0 in CSV for 81, as data frames write integers, and no text with a NUL."""
    with pytest.raises(click.ClickException, match=message):
        write(tmp_path / "x.csv", [row], "labels", dataset_columns("labels"))

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_an_export_that_fails_leaves_nothing_and_says_why(tmp_path: Path, ending: str) -> None:
    """The error is that of the source, not that of the library that writes."""
    path = tmp_path / f"x.{ending}"
    what = Export(kind="prompts", columns=dataset_columns("prompts"), form=form_of(path, None), output=path)

    with pytest.raises(ConnectionError, match="gone"):
        asyncio.run(what.write(pages([as_row(MESSAGES["prompts"][0])], ConnectionError("gone"))))

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["jsonl", "csv", "jsonl.gz", "csv.zst"])
def test_an_interrupted_export_continues_where_it_stopped(tmp_path: Path, ending: str) -> None:
    """The part that was kept, and what comes after its token, are together the file of an export at once."""
    rows = [as_row(message) for message in MESSAGES["verdicts"]]
    path, columns = tmp_path / f"x.{ending}", dataset_columns("verdicts")
    write(tmp_path / f"whole.{ending}", rows, "verdicts", columns)

    first = Export(kind="verdicts", columns=columns, form=form_of(path, None), output=path, keeps=True)
    with pytest.raises(ConnectionError):
        asyncio.run(first.write(pages(rows[:1], ConnectionError("gone"))))
    kept = partial_path(path).is_file(), path.exists()
    then = Export(kind="verdicts", columns=columns, form=form_of(path, None), output=path, resumes=True)
    asyncio.run(then.write(pages(rows[1:])))
    again, whole = (list(detect.read(tmp_path / f"{name}.{ending}").files[0].items()) for name in ("x", "whole"))

    assert (first.n_rows, first.token, kept) == (1, "0", (True, False))
    assert again == whole
    assert not partial_path(path).exists()


@pytest.mark.parametrize(
    ("name", "form", "expected"),
    [("x.csv.gz", None, Form.CSV), ("x", None, Form.JSONL), ("x.txt", "csv", Form.CSV), (None, "csv", Form.CSV)],
)
def test_the_ending_says_the_form(name: str | None, form: str | None, expected: Form) -> None:
    assert form_of(Path(name) if name else None, form) is expected


@pytest.mark.parametrize(
    ("name", "form", "message"),
    [
        ("x.xlsx", None, "none of .jsonl, .csv, .parquet"),
        ("x.csv", "jsonl", "ends with .csv, but --form is jsonl"),
        ("x.parquet.gz", None, "leave out .gz"),
        (None, "parquet", "cannot be printed"),
    ],
)
def test_a_form_that_cannot_be_is_refused(name: str | None, form: str | None, message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        form_of(Path(name) if name else None, form)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_folder_that_is_missing_is_named(tmp_path: Path, ending: str) -> None:
    with pytest.raises(click.UsageError, match=f"there is no folder {tmp_path / 'no'}$"):
        write(tmp_path / "no" / f"x.{ending}", [{"prompt_id": "1"}], "prompts", dataset_columns("prompts"))
