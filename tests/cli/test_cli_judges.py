"""What the commands print about judges: their settings, what they are sent, and what a run would cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from judge.cli import main
from judge.cli.group import cli
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
    """Make a home with a judge that has no key."""
    (tmp_path / "judge.toml").write_text(CONFIG, "utf-8")
    monkeypatch.setenv("JUDGE_HOME", str(tmp_path))
    monkeypatch.setenv("JUDGE_CONFIG", str(tmp_path / "judge.toml"))
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)


def judge(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, list(arguments), standalone_mode=False)
    assert result.exception is None, result.output
    return result


def test_cli_judges_describes_one_within_80_columns() -> None:
    """The description has its settings, its price, and why it is not available."""
    description = judge("judges", "far").stdout

    assert max(map(len, description.splitlines())) < 80
    for word in (
        "no key in NO_SUCH_KEY",
        "gpt-4o-mini",
        "likert-5/4",
        "seed 7",
        "2.00 in, 2.00 cached, 8.00 out",
        "temperature",
    ):
        assert word in description


def test_cli_rubric_preview_shows_exactly_what_would_be_sent() -> None:
    """The preview prints the messages of the reply unchanged, and needs no key."""
    preview = judge("rubric", "preview", "far").stdout
    whole = json.loads(judge("rubric", "preview", "far", "--json").stdout)

    assert [message["role"] for message in whole["messages"]] == ["ROLE_SYSTEM", "ROLE_USER"]
    assert all(message["content"] in preview for message in whole["messages"])
    assert "Rubric variant single-turn; answer form likert" in preview


def test_cli_estimates_and_reads_again() -> None:
    """An estimate creates no run, and parsing replies again makes no call."""
    judge("import", str(DEMO), "--dataset", "demo")

    estimate = judge("run", "demo", "--judge", "far", "--judge", "longest", "--estimate").stdout
    limited = judge("run", "demo", "--judge", "far", "--estimate", "--budget-calls", "96").stdout
    chosen = judge("rubric", "preview", "longest", "--dataset", "demo", "--left", "padded", "--swap").stdout
    name = judge("run", "demo", "--judge", "longest").stdout.split()[0]
    again = judge("reparse", name, "--parser", "reasoned").stdout

    assert max(map(len, estimate.splitlines())) <= 80
    assert estimate.splitlines()[2].split()[:3] == ["far", "960", "0"]
    assert "The budget is expected to be enough for 96 of 960 presentations (10%)" in " ".join(limited.split())
    assert "The budget" not in estimate
    assert "<<<answer_a " in chosen
    assert again == "960 replies parsed: 960 with another result, 960 unreadable.\n"


def test_an_estimate_says_that_a_run_without_a_price_would_be_refused(tmp_path: Path) -> None:
    """A budget in USD needs the price of every judge; one in calls does not, and neither does a baseline judge."""
    (tmp_path / "judge.toml").write_text(CONFIG.replace("price =", "# price ="), "utf-8")
    judge("import", str(DEMO), "--dataset", "demo")
    run = ("run", "demo", "--judge", "far", "--judge", "longest", "--estimate")

    refused = judge(*run, "--budget-usd", "5")
    in_calls, unlimited = judge(*run, "--budget-calls", "5"), judge(*run)
    free = judge("run", "demo", "--judge", "longest", "--estimate", "--budget-usd", "5")

    assert refused.return_value == 1
    assert "960" in refused.stdout
    assert "the run would be refused: a budget in USD needs the price of judge 'far'. Set price = {" in refused.stderr
    assert "in [judges.far]" in refused.stderr
    for result in (in_calls, unlimited, free):
        assert (result.return_value, result.stderr) == (0, "")


def test_cli_settles_what_a_run_cost_by_the_providers_own_total() -> None:
    """The total is entered for one judge; a judge must be named if there are several, and be one of the run's."""
    judge("import", str(DEMO), "--dataset", "demo")
    name = judge("run", "demo", "--judge", "longest", "--judge", "first").stdout.split()[0]

    settled = judge("settle", name, "--judge", "first", "--cost-usd", "1.5").stdout
    unnamed, unknown = (
        CliRunner().invoke(cli, ["settle", name, "--cost-usd", "1", *judge_option])
        for judge_option in ([], ["--judge", "random"])
    )

    assert "calls, $1.50 ($1.50 entered for first at 20" in settled
    assert "name one of longest, first" in str(unnamed.exception)
    assert "has no judge 'random'" in str(unknown.exception)
