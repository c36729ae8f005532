"""`judge export bundle`, `judge replay` and `judge verify`, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bundle import DEMO
from bundles import forged, in_json, members
from judge.api.v1.leaderboard_pb2 import Leaderboard
from judge.rpc import spelling

KERNELS = ({"OPENBLAS_NUM_THREADS": "1"}, {"OPENBLAS_NUM_THREADS": "2"}, {"OPENBLAS_CORETYPE": "Nehalem"})
NO_NETWORK = """
import socket, sys

def refused(*_, **__):
    raise OSError("there is no network")

socket.socket.connect = socket.socket.bind = refused
from judge.cli.main import main
main()
"""


def judge(home: Path, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`judge` in a process of its own, on a store of its own."""
    return _run([sys.executable, "-m", "judge.cli", *map(str, arguments)], home, environment)


def offline(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same where every socket refuses, and there is no home."""
    return _run([sys.executable, "-c", NO_NETWORK, *map(str, arguments)], Path("/nonexistent"), environment)


def _run(argv: list[str], home: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    everything = {**os.environ, "JUDGE_HOME": str(home), **environment}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=everything)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A bundle of a run of two judges; what the service ranked by one of them; the digest that export printed."""
    home = tmp_path_factory.mktemp("home")
    assert judge(home, "import", DEMO, "--dataset", "demo").returncode == 0
    run = judge(home, "run", "demo", "--judge", "longest", "--judge", "random").stdout.strip()
    path = home / "run.zip"
    options = ("--largest", "--pairs", "--intervals", "bootstrap", "--replicates", "40")
    done = judge(home, "export", "bundle", "--run", run, "-o", path, *options)
    assert done.returncode == 0, done.stderr
    ranked = judge(home, "rank", f"run:{run}/random", *options, "--json")
    return path, ranked.stdout, done.stdout.strip()


def test_cli_replay_gives_the_same_bytes_offline_under_any_threads_and_kernels(
    exported: tuple[Path, str, str],
) -> None:
    """What it prints is what the bundle holds, and what the service said."""
    path, ranked, _ = exported
    first, second = (members(path)[f"leaderboards/{name}.json"].decode() for name in ("longest", "random"))

    done = [offline("replay", path, "--json", **kernel) for kernel in KERNELS]

    assert [(0, first + second)] * len(KERNELS) == [(one.returncode, one.stdout) for one in done]
    assert spelling.board(spelling.message_of(Leaderboard, json.loads(ranked))) == second


def test_cli_replay_shows_tables(exported: tuple[Path, str, str]) -> None:
    """Without --json it prints what `judge rank` prints."""
    done = offline("replay", exported[0])

    assert done.returncode == 0
    assert "95% interval" in done.stdout
    assert done.stderr.count("the same bytes as in the bundle") == 2


def test_cli_verify_says_that_everything_matches(exported: tuple[Path, str, str]) -> None:
    """And under which hash, which is the one that export printed."""
    path, _, digest = exported

    done = offline("verify", path)
    as_json = offline("verify", path, "--json")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"nothing does not match in {digest}\n"
    assert json.loads(as_json.stdout) == {"manifest_sha256": digest, "mismatches": [], "notes": []}


def test_cli_a_changed_bundle_fails(exported: tuple[Path, str, str], tmp_path: Path) -> None:
    """With other bytes replay and verify exit with 1, and say where."""

    def better(board: dict[str, object]) -> None:
        board["battles"] = 1

    path = forged(tmp_path / "forged.zip", members(exported[0]), random=in_json(better))

    replayed, verified = offline("replay", path), offline("verify", path)

    assert (replayed.returncode, verified.returncode) == (1, 1)
    assert "OTHER bytes than leaderboards/random.json in the bundle" in replayed.stderr
    assert verified.stdout == "leaderboards/random.json: ranked again, battles is 480, not 1\n"


def test_cli_a_cut_bundle_is_told_in_a_sentence(exported: tuple[Path, str, str], tmp_path: Path) -> None:
    whole = exported[0].read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: whole.index(b"answers.jsonl") + 1000])

    for command in ("replay", "verify"):
        done = offline(command, tmp_path / "cut.zip")

        assert (done.returncode, done.stderr) == (1, "judge: answers.jsonl: the file ends inside of it\n")


def test_cli_a_bundle_that_cannot_be_leaves_no_file(tmp_path: Path) -> None:
    """A run that there is not, and texts that are wanted and left out."""
    options = ("--run", "none", "-o", tmp_path / "b.zip")
    missing = judge(tmp_path, "export", "bundle", *options)
    both = judge(tmp_path, "export", "bundle", *options, "--style", "--without-texts")

    assert (missing.returncode, both.returncode) == (1, 2)
    assert "there is no run 'none'" in missing.stderr
    assert "--style looks at the texts" in both.stderr
    assert not list(tmp_path.glob("b.zip*"))
