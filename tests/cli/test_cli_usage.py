"""Help texts, wrong use, and failures of the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from judge.cli import main
from judge.cli.group import cli

main._commands()
COMMANDS = (
    "serve",
    "worker",
    "migrate",
    "demo",
    "judges",
    "import",
    "export",
    "run",
    "watch",
    "cancel",
    "resume",
    "delete",
    "runs",
    "show",
    "datasets",
    "status",
    "reparse",
    "rubric",
    "rank",
    "agree",
    "disagreements",
    "store",
)


def test_cli_help_lists_every_command() -> None:
    result = CliRunner().invoke(cli, ["--help"])

    assert result.exit_code == 0
    assert set(COMMANDS) <= set(result.output.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_cli_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(cli, [command, "--help"])

    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize(
    "argv",
    [
        ["nothing"],
        ["run", "demo"],
        ["run", "demo", "--judge", "longest", "--pairs", "foo"],
        ["run", "demo", "--judge", "longest", "--pairs", "random:many"],
        ["run", "demo", "--judge", "longest", "--turns", "first"],
        ["run", "demo", "--judge", "longest", "--pairs", "adaptive"],
        ["run", "demo", "--judge", "longest", "--pairs", "adaptive:9"],
        ["run", "demo", "--judge", "longest", "--precision", "30"],
        ["run", "demo", "--judge", "longest", "--detach"],
        ["agree", "people"],
        ["import", "somewhere"],
        ["export", "labels"],
        ["export", "labels", "--run", "r"],
        ["rank", "people", "--reconcile", "guess"],
        ["rank", "batles.csv"],
        ["rank", "people", "--difference-to-detect", "20"],
        ["agree", "judge:a", "people", "--dataset", "d", "--drift-margin", "0.1"],
        ["agree", "judge:a", "--dataset", "d", "--drift-margin", "0.1"],
        ["serve", "--server", "127.0.0.1:1"],
        ["worker", "--server", "127.0.0.1:1"],
        ["migrate", "--server", "127.0.0.1:1"],
    ],
)
def test_cli_wrong_use_is_2(argv: list[str]) -> None:
    """Wrong use is reported before a service is started or a file is read."""
    result = CliRunner().invoke(cli, argv)

    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("method elo has no goodness_of_fit, position_effect", "method elo has no --fit, --position"),
        ("within_win_rate needs a reference contestant", "--within-win-rate needs a reference contestant"),
        ("reference contestant 'least_items' has no battle", "reference contestant 'least_items' has no battle"),
        ("extra_body must be a table", "extra_body must be a table"),
    ],
)
def test_cli_errors_have_the_names_of_options(message: str, shown: str) -> None:
    """A field of a request is called as the command line calls it; other names stay."""
    assert main._sentence(ValueError(message)) == shown


@pytest.mark.parametrize("after", [False, True])
def test_cli_failure_is_one_sentence(tmp_path: Path, *, after: bool) -> None:
    """A server that does not answer gives one sentence on stderr and exit code 1. It may be named after the command."""
    server = ["--server", f"unix:{tmp_path}/nobody"]
    command = ["judges", "--json"]
    argv = [sys.executable, "-m", "judge.cli", *(command + server if after else server + command)]

    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("judge: ")
    assert "Traceback" not in done.stderr


def test_cli_help_imports_nothing_heavy() -> None:
    """Building the command line imports no grpc, numpy, rich, or sqlalchemy."""
    heavy = "{'grpc', 'numpy', 'rich', 'sqlalchemy', 'google.protobuf', 'pydantic'}"
    code = f"import sys; from judge.cli import main; main._commands(); print(sorted({heavy} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
