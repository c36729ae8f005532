"""The verdicts of a run, exported at once or in parts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from judge.cli import main
from judge.cli.export import Export, offer_resumption
from judge.cli.export_forms import Form
from judge.cli.group import cli
from support.demo_data import DEMO

main._commands()


def judge(home: Path, *arguments: str | Path) -> Result:
    """Run a command in this process on the store in *home*."""
    argv = [str(argument) for argument in arguments]
    return CliRunner().invoke(cli, argv, standalone_mode=False, env={"JUDGE_HOME": str(home)})


def begin_run(home: Path) -> str:
    """Import the demo, run a judge over a part of it, and return the run's name."""
    judge(home, "import", DEMO, "--dataset", "d")
    result = judge(home, "run", "d", "--judge", "longest", "--category", "arithmetic")
    return str(re.findall(r"^runs/\w+$", result.stdout, re.MULTILINE)[0])


def test_a_run_is_exported_in_parts(tmp_path: Path) -> None:
    """After a token come the rows that are missing, and a file is continued where its part ends."""
    run, path = begin_run(tmp_path), tmp_path / "out.csv"
    whole = judge(tmp_path, "export", "verdicts", "--run", run, "--form", "csv").stdout
    lines = whole.splitlines(keepends=True)
    rest = judge(tmp_path, "export", "verdicts", "--run", run, "--form", "csv", "--from", "2")
    refused = judge(tmp_path, "export", "verdicts", "--run", run, "-o", path, "--from", "2")
    path.with_name("out.csv.part").write_text("".join(lines[:4]), "utf-8")
    continued = judge(tmp_path, "export", "verdicts", "--run", run, "-o", path, "--from", "2")

    assert rest.stdout == "".join(lines[4:])
    assert f"there is no {path}.part to continue" in str(refused.exception)
    assert continued.exception is None
    assert path.read_text("utf-8") == whole
    assert not path.with_name("out.csv.part").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--dataset", "d"), "--from is for the verdicts of a --run"),
        (("--run", "r", "-o", "x.parquet"), "a Parquet file cannot be continued"),
    ],
)
def test_what_cannot_be_continued_is_refused(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    done = judge(tmp_path, "export", "verdicts", *options, "--from", "2")

    assert message in str(done.exception)


def test_an_interrupted_export_says_how_to_continue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the number of rows that are kept, and the token of the last page."""
    what = Export(kind="verdicts", columns={}, form=Form.JSONL, output=tmp_path / "x.jsonl", n_rows=3000, token="2999")

    offer_resumption(what)

    part = tmp_path / "x.jsonl.part"
    assert capsys.readouterr().err == (
        f"Interrupted after 3,000 verdicts, kept in {part}. To continue, add: --from 2999\n"
    )


def test_ctrl_c_prints_the_token_that_the_rest_begins_with(tmp_path: Path) -> None:
    """The first page is longer than a pipe, so the export is in the middle of it when it is interrupted."""
    judge(tmp_path, "import", DEMO, "--dataset", "d")
    result = judge(tmp_path, "run", "d", "--judge", "longest", "--judge", "first")
    run = str(re.findall(r"^runs/\w+$", result.stdout, re.MULTILINE)[0])
    argv = [sys.executable, "-m", "judge.cli", "export", "verdicts", "--run", run]
    environment = {**os.environ, "JUDGE_HOME": str(tmp_path)}

    # Without a buffer, so that nothing is read ahead of the first line.
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        child.send_signal(signal.SIGINT)
        rest, errors = child.communicate()
    token = re.findall(
        r"Interrupted after 1,000 verdicts. To continue, add: --from (\d+)$", errors.decode(), re.MULTILINE
    )
    following = judge(tmp_path, "export", "verdicts", "--run", run, "--from", *token)
    whole = judge(tmp_path, "export", "verdicts", "--run", run)

    assert child.returncode == 1
    assert (first + rest).decode() + following.stdout == whole.stdout
    assert whole.stdout.count("\n") == 1920
