"""The commands that list, show, cancel and delete runs and datasets."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from judge.app.lock import held
from judge.cli import main
from judge.cli.group import cli, version
from judge.domain.run import RunState
from support.demo_data import DEMO

main._commands()


class Commands:
    """Runs commands in this process on a store of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, arguments, standalone_mode=False, env={"JUDGE_HOME": str(self.home)})

    def rows(self, *arguments: str) -> list[dict[str, object]]:
        """Return the lines of JSON that a command prints."""
        result = self(*arguments, "--json")
        assert result.exception is None
        return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JUDGE_CONFIG", raising=False)
    return Commands(tmp_path)


def begin_run(judge: Commands, *options: str) -> str:
    """Import the demo, run a judge over a part of it, and return the run's name."""
    judge("import", str(DEMO), "--dataset", "d")
    result = judge("run", "d", "--judge", "longest", "--category", "arithmetic", *options)
    return str(re.findall(r"^runs/\w+$", result.stdout, re.MULTILINE)[0])


def sentence_of(result: Result) -> str:
    """Return the sentence that a command failed with."""
    assert isinstance(result.exception, Exception), result.output
    return main._sentence(result.exception)


def test_a_run_is_listed_shown_and_deleted(judge: Commands) -> None:
    """With its metadata, progress and cost, and each of its verdicts by position."""
    name = begin_run(judge, "--meta", "commit=abc")
    run_id = name.removeprefix("runs/")

    listed = judge("runs")
    assert run_id in listed.stdout
    assert max(map(len, listed.stdout.splitlines())) <= 80
    assert [row["name"] for row in judge.rows("runs", "--meta", "commit=abc", "--state", "done")] == [name]
    assert judge.rows("runs", "--meta", "commit=other") == judge.rows("runs", "--state", "running") == []
    shown = judge("show", run_id)
    assert "commit = abc" in shown.stdout
    assert "longest" in shown.stdout
    verdict = judge("show", run_id, "0")
    assert f"{name}/verdicts/0" in verdict.stdout
    assert "reply: " in verdict.stdout
    beyond = judge("show", run_id, "99999")
    assert (beyond.return_value, "not 99,999" in beyond.stderr) == (1, True)
    cancelled = judge("cancel", run_id)
    assert (cancelled.return_value, cancelled.stderr) == (0, f"{name} has already ended; nothing was cancelled.\n")

    assert "replies stay stored" in judge("delete", run_id, "--yes").stderr

    assert judge.rows("runs") == []
    assert run_id in sentence_of(judge("show", run_id))
    assert run_id in sentence_of(judge("delete", run_id, "--yes"))
    again = judge("run", "d", "--judge", "longest", "--category", "arithmetic", "--json")
    assert json.loads(again.stdout)["counts"]["calls"] == 0


def test_status_says_which_process_executes_runs(judge: Commands, tmp_path: Path) -> None:
    """And commands that read work next to it, while a second one that executes is refused by name."""
    begin_run(judge)
    before = judge("status").stdout
    with held(tmp_path / "judge.db"):
        meanwhile = judge("status").stdout
        listed = judge.rows("runs")
        exported = judge("export", "prompts", "--dataset", "d")
        refused = judge("run", "d", "--judge", "longest")

    assert "no process executes runs" in before
    assert re.search(r"process \d+ executes runs of .*judge\.db", meanwhile.replace("\n", ""))
    assert len(listed) == 1
    assert exported.stdout.count("\n") == 48
    assert "is held by process" in sentence_of(refused)


def set_run(home: Path, **columns: object) -> None:
    """Set columns of the only run of a store."""
    with contextlib.closing(sqlite3.connect(home / "judge.db")) as store, store:
        for column, value in columns.items():
            store.execute(f"UPDATE run SET {column} = ?", (value,))  # noqa: S608  # names of columns


@pytest.mark.parametrize(("state", "command"), [(RunState.WAITING, "resume"), (RunState.CANCELLING, "cancel")])
def test_a_run_whose_process_was_killed_is_interrupted(
    judge: Commands, tmp_path: Path, state: RunState, command: str
) -> None:
    """Every view says so and names the command that goes on, but not what the run waited for."""
    run_id = begin_run(judge).removeprefix("runs/")
    set_run(tmp_path, state=state.value, message="the provider is down", end_time=None)

    views = [judge("runs"), judge("status"), judge("show", run_id)]
    watched = judge("watch", run_id)
    with held(tmp_path / "judge.db"):
        executed = judge("runs")

    for view in views:
        assert "interrupted" in view.stdout
        assert f"judge {command} {run_id}" in " ".join(view.stdout.split())
        assert "provider is down" not in view.stdout
    assert f"No process executes this run. {'Continue' if command == 'resume' else 'End it'} with" in watched.stderr
    assert state.name.lower() in executed.stdout
    assert judge(command, run_id).return_value == 0
    assert "interrupted" not in judge("runs").stdout


def test_a_list_of_runs_tells_verdicts_from_replies_without_one(judge: Commands, tmp_path: Path) -> None:
    """And a cost that is not exact is the most that it can be."""
    begin_run(judge)
    counts, spent = {"ok": 12_345, "unreadable": 40}, {"0": [40, 1_000_000, 1, 0, 1, 0, 3]}
    set_run(tmp_path, by_status=json.dumps(counts), planned=20_000, spent=json.dumps(spent), cost_micros=1_000_000)

    table = judge("runs").stdout

    [row] = [line.split() for line in table.splitlines() if "12,345/20,000" in line]
    assert "40" in row
    assert " ".join(row).count("at most") == 1
    assert max(map(len, table.splitlines())) <= 80


def test_the_time_of_a_run_is_on_one_line_however_wide_the_rest_is(judge: Commands, tmp_path: Path) -> None:
    """With a long state, large counts and an inexact cost, 80 columns still hold all of it."""
    run_id = begin_run(judge).removeprefix("runs/")
    counts, spent = {"ok": 100_000, "unreadable": 1_234}, {"0": [40, 1_000_000, 1, 0, 1, 0, 3]}
    columns = {"planned": 200_000, "spent": json.dumps(spent), "cost_micros": 12_345_481_200}
    set_run(tmp_path, state=RunState.CANCELLED.value, by_status=json.dumps(counts), **columns)

    table = judge("runs").stdout

    [row] = [line for line in table.splitlines() if run_id in line and "cancelled" in line]
    assert "100,000/200,000" in row
    assert re.search(r" \d\d-\d\d \d\d:\d\d$", row)
    assert max(map(len, table.splitlines())) <= 80


def test_datasets_are_listed_and_deleted(judge: Commands) -> None:
    """An unknown one is named."""
    begin_run(judge)

    assert [(row["name"], row["prompts"]) for row in judge.rows("datasets")] == [("datasets/d", 48)]
    unconfirmed = judge("datasets", "delete", "d")
    cost = "$0.00 (without runs that were deleted before)"
    lost = f"its 1 run, which cost {cost}, and 120 replies that no other dataset uses"
    assert f"Delete dataset d with {lost}? Add --yes" in str(unconfirmed.exception)
    assert judge("datasets", "delete", "d", "--yes").stderr == f"Deleted dataset d with {lost}.\n"
    assert judge("datasets").stderr == "There are no datasets.\n"
    assert "'d'" in sentence_of(judge("datasets", "delete", "d", "--yes"))


def test_a_dataset_whose_run_is_executed_is_not_deleted(judge: Commands, tmp_path: Path) -> None:
    """Calls that are in flight would be paid for, and nobody would see them."""
    name = begin_run(judge).removeprefix("runs/")
    set_run(tmp_path, state=RunState.RUNNING.value)

    refused = judge("datasets", "delete", "d")

    assert str(refused.exception) == f"run {name} of d is running. Cancel it before you delete: judge cancel {name}"
    assert len(judge.rows("datasets")) == 1


def test_the_version_is_printed() -> None:
    assert CliRunner().invoke(cli, ["--version"]).output == f"judge {version()}\n"


@pytest.mark.parametrize(
    "wrong",
    [
        ("run", "d", "--judge", "longest", "--meta", "commit"),
        ("runs", "--state", "lost"),
        ("show", "r", "-1"),
        *(
            ("run", "d", "--judge", "longest", "--budget-usd", amount)
            for amount in ("nan", "inf", "-1", "4e-7", "1e15")
        ),
        *(("run", "d", "--judge", "longest", "--repeats", number) for number in ("0", "-1", "2147483648")),
        ("run", "d", "--judge", "longest", "--budget-hard"),
        ("resume", "r", "--budget-hard"),
        ("settle", "r", "--cost-usd", "nan"),
    ],
)
def test_wrong_use_is_2(wrong: tuple[str, ...]) -> None:
    assert CliRunner().invoke(cli, wrong).exit_code == 2


def test_metadata_that_cannot_be_stored_are_refused(judge: Commands) -> None:
    """The name is in the message, and no run is created."""
    judge("import", str(DEMO), "--dataset", "d")
    refused = judge("run", "d", "--judge", "longest", "--meta", "a b=1")

    assert "'a b'" in sentence_of(refused)
    assert judge.rows("runs") == []


def test_a_position_without_a_verdict_says_how_far_the_run_is(judge: Commands) -> None:
    """It names the state of the run, the calls that it made, and what it says about itself."""
    name = begin_run(judge, "--budget-calls", "1")

    shown = judge("show", name.removeprefix("runs/"), "20")

    assert shown.return_value == 1
    assert f"position 20 of {name} (done) has no verdict yet; the run has made 1 call. Stopped at 1 of 1 calls" in (
        " ".join(shown.stderr.split())
    )
