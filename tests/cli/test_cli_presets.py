"""Presets: what they set, what an option beside them changes, and the tables of the projects."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from click.testing import CliRunner, Result

from judge.api.v1.leaderboard_pb2 import RATING_SCALE_SHARE, Leaderboard, Rating
from judge.api.v1.outcome_pb2 import Interval
from judge.cli import main
from judge.cli.group import cli
from judge.cli.published_tables import print_published

main._commands()

PREFERENCES = (1, 2, 1.5, 1.9, 1.2, 1.25)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with six annotations of AlpacaEval, imported as the dataset `d`."""
    rows = [
        {
            "instruction": f"Say {number}.",
            "output_1": "a",
            "generator_1": "base",
            "output_2": "b",
            "generator_2": "new",
            "annotator": "weighted",
            "preference": preference,
        }
        for number, preference in enumerate(PREFERENCES)
    ]
    (tmp_path / "annotations.json").write_text(json.dumps(rows), "utf-8")
    (tmp_path / "judge.toml").write_text("", "utf-8")
    judge(tmp_path, "import", tmp_path / "annotations.json", "--dataset", "d")
    return tmp_path


def judge(home: Path, *arguments: str | Path) -> Result:
    argv = ["--config", str(home / "judge.toml"), *map(str, arguments)]
    return CliRunner().invoke(cli, argv, standalone_mode=False, env={"JUDGE_HOME": str(home)})


def rating(home: Path, *options: str) -> dict[str, Any]:
    report = json.loads(judge(home, "rank", "labels:weighted", "--dataset", "d", *options, "--json").stdout)
    (row,) = report["ratings"]
    return {str(name): value for name, value in row.items()}


def test_a_preset_is_its_options(folder: Path) -> None:
    """The leaderboard is that of the options that stderr names."""
    preset = judge(folder, "rank", "labels:weighted", "--dataset", "d", "--as", "alpaca-eval", "--reference", "base")
    options = ["--method", "win-rate", "--reference", "base", "--reconcile", "soft", "--inference", "unclustered"]
    options += ["--length-controlled"]

    named = "It sets --method win-rate, --reconcile soft, --inference unclustered, --length-controlled.\n"
    assert named in preset.stderr
    assert "Given instead of --reference gpt4_1106_preview: --reference base.\n" in preset.stderr
    assert rating(folder, "--as", "alpaca-eval", "--reference", "base") == rating(folder, *options)


def test_an_option_beside_a_preset_wins_and_is_named(folder: Path) -> None:
    """Enums are named by their words, and flags by themselves."""
    given = ("--as", "alpaca-eval", "--reference", "base", "--reconcile", "tie", "--no-length-controlled")

    result = judge(folder, "rank", "labels:weighted", "--dataset", "d", *given)

    named = (
        "Given instead of --reference gpt4_1106_preview, --reconcile soft, --length-controlled: --reference base, "
        "--reconcile tie, --no-length-controlled.\n"
    )
    assert named in result.stderr
    row = rating(folder, *given)
    assert row["rating"] == pytest.approx(2.5 / 6, abs=1e-6)
    assert "length_controlled_win_rate" not in row


def test_the_published_baseline_without_a_battle_asks_for_another(folder: Path) -> None:
    result = judge(folder, "rank", "labels:weighted", "--dataset", "d", "--as", "alpaca-eval")

    assert "gpt4_1106_preview is the baseline of the published figures: name yours with --reference NAME" in str(
        result.exception
    )


def test_alpaca_evals_figures_are_those_of_its_formulas(folder: Path) -> None:
    """The mean of preference - 1, its standard error, and the discrete win rate with ties as half."""
    result = judge(folder, "rank", "labels:weighted", "--dataset", "d", "--as", "alpaca-eval", "--reference", "base")

    shares = [preference - 1 for preference in PREFERENCES]
    error = 100 * stdev(shares) / len(shares) ** 0.5
    name, controlled, *cells = result.stdout.splitlines()[3].split()
    assert (name, cells) == ("new", [f"{100 * mean(shares):.2f}", f"{error:.2f}", "41.67", "6"])
    # All outputs are equally long, so there is nothing to control for.
    assert float(controlled) == pytest.approx(100 * mean(shares), abs=0.05)
    words = " ".join(result.stdout.split())
    assert "a single contestant does not tell them" in words
    assert "new: length-controlled, the win rate is 0.475 (standard error 0.1" in words


def test_difficulties_of_a_file_are_used_and_said_to_be(folder: Path) -> None:
    """Prompts are named by their instruction. A prompt without a difficulty is named."""
    arguments = ("rank", "labels:weighted", "--dataset", "d", "--as", "alpaca-eval", "--reference", "base")
    lines = [f"Say {number}.,{number / 2}\n" for number in range(6)]
    (folder / "whole.csv").write_text("instruction,instruction_difficulty\n" + "".join(lines), "utf-8")
    (folder / "part.csv").write_text("instruction,instruction_difficulty\n" + lines[0], "utf-8")

    whole = judge(folder, *arguments, "--difficulties", folder / "whole.csv")
    part = judge(folder, *arguments, "--difficulties", folder / "part.csv")

    assert "the difficulties of prompts were given." in " ".join(whole.stdout.split())
    assert "no difficulty is given for the prompt" in str(part.exception)


def test_difficulties_without_prompts_are_in_the_order_of_the_dataset(folder: Path) -> None:
    """AlpacaEval's own file has an index without a name. Another number of rows is refused."""
    arguments = ("rank", "labels:weighted", "--dataset", "d", "--as", "alpaca-eval", "--reference", "base")
    values = [number**2 / 9 for number in range(6)]
    named = "".join(f"Say {number}.,{value}\n" for number, value in reversed(list(enumerate(values))))
    (folder / "named.csv").write_text("instruction,instruction_difficulty\n" + named, "utf-8")
    rows = [f"{number},{value}\n" for number, value in enumerate(values)]
    (folder / "own.csv").write_text(",instruction_difficulty\n" + "".join(rows), "utf-8")
    (folder / "short.csv").write_text(",instruction_difficulty\n" + "".join(rows[:5]), "utf-8")

    by_name, by_place, short = (
        judge(folder, *arguments, "--difficulties", folder / name) for name in ("named.csv", "own.csv", "short.csv")
    )

    assert by_name.stdout == by_place.stdout
    assert "its rows are taken for those of d, in their order" in by_place.stderr
    assert "has 5 rows, not all of which name a prompt, and d has 6 prompts" in str(short.exception)


def test_length_control_needs_win_rates(folder: Path) -> None:
    result = judge(folder, "rank", "labels:weighted", "--dataset", "d", "--length-controlled")

    assert "length-controlled win rates need method win-rate, not bradley-terry" in str(result.exception)


def test_a_file_of_battles_takes_no_rule_for_orders(tmp_path: Path) -> None:
    """Its rows are votes already, so those options are not set, and said not to be."""
    (tmp_path / "battles.csv").write_text("left,right,outcome\n" + "m,base,left\nm,base,right\nm,base,left\n" * 4)
    (tmp_path / "judge.toml").write_text("", "utf-8")

    result = judge(tmp_path, "rank", tmp_path / "battles.csv", "--as", "arena-hard", "--reference", "base")

    assert "Not used for a file of battles, whose rows are votes already: --reconcile each, --decisive-weight 3.\n" in (
        result.stderr
    )
    assert "66.67" in result.stdout


def test_an_option_that_a_preset_cannot_have_is_refused(folder: Path) -> None:
    result = judge(
        folder,
        "rank",
        "labels:weighted",
        "--dataset",
        "d",
        "--as",
        "alpaca-eval",
        "--reference",
        "base",
        "--style",
    )

    assert "method win-rate has no style" in str(result.exception)


def test_a_score_of_zero_has_no_elo(capsys: pytest.CaptureFixture[str]) -> None:
    """Arena-Hard's interval is printed as the distances to the score."""
    ratings = [
        Rating(contestant="weak", rating=0.0, n=10),
        Rating(contestant="able", rating=0.75, n=10, interval=Interval(low=0.5, high=0.875)),
    ]

    print_published(Leaderboard(ratings=ratings, scale=RATING_SCALE_SHARE, level=0.95), "arena-hard")

    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["weak", "0.00", "-", "-", "10"]
    assert lines[3].split() == ["able", "75.00", "(-25.00,", "+12.50)", "1190.8", "10"]
