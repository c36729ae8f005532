"""What `judge` prints and writes: control characters are escaped, and files are for their user alone."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest

HOSTILE = "a\x1b[2J\x9b31m\x07\r\u202eb"
SHOWN = "a\\u001b[2J\\u009b31m\\u0007\\u000d\\u202eb"
SHOWN_IN_TABLES = "a\\u001b[2J\\u009b31m"
PROMPT = {"prompt_id": "p", "turns": ["?"]}
OUTPUTS = [{"prompt_id": "p", "contestant": who, "turns": ["!" * n]} for n, who in enumerate((HOSTILE, "b", "=c"), 1)]


def judge(home: Path, *arguments: str | Path, umask: int = 0o022) -> subprocess.CompletedProcess[bytes]:
    """Run `judge` in a child process with this *umask*."""
    argv = [sys.executable, "-m", "judge.cli", *map(str, arguments)]
    environment = {**os.environ, "JUDGE_HOME": str(home / "home"), "COLUMNS": "200"}
    return subprocess.run(argv, capture_output=True, check=False, env=environment, cwd=home, umask=umask)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a dataset with a hostile name was imported and judged, under a umask that hides nothing."""
    folder = tmp_path_factory.mktemp("hostile")
    lines = [json.dumps(row) for row in (PROMPT, *OUTPUTS)]
    (folder / "prompts.jsonl").write_text(lines[0] + "\n", "utf-8")
    (folder / "outputs.jsonl").write_text("\n".join(lines[1:]) + "\n", "utf-8")
    for name in ("prompts.jsonl", "outputs.jsonl"):
        done = judge(folder, "import", name, "--dataset", "d", umask=0)
        assert done.returncode == 0, done
    done = judge(folder, "run", "d", "--judge", "longest", umask=0)
    assert done.returncode == 0, done
    return folder


def harmful(text: bytes) -> bool:
    """Whether *text* has a control character but tabs and line ends."""
    return any(not character.isprintable() and character not in "\n\t" for character in text.decode())


@pytest.mark.parametrize(
    "arguments",
    [
        ("rank", "judge:longest", "--dataset", "d", "--ridge", "0.1"),
        ("datasets",),
        ("rank", f"judge:{HOSTILE}", "--dataset", "d"),
        ("rank", HOSTILE + ".csv"),
        ("--no-such-" + HOSTILE,),
    ],
)
def test_cli_control_characters_are_escaped(home: Path, arguments: tuple[str, ...]) -> None:
    """Tables, errors, and usage errors show the escaped name, and no byte that moves the cursor."""
    done = judge(home, *arguments)

    assert not harmful(done.stdout + done.stderr), done


def test_cli_json_keeps_its_values(home: Path) -> None:
    """`--json` is JSON with the names as they are, although it has no control character."""
    done = judge(home, "rank", "judge:longest", "--dataset", "d", "--ridge", "0.1", "--json")

    assert not harmful(done.stdout), done
    assert HOSTILE in {row["contestant"] for row in json.loads(done.stdout)["ratings"]}


def test_cli_an_export_keeps_its_bytes_unless_it_goes_to_a_terminal(home: Path) -> None:
    """Rows that are piped hold the names as they are. On a terminal, they are escaped."""
    arguments = ("export", "outputs", "--dataset", "d", "--form", "csv")
    leader, follower = pty.openpty()
    argv = [sys.executable, "-m", "judge.cli", *arguments]
    environment = {**os.environ, "JUDGE_HOME": str(home / "home")}

    piped = judge(home, *arguments)
    subprocess.run(argv, stdout=follower, stderr=subprocess.DEVNULL, check=True, env=environment, cwd=home)
    os.close(follower)
    shown = os.read(leader, 100_000)
    os.close(leader)

    assert HOSTILE in piped.stdout.decode()
    assert SHOWN in shown.decode()
    assert b"\x1b" not in shown


def test_cli_files_are_for_their_user_alone(home: Path) -> None:
    """The store, its lock, exports, and a bundle have the mode 0600, and folders 0700, whatever the umask."""
    run = json.loads(judge(home, "runs", "--json").stdout.splitlines()[0])
    name = run["runs"][0]["name"] if "runs" in run else run["name"]
    for arguments in (
        ("export", "outputs", "--dataset", "d", "-o", "out.csv"),
        ("export", "bundle", "--run", name, "-o", "out.zip"),
        ("rank", "judge:longest", "--dataset", "d", "--ridge", "0.1", "-o", "ratings.csv"),
    ):
        done = judge(home, *arguments, umask=0)
        assert done.returncode == 0, done

    written = [home / "home", *(home / "home").iterdir(), *home.glob("*.zip"), *home.glob("*.csv")]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in written}

    assert {"home", "judge.db", "judge.db.lock", "out.csv", "out.zip", "ratings.csv"} <= modes.keys()
    assert {name: 0o700 if name == "home" else 0o600 for name in modes} == modes
    assert "\n'=c" in (home / "ratings.csv").read_text("utf-8") or ",'=c" in (home / "ratings.csv").read_text("utf-8")
