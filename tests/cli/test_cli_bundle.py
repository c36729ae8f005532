"""`judge export bundle` with a server; `judge replay` and `judge verify` in processes without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from judge.api.v1.leaderboard_pb2 import Leaderboard
from judge.rpc import bundle_json as spelling
from support.bundle_files import forge_bundle, in_json, members
from support.demo_data import DEMO

Judge = Callable[..., subprocess.CompletedProcess[str]]
COMMANDS = ("replay", "verify")
KERNELS = ({"OPENBLAS_NUM_THREADS": "1"}, {"OPENBLAS_NUM_THREADS": "2"}, {"OPENBLAS_CORETYPE": "Nehalem"})
NO_NETWORK = """
import contextlib, io, json, socket, sys

def refused(*_, **__):
    raise OSError("there is no network")

socket.socket.connect = socket.socket.bind = refused
from judge.cli.main import main
done = []
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main()
        except SystemExit as left:
            code = left.code
    done.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(done))
"""


class Done(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


def offline(*commands: Sequence[str | Path], **environment: str) -> list[Done]:
    """Run *commands* of `judge` in one process that has no home and in which every socket refuses."""
    argv = [sys.executable, "-c", NO_NETWORK, json.dumps([list(map(str, command)) for command in commands])]
    everything = {**os.environ, "JUDGE_HOME": "/nonexistent", **environment}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=everything)
    assert (done.returncode, done.stderr) == (0, "")
    return [Done(*fields) for fields in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, served: Judge) -> tuple[Path, str, str]:
    """Export a run of two judges. Returns its path, the service's leaderboard of one judge, and the printed digest."""
    assert served("import", DEMO, "--dataset", "bundled").returncode == 0
    run = served("run", "bundled", "--judge", "longest", "--judge", "random").stdout.strip()
    path = tmp_path_factory.mktemp("bundle") / "run.zip"
    options = ("--largest", "--pairs", "--intervals", "bootstrap", "--replicates", "40")
    done = served("export", "bundle", "--run", run, "-o", path, *options)
    assert done.returncode == 0, done.stderr
    ranked = served("rank", f"run:{run}/random", *options, "--json")
    return path, ranked.stdout, done.stdout.strip()


def test_cli_replay_gives_the_same_bytes_offline_under_any_threads_and_kernels(
    exported: tuple[Path, str, str],
) -> None:
    """It prints what the bundle holds and what the service returned."""
    path, ranked, _ = exported
    first, second = (members(path)[f"leaderboards/{name}.json"].decode() for name in ("longest", "random"))

    done = [offline(["replay", path, "--json"], **kernel) for kernel in KERNELS]

    assert [[(0, first + second)]] * len(KERNELS) == [
        [(command.code, command.out) for command in commands] for commands in done
    ]
    assert spelling.leaderboard_json(spelling.message_of(Leaderboard, json.loads(ranked))) == second


def test_cli_replay_and_verify_say_that_everything_matches(exported: tuple[Path, str, str]) -> None:
    """Replay prints what `judge rank` prints. Verify prints the hash that export printed."""
    path, _, digest = exported

    replayed, verified, as_json = offline(["replay", path], ["verify", path], ["verify", path, "--json"])

    assert replayed.code == 0
    assert "95% interval" in replayed.out
    assert replayed.err.count(" in the bundle") == replayed.err.count("identical to") == 2
    assert (0, "", f"Bundle verified: everything matches (manifest {digest}).\n") == verified
    assert {"manifest_sha256": digest, "mismatches": [], "notes": []} == json.loads(as_json.out)


def test_cli_a_changed_or_cut_bundle_fails(exported: tuple[Path, str, str], tmp_path: Path) -> None:
    """Replay and verify exit with 1 and name the member that differs, or in which the file ends."""

    def better(leaderboard: dict[str, object]) -> None:
        leaderboard["battles"] = 1

    other = forge_bundle(tmp_path / "forged.zip", members(exported[0]), random=in_json(better))
    whole = exported[0].read_bytes()
    (cut := tmp_path / "cut.zip").write_bytes(whole[: whole.index(b"answers.jsonl") + 1000])

    replayed, verified, *refused = offline(*((command, path) for path in (other, cut) for command in COMMANDS))

    assert (replayed.code, verified.code) == (1, 1)
    assert "DIFFERENT from leaderboards/random.json in the bundle" in replayed.err
    assert verified.out == "leaderboards/random.json: ranked again, battles is 480, not 1\n"
    assert verified.err.startswith("Bundle NOT verified: 1 mismatch (manifest ")
    assert [(1, "judge: answers.jsonl: the file ends inside of it\n")] * 2 == [
        (done.code, done.err) for done in refused
    ]


def test_cli_a_bundle_that_cannot_be_leaves_no_file(served: Judge, tmp_path: Path) -> None:
    """An unknown run, and style control without texts, are refused."""
    options = ("--run", "none", "-o", tmp_path / "b.zip")
    missing = served("export", "bundle", *options)
    both = served("export", "bundle", *options, "--style", "--without-texts")

    assert (missing.returncode, both.returncode) == (1, 2)
    assert "there is no run 'none'" in missing.stderr
    assert "--style needs the texts" in both.stderr
    assert not list(tmp_path.glob("b.zip*"))
