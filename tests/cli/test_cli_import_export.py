"""Imported rows can be exported again. An import that fails leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from support.demo_data import DEMO

Judge = Callable[..., subprocess.CompletedProcess[str]]
KINDS = ("prompts", "outputs", "labels", "verdicts", "comparisons")


def write_rows(path: Path, *rows: dict[str, object]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_cli_export_writes_what_import_reads(served: Judge, tmp_path: Path) -> None:
    """Rows of every kind are the same text after an export, an import elsewhere, and another export."""
    (folder := tmp_path / "in").mkdir()
    for name in ("prompts", "outputs", "labels"):
        (folder / f"{name}.jsonl").write_text((DEMO / f"{name}.jsonl").read_text("utf-8"), "utf-8")
    prompt = json.loads((DEMO / "prompts.jsonl").read_text("utf-8").splitlines()[0])["prompt_id"]
    pair = {"prompt_id": prompt, "left": "padded", "right": "concise"}
    write_rows(folder / "comparisons.jsonl", pair | {"comparison_id": "mine", "turn": 1})
    write_rows(
        folder / "verdicts.jsonl",
        pair | {"judge": "old", "first": "right", "raw": "[[B]]", "outcome": "left", "reason": "shorter"},
        pair | {"judge": "old", "first": "left", "raw": "hm", "status": "unreadable"},
    )
    assert served("import", folder, "--dataset", "kinds-1").returncode == 0
    (out := tmp_path / "out").mkdir()

    for kind in KINDS:
        assert served("export", kind, "--dataset", "kinds-1", "-o", out / f"{kind}.jsonl").returncode == 0
    assert served("import", out, "--dataset", "kinds-2").returncode == 0
    for kind in KINDS:
        again = served("export", kind, "--dataset", "kinds-2")
        first = (out / f"{kind}.jsonl").read_text("utf-8")
        assert again.stdout == first
        assert len(first.splitlines()) == len((folder / f"{kind}.jsonl").read_text("utf-8").splitlines())


@pytest.mark.parametrize("wrong", ['{"prompt_id": "2", "te', '{"prompt_id": "2"}'])
def test_cli_a_wrong_line_is_named_and_the_others_go_in(served: Judge, tmp_path: Path, wrong: str) -> None:
    """The file and the line are named, and the exit code says that something is missing."""
    (tmp_path / "prompts.jsonl").write_text('{"prompt_id": "1", "text": "q"}\n' + wrong, "utf-8")
    dataset = f"wrong-line-{len(wrong)}"

    done = served("import", tmp_path, "--dataset", dataset)
    looked = served("export", "prompts", "--dataset", dataset)

    assert done.returncode == 3
    assert "prompts.jsonl: prompts: 1 added; 1 rejected" in done.stderr
    assert "  line 2 " in done.stderr
    assert looked.stdout.count("\n") == 1


@pytest.mark.parametrize("wrong", ['{"prompt_id": "2", "te', '{"prompt_id": "2"}'])
def test_cli_a_strict_import_of_a_wrong_line_leaves_no_dataset(served: Judge, tmp_path: Path, wrong: str) -> None:
    """Everything is checked before anything is sent."""
    (tmp_path / "prompts.jsonl").write_text('{"prompt_id": "1", "text": "q"}\n' + wrong, "utf-8")
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n", "utf-8")

    done = served("import", tmp_path, "--dataset", "strict-line", "--strict")
    looked = served("export", "prompts", "--dataset", "strict-line")

    assert done.returncode == 1
    assert "nothing was imported, because of 2 problems" in done.stderr
    assert "prompts.jsonl line 2" in done.stderr
    assert "notes.csv would be left out: in no known format: it has the fields a, b" in done.stderr
    assert "Traceback" not in done.stderr
    assert "no dataset 'strict-line'" in looked.stderr


def test_cli_a_folder_is_accounted_for_file_by_file(served: Judge, tmp_path: Path) -> None:
    """One line for each file, and exit code 3 if one is left out, unless that is wanted."""
    write_rows(tmp_path / "prompts.jsonl", {"prompt_id": "1", "text": "q"})
    (tmp_path / "labels.csv").write_text("prompt_id,left,right,outcome,annotator\n1,m,n,left,ann\n", "utf-8")
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n", "utf-8")

    done = served("import", tmp_path, "--dataset", "account-1")
    again = served("import", tmp_path, "--dataset", "account-1", "--skip-unknown")

    assert (done.returncode, again.returncode) == (3, 0)
    assert [line for line in done.stderr.splitlines() if line] == [
        "labels.csv: labels: 1 added",
        "prompts.jsonl: prompts: 1 added",
        "notes.csv: left out: in no known format: it has the fields a, b",
    ]
    assert "labels.csv: labels: 1 already there" in again.stderr


def test_cli_a_row_that_the_service_rejects_is_named_by_its_line(served: Judge, tmp_path: Path) -> None:
    """A rejection has the line of the file, although rows are sent in batches."""
    rows: list[dict[str, object]] = [{"prompt_id": "1", "model": f"m{n}", "text": "a" * 3_000} for n in range(2_500)]
    rows[1_700] |= {"prompt_id": "none"}
    write_rows(tmp_path / "outputs.jsonl", *rows)
    write_rows(tmp_path / "prompts.jsonl", {"prompt_id": "1", "text": "q"})

    done = served("import", tmp_path, "--dataset", "reject-1")

    assert done.returncode == 3
    assert "outputs.jsonl: outputs: 2,499 added; 1 rejected" in done.stderr
    assert "  line 1701: " in done.stderr


def test_cli_a_label_that_is_put_first_is_the_one_that_is_added(served: Judge, tmp_path: Path) -> None:
    """Ids are made of the content, and --replace takes a changed vote for the old one."""
    vote: dict[str, object] = {"left": "m", "right": "n", "outcome": "left", "annotator": "ann"}
    votes = [vote | {"prompt_id": str(n)} for n in range(4)]
    write_rows(tmp_path / "labels.jsonl", *votes)
    served("import", tmp_path / "labels.jsonl", "--dataset", "votes-1")
    write_rows(tmp_path / "labels.jsonl", vote | {"prompt_id": "new"}, votes[0] | {"outcome": "tie"}, *votes[1:])

    refused = served("import", tmp_path / "labels.jsonl", "--dataset", "votes-1")
    replaced = served("import", tmp_path / "labels.jsonl", "--dataset", "votes-1", "--replace")

    assert (refused.returncode, replaced.returncode) == (3, 0)
    assert "labels.jsonl: labels: 1 added, 3 already there; 1 rejected" in refused.stderr
    assert "line 2: " in refused.stderr
    assert "labels.jsonl: labels: 1 replaced, 4 already there" in replaced.stderr
    exported = served("export", "labels", "--dataset", "votes-1").stdout.splitlines()
    assert len(exported) == 5


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("", "holds nothing to import: outputs.jsonl: empty"),
        ('{"prompt_id": "1", "model": "m", "text": "a"}', "no prompt '1'"),
    ],
)
def test_cli_an_import_of_nothing_leaves_no_dataset(served: Judge, tmp_path: Path, row: str, message: str) -> None:
    """If there is no row, or none is accepted, the dataset that was created for them is deleted."""
    (tmp_path / "outputs.jsonl").write_text(row, "utf-8")

    done = served("import", tmp_path, "--dataset", "no-row")
    looked = served("export", "prompts", "--dataset", "no-row")

    assert done.returncode == 1
    assert message in done.stderr
    assert "no dataset 'no-row'" in looked.stderr


def test_cli_a_dataset_that_was_there_stays(embedded: Judge, tmp_path: Path) -> None:
    """A later import without an accepted row deletes nothing."""
    write_rows(tmp_path / "prompts.jsonl", {"prompt_id": "1", "text": "q"})
    embedded("import", tmp_path / "prompts.jsonl", "--dataset", "mine")
    write_rows(tmp_path / "outputs.jsonl", {"prompt_id": "2", "model": "m", "text": "a"})

    done = embedded("import", tmp_path / "outputs.jsonl", "--dataset", "mine")
    looked = embedded("export", "prompts", "--dataset", "mine")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(looked.stdout.splitlines()) == 1


def test_cli_a_failed_export_leaves_no_file(embedded: Judge, tmp_path: Path) -> None:
    done = embedded("export", "prompts", "--dataset", "none", "-o", tmp_path / "out.jsonl")

    assert done.returncode == 1
    assert not list(tmp_path.glob("out*"))


def test_cli_an_unknown_format_is_named(served: Judge, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\n1,2\n", "utf-8")

    done = served("import", tmp_path / "table.csv", "--dataset", "mine")

    assert done.returncode == 1
    assert "table.csv holds nothing to import: table.csv: in no known format: it has the fields a, b" in done.stderr


def test_cli_import_needs_no_server_packages() -> None:
    """Reading and uploading files loads no package that only the server needs."""
    heavy = "{'numpy', 'scipy', 'pydantic', 'sqlalchemy', 'openai', 'structlog', 'jinja2'}"
    code = (
        "import sys; from judge.formats import detect; from judge.rpc import rows; from judge.cli import data, export, "
        f"rank_and_agree, runs; print(sorted({heavy} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_cli_export_follows_links_and_packs_what_is_called_gz(served: Judge, tmp_path: Path) -> None:
    """A link stays a link, a device stays a device, and import can read an exported `.gz`."""
    write_rows(tmp_path / "prompts.jsonl", {"prompt_id": "1", "text": "q"})
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "target.jsonl")
    assert served("import", tmp_path / "prompts.jsonl", "--dataset", "links-1").returncode == 0

    done = [
        served("export", "prompts", "--dataset", "links-1", "-o", output).returncode
        for output in (tmp_path / "prompts.jsonl.gz", tmp_path / "link.jsonl", Path("/dev/null"))
    ]
    again = served("import", tmp_path / "prompts.jsonl.gz", "--dataset", "links-2")

    assert done == [0, 0, 0]
    assert again.returncode == 0
    assert (tmp_path / "link.jsonl").is_symlink()
    assert (tmp_path / "target.jsonl").read_text("utf-8").count("\n") == 1
    assert Path("/dev/null").is_char_device()


def test_cli_rank_reads_and_writes_tables(served: Judge, tmp_path: Path) -> None:
    """A CSV of battles is ranked without a dataset, and CSV and Parquet hold the same ratings."""
    rows = ["left,right,outcome,prompt_id", *(f"m,n,{'left' if n % 3 else 'right'},q{n}" for n in range(50))]
    (tmp_path / "battles.csv").write_text("\n".join(rows), "utf-8")

    printed = served("rank", tmp_path / "battles.csv", "--csv", "--parquet", tmp_path / "out.parquet")

    assert printed.returncode == 0, printed.stderr
    written = pl.read_csv(printed.stdout.encode(), schema_overrides={"ranks": pl.String, "order_sd": pl.Float64})
    assert written["contestant"].to_list() == ["m", "n"]
    assert_frame_equal(written, pl.read_parquet(tmp_path / "out.parquet"), check_dtypes=False)


def test_cli_prints_names_as_they_are(served: Judge, tmp_path: Path) -> None:
    """Colons and brackets in names are not taken for emoji or styles."""
    rows = [
        "left,right,outcome,prompt_id",
        *(f"[bold]:one:,[/x],{'left' if n % 3 else 'right'},q{n}" for n in range(9)),
    ]
    (tmp_path / "battles.csv").write_text("\n".join(rows), "utf-8")

    printed = served("rank", tmp_path / "battles.csv")

    assert printed.returncode == 0, printed.stderr
    assert "[bold]:one:" in printed.stdout
    assert "[/x]" in printed.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--csv", "--json"), "--csv and --json both print"),
        (("--csv", "--reference", "m"), "--csv writes the ratings alone: leave out --reference, or use -o or --json"),
        (("--parquet", "out.parquet", "--by", "category"), "--parquet writes the ratings alone: leave out --by"),
        (("--dataset", "mine"), "is a file of battles: leave out --dataset"),
    ],
)
def test_cli_an_option_is_honored_or_refused(
    served: Judge, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    """No table is dropped without a word, and no file that was asked for is missing."""
    (tmp_path / "battles.csv").write_text("left,right,outcome,prompt_id\nm,n,left,q\nn,m,left,q\n", "utf-8")

    done = served("rank", tmp_path / "battles.csv", *options)

    assert done.returncode == 2
    assert message in done.stderr


def test_cli_labels_about_what_is_not_there_are_counted_and_named(served: Judge, tmp_path: Path) -> None:
    """A blank at the end of a name is a slip that nobody sees: the closest known name stands beside it."""
    write_rows(tmp_path / "prompts.jsonl", {"prompt_id": "q1", "text": "q"})
    for name in ("m", "n"):
        write_rows(tmp_path / f"outputs_{name}.jsonl", {"prompt_id": "q1", "model": name, "text": "a"})
    vote: dict[str, object] = {"left": "m", "right": "n", "outcome": "left"}
    rows = [vote | {"prompt_id": "q1 ", "annotator": f"ann{n}"} for n in range(3)]
    write_rows(tmp_path / "labels.jsonl", *rows, vote | {"prompt_id": "q1", "annotator": "ann", "left": "M\u200b"})

    strict = served("import", tmp_path, "--dataset", "unknown-1", "--strict")
    done = served("import", tmp_path, "--dataset", "unknown-1")
    (later := tmp_path / "later").mkdir()
    write_rows(later / "labels.jsonl", vote | {"prompt_id": "q2", "annotator": "ann"})
    again = served("import", later, "--dataset", "unknown-1")

    assert (strict.returncode, done.returncode) == (1, 0)
    assert "nothing was imported, because of 2 problems" in strict.stderr
    assert "Warning: 3 rows name prompts that are not there: 'q1 ' (there is 'q1')." in done.stderr
    assert r"Warning: 1 row names contestants that are not there: 'M\u200b' (there is 'm')." in done.stderr
    assert r"Warning: 'M\u200b', 'm' count as different contestants" in done.stderr
    assert "Warning: 1 row names prompts that are not there: 'q2'." in again.stderr


def test_cli_judgments_without_answers_declare_their_prompts(served: Judge, tmp_path: Path) -> None:
    row: dict[str, object] = {"prompt_id": "1", "left": "m", "right": "n", "judge": "j", "first": "left"}
    write_rows(tmp_path / "verdicts.jsonl", row | {"outcome": "left"}, row | {"prompt_id": "2", "outcome": "tie"})

    done = served("import", tmp_path, "--dataset", "declared-1")

    assert done.returncode == 0
    assert "the labels and verdicts declare 2 prompts and 2 contestants" in done.stderr


def test_cli_any_table_is_imported_by_a_mapping(served: Judge, tmp_path: Path) -> None:
    """A preview shows rows as they would be taken, and stores nothing."""
    (table := tmp_path / "table.tsv").write_text("q\ta\tb\tbest\nWhy?\tone\ttwo\tsame\n", "utf-8")
    columns = (
        "--map",
        "prompt=q",
        "--map",
        "left=a",
        "--map",
        "right=b",
        "--map",
        "outcome=best",
        "--word",
        "same=tie",
    )

    preview = served("import", table, *columns, "--preview")
    done = served("import", table, *columns, "--dataset", "mapped-1")
    wrong = served("import", table, "--map", "left", "--dataset", "mapped-1")
    no_dataset = served("import", table, *columns)

    assert (preview.returncode, done.returncode, wrong.returncode, no_dataset.returncode) == (0, 0, 2, 2)
    assert '"outcome": "tie", "annotator": "annotator"' in preview.stdout
    assert "table.tsv: prompts: 1 added; outputs: 2 added; labels: 1 added" in done.stderr
    assert "'left' is not TARGET=COLUMN" in wrong.stderr
    assert "name the dataset with --dataset, or use --preview" in no_dataset.stderr


def test_cli_an_import_names_the_reference_that_files_do_not(served: Judge, tmp_path: Path) -> None:
    """Judgments without a baseline are left out with the option that helps; what was done with rows is counted."""
    row: dict[str, object] = {"question_id": "q", "judge": "j", "games": [{"score": "A>B"}, {"score": "B>A"}]}
    write_rows(tmp_path / "new.jsonl", row | {"model": "new"}, row | {"model": "base"})

    without = served("import", tmp_path, "--dataset", "hard")
    done = served("import", tmp_path, "--dataset", "hard", "--reference", "base")
    strange = served("import", tmp_path, "--dataset", "hard", "--format", "own", "--reference", "base")

    assert without.returncode == 1
    assert "name it with --reference NAME" in without.stderr
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == "new.jsonl: verdicts: 2 added"
    assert "  1 row compared with base, the reference that was given" in done.stderr
    assert "  1 row left out: the baseline compared with itself" in done.stderr
    assert strange.returncode == 1
