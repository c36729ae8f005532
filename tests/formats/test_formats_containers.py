"""Rows are the same in every container, recognized by its content, and what is wrong is named."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from backports import zstd

from judge.domain.errors import InvalidInput
from judge.formats import containers
from judge.formats.containers import first_row, rows_of

ROWS = [{"id": "q1", "text": 'a, "b"\tc;\u2028d', "n": "1"}, {"id": "q2", "text": "zwei\nZeilen|", "n": "2"}]


def csv_text(separator: str = ",") -> str:
    return pl.DataFrame(ROWS).write_csv(separator=separator, quote_style="always")


def parquet() -> bytes:
    pl.DataFrame(ROWS).write_parquet(buffer := io.BytesIO())
    return buffer.getvalue()


LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
CONTAINERS: dict[str, bytes] = {
    "lines": LINES.encode(),
    "lines with CRLF and blank lines": LINES.replace("\n", "\r\n\r\n").encode(),
    "lines with a mark of byte order": b"\xef\xbb\xbf" + LINES.encode(),
    "lines, the last without an end": LINES.rstrip().encode(),
    "array": json.dumps(ROWS).encode(),
    "array over lines": json.dumps(ROWS, indent=2, ensure_ascii=False).encode(),
    "array with a mark of byte order": b"\xef\xbb\xbf\n" + json.dumps(ROWS).encode(),
    "object of lists": json.dumps({key: [row[key] for row in ROWS] for key in ROWS[0]}).encode(),
    "object of lists over lines": json.dumps({key: [row[key] for row in ROWS] for key in ROWS[0]}, indent=1).encode(),
    "CSV": csv_text().encode(),
    "CSV with CRLF": csv_text().replace("\n", "\r\n").replace("zwei\r\n", "zwei\n").encode(),
    "CSV with a mark of byte order": b"\xef\xbb\xbf" + csv_text().encode(),
    "TSV": csv_text("\t").encode(),
    "CSV with semicolons": csv_text(";").encode(),
    "Parquet": parquet(),
}


def content(path: Path) -> list[dict[str, object]]:
    return [dict(row) for _, _, row in rows_of(path) if not isinstance(row, InvalidInput)]


@pytest.mark.parametrize("packed", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_formats_rows_are_the_same_in_every_container(tmp_path: Path, container: str, packed: str) -> None:
    """A file is read by its content: here none has an ending."""
    if container == "Parquet" and packed != "plain":
        pytest.skip("Parquet is packed in itself")
    pack: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gzip": gzip.compress, "zstd": zstd.compress}
    (path := tmp_path / "file").write_bytes(pack[packed](CONTAINERS[container]))

    assert content(path) == ROWS
    assert first_row(path) == ROWS[0]


def test_formats_rows_are_read_on_every_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoding of the machine does not count."""
    monkeypatch.setenv("LC_ALL", "C")
    (path := tmp_path / "file.csv").write_bytes("left,right\nカ,é\n".encode())

    assert content(path) == [{"left": "カ", "right": "é"}]


def test_formats_a_long_field_is_read(tmp_path: Path) -> None:
    """A conversation may be longer than what Python's csv module allows by default."""
    (path := tmp_path / "file.csv").write_text(f"a,b\n{'x' * 300_000},1\n")

    assert content(path) == [{"a": "x" * 300_000, "b": "1"}]


def test_formats_an_empty_cell_is_missing_and_an_index_has_no_name(tmp_path: Path) -> None:
    (path := tmp_path / "file.csv").write_text(",a,b\n0,1,\n1,,2\n")

    assert content(path) == [{"a": "1", "b": None}, {"a": None, "b": "2"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a": 1}\n{"a": 1\n{"a": 2}\n', "line 2 is not valid JSON: .* in column"),
        (b'{"a": 1}\n[1]\n{"a": 2}\n', "line 2 is not a JSON object"),
        (b'{"a": 1}\n{"a": "\xff"}\n{"a": 2}\n', "line 2 is not UTF-8"),
        (b'{"a": 1}\n{"a": 1, "a": 2}\n{"a": 2}\n', "line 2 .*'a' is there twice"),
        (b'{"a": 1}\n{"a": "\\ud800"}\n{"a": 2}\n', "line 2 .*lone surrogate"),
        (b'[{"a": 1}, 7, {"a": 2}]', "entry 2 is not a JSON object"),
        (b"a,b\n1,2\n1,2,3\n3,4\n", "line 3 has 3 fields, but the header has 2"),
    ],
)
def test_formats_a_wrong_row_is_named_and_the_others_are_read(tmp_path: Path, text: bytes, message: str) -> None:
    """One wrong row among thousands does not cost the others."""
    (path := tmp_path / "file").write_bytes(text)

    rows = [row for _, _, row in rows_of(path)]

    (wrong,) = [row for row in rows if isinstance(row, InvalidInput)]
    assert len(rows) == 3
    with pytest.raises(InvalidInput, match=f"file {message}"):
        raise wrong


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(LINES.encode() * 99, mtime=0)[:-20], "is cut off or damaged"),
        (zstd.compress(LINES.encode() * 99)[:-20], "is cut off or damaged"),
        (zstd.compress(LINES.encode())[:-4] + b"\0\0\0\0", "is cut off or damaged"),
        (parquet()[:-20], "is not valid Parquet"),
        (b'[{"a": 1}, {"a": 2', "is not valid JSON: entry 2"),
        (b'[{"a": 1}', "is not valid JSON: entry 1 is not followed by a comma"),
        (b'[{"a": 1} {"a": 2}]', "is not valid JSON: entry 1 is not followed by a comma"),
        (b'[{"a": 1}] more', "is not valid JSON: something follows the array"),
        (b'a,b\n1,"2\n', "is not valid CSV"),
        (b"a,a\n1,2\n", "has the column 'a' twice"),
        (b"a,b\n1,\xff\n", "is not UTF-8 near byte 0xff"),
        ("a,b\n1,2\n".encode("utf-16"), "is UTF-16"),
        (b"\x89PNG\r\n\x1a\n\0\0", "holds no text"),
    ],
)
def test_formats_a_damaged_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (path := tmp_path / "file").write_bytes(content)

    with pytest.raises(InvalidInput, match=f"file {message}"):
        list(rows_of(path))


@pytest.mark.parametrize("content", [b"", b"\n\n \n", b"\xef\xbb\xbf", b"[]", b"a,b\n", gzip.compress(b"", mtime=0)])
def test_formats_an_empty_file_has_no_rows(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "file").write_bytes(content)

    assert list(rows_of(path)) == []
    assert first_row(path) is None


def test_formats_what_is_no_regular_file_is_named(tmp_path: Path) -> None:
    """A pipe is not waited for."""
    os.mkfifo(pipe := tmp_path / "pipe")

    for path in (pipe, tmp_path, Path("/dev/null")):
        with pytest.raises(InvalidInput, match=f"{path} is not a regular file"):
            list(rows_of(path))
    with pytest.raises(InvalidInput, match="none cannot be read: No such file"):
        list(rows_of(tmp_path / "none"))


@pytest.mark.parametrize(
    "begin", [b'{"a": "', b'[{"a": "', b"a,b\n1,", b'a,b\n1,"', b"x", b'{"a": 1}\n{"b": "', b'[{"a": [']
)
@pytest.mark.parametrize("filling", [b"x", b"\n", b" ", b'"",'])
def test_formats_a_row_without_end_is_refused_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: bytes, filling: bytes
) -> None:
    """A packed bomb and a line without end meet the same limit. Nothing reads the file to its end."""
    monkeypatch.setattr(containers, "LONGEST_ROW", 1 << 16)
    monkeypatch.setattr("judge.formats.json_rows.LARGEST_DOCUMENT", 1 << 17)
    (path := tmp_path / "bomb").write_bytes(gzip.compress(begin + filling * (1 << 20)))

    # Blank lines, and fields in quotes that end, are no row without end.
    with contextlib.suppress(InvalidInput):
        for _, _, row in rows_of(path):
            assert isinstance(row, InvalidInput) or len(str(row)) < 1 << 17


def test_formats_an_array_is_read_piece_by_piece(tmp_path: Path) -> None:
    """Entries are yielded long before the end, however the pieces cut them."""
    rows = [{"id": n, "text": "é\u2028[{" * (n % 977)} for n in range(3_000)]
    (path := tmp_path / "file.json").write_text(json.dumps(rows, ensure_ascii=False), "utf-8")

    assert content(path) == rows


def test_formats_numbers_that_are_none_are_read_where_nobody_needs_them(tmp_path: Path) -> None:
    (path := tmp_path / "file.jsonl").write_text('{"id": "q", "score": NaN, "other": -Infinity}\n')

    (row,) = content(path)

    assert row["id"] == "q"


def test_formats_half_a_character_is_a_wrong_row_in_every_container(tmp_path: Path) -> None:
    """An escape sequence can write what no store can keep. The other rows are read."""
    half, whole = '{"a": "x \\ud800"}', '{"a": "\\ud83d\\ude00"}'
    (lines := tmp_path / "lines").write_text(f"{whole}\n{half}\n{whole}\n")
    (array := tmp_path / "array").write_text(f"[{whole}, {half}, {whole}]")
    with zipfile.ZipFile(archive := tmp_path / "archive", "w") as packed:
        for name, text in (("1.json", whole), ("2.json", half), ("3.json", whole)):
            packed.writestr(name, text)

    for path in (lines, array, archive):
        first, wrong, last = (row for _, _, row in rows_of(path))
        assert first == last == {"a": "\U0001f600"}
        assert isinstance(wrong, InvalidInput)
        assert wrong.reason == "LONE_SURROGATE"
        assert "2" in wrong.message


def test_formats_a_header_of_very_many_columns_is_read_in_one_pass(tmp_path: Path) -> None:
    """Its time grows with the columns, not with their square."""
    names = [f"c{number}" for number in range(200_000)]
    (path := tmp_path / "file").write_text(f"{','.join(names)}\n{','.join('1' for _ in names)}\n")
    started = time.process_time()

    (row,) = content(path)

    assert len(row) == len(names)
    assert time.process_time() - started < 20
