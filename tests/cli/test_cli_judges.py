"""What a person sees of judges before and after a run: who they are, what they are sent, what it would cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from judge.cli import main
from support.demo_data import DEMO

main._commands()
CONFIG = """
log_level = "error"
[judges.far]
backend = "openai"
model = "gpt-4o-mini"
rubric = "likert-5"
key_env = "NO_SUCH_KEY"
seed = 7
price = { input = 2.0, output = 8.0 }
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home with a judge that has no key, and the bundled answers in its store."""
    (tmp_path / "judge.toml").write_text(CONFIG, "utf-8")
    monkeypatch.setenv("JUDGE_HOME", str(tmp_path))
    monkeypatch.setenv("JUDGE_CONFIG", str(tmp_path / "judge.toml"))
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)


def judge(*arguments: str) -> Result:
    result = CliRunner().invoke(main.cli, list(arguments), standalone_mode=False)
    assert result.exception is None, result.output
    return result


def test_cli_judges_describes_one_within_80_columns() -> None:
    """What it takes, what is sent, what it costs, and why it can't be asked."""
    told = judge("judges", "far").stdout

    assert max(map(len, told.splitlines())) < 80
    for word in (
        "no key in NO_SUCH_KEY",
        "gpt-4o-mini",
        "likert-5/1",
        "seed 7",
        "2.00 in, 2.00 cached, 8.00 out",
        "temperature",
    ):
        assert word in told


def test_cli_rubric_preview_shows_exactly_what_would_be_sent() -> None:
    """The same text as the message inside the reply, and no key is needed for it."""
    told = judge("rubric", "preview", "far").stdout
    whole = json.loads(judge("rubric", "preview", "far", "--json").stdout)

    assert [message["role"] for message in whole["messages"]] == ["ROLE_SYSTEM", "ROLE_USER"]
    assert all(message["content"] in told for message in whole["messages"])
    assert "variant single-turn, answer form likert" in told


def test_cli_estimates_and_reads_again() -> None:
    """An estimate makes no run; a reading by another parser makes no call."""
    judge("import", str(DEMO), "--dataset", "demo")

    told = judge("run", "demo", "--judge", "far", "--judge", "longest", "--estimate").stdout
    chosen = judge("rubric", "preview", "longest", "--dataset", "demo", "--left", "padded", "--swap").stdout
    name = judge("run", "demo", "--judge", "longest").stdout.split()[0]
    again = judge("reparse", name, "--parser", "reasoned").stdout

    assert max(map(len, told.splitlines())) <= 80
    assert told.splitlines()[2].split()[:3] == ["far", "960", "0"]
    assert "<<<answer_a " in chosen
    assert again == "960 replies read, 960 otherwise, 960 unreadable\n"
