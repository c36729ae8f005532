"""Published figures, from the original files through `judge import` and `judge rank` or `judge agree` alone."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from judge.cli import main
from judge.cli.group import cli

DATA = Path(os.environ.get("JUDGE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
FORMATS = DATA / "formats"
pytestmark = pytest.mark.skipif(not FORMATS.is_dir(), reason=f"the data sets are not in {DATA}")
main._commands()
Command = Callable[..., Result]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Run `judge` with these arguments on a store that all tests here share. It must succeed."""
    home = tmp_path_factory.mktemp("home")
    (home / "judge.toml").write_text("", "utf-8")

    def run(*arguments: str | Path, code: int = 0) -> Result:
        argv = ["--config", str(home / "judge.toml"), *map(str, arguments)]
        result = CliRunner().invoke(cli, argv, standalone_mode=False, env={"JUDGE_HOME": str(home)})
        assert result.exception is None, result.output
        assert (result.return_value or 0) == code, result.output
        return result

    return run


def expected(name: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((FORMATS / name / "expected.json").read_text("utf-8"))
    return facts


def leaderboard(judge: Command, *arguments: str | Path) -> dict[str, dict[str, Any]]:
    """The ratings that `judge rank` prints as JSON, by contestant."""
    report = json.loads(judge("rank", *arguments, "--json").stdout)
    return {rating["contestant"]: rating for rating in report["ratings"]}


def published(judge: Command, *arguments: str | Path) -> dict[str, list[str]]:
    """The cells of the first table that `judge rank` prints, by contestant: lines up to an empty one."""
    lines = judge("rank", *arguments).stdout.splitlines()
    body = lines[1 : lines.index("")]
    return {cells[0]: cells[1:] for line in body if "contestant" not in (cells := line.split())}


def figures(judge: Command, *arguments: str | Path) -> dict[tuple[int, str], tuple[int, int]]:
    """How many votes agree, and of how many, by turn (0 for both) and setup."""
    report = json.loads(judge("agree", *arguments, "--json").stdout)
    return {
        (figure["slice"]["turn"], {"TIES_WITH": "S1", "TIES_WITHOUT": "S2"}[figure["ties"]]): (
            round(figure["agree"]),
            figure["n"],
        )
        for figure in report["figures"]
    }


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """The data sets that a test has imported."""
    return set()


@pytest.fixture
def mt_bench(judge: Command, imported: set[str]) -> str:
    # Not in a fixture of the module, since a command configures the log, which is undone after each test.
    if "mt-bench" not in imported:
        judge("import", DATA / "mt-bench/fastchat", "--dataset", "mt-bench")
        imported.add("mt-bench")
    return "mt-bench"


def test_published_table_5_of_mt_bench(judge: Command, mt_bench: str) -> None:
    """All eight agreements, with their numbers of votes: 66% of 1343, 85% of 859, 66% of 1325, 85% of 864, ..."""
    experts = "labels:expert_*"

    gpt4 = figures(judge, "labels:gpt4_pair", experts, "--dataset", mt_bench, "--as", "mt-bench")
    people = figures(judge, experts, "--dataset", mt_bench, "--as", "mt-bench")

    assert {key: value for key, value in gpt4.items() if key[0]} == {
        (1, "S1"): (886, 1343),
        (1, "S2"): (727, 859),
        (2, "S1"): (871, 1325),
        (2, "S2"): (731, 864),
    }
    assert {key: value for key, value in people.items() if key[0]} == {
        (1, "S1"): (454, 721),
        (1, "S2"): (388, 479),
        (2, "S1"): (471, 707),
        (2, "S2"): (388, 474),
    }


def test_published_kappas_of_gpt4_and_the_plurality_of_people(judge: Command, mt_bench: str) -> None:
    """The report of judgelab: with ties 1,814 comparisons, 0.672 and 0.5047; without ties 1,078, 0.884 and 0.767."""
    arguments = ("labels:gpt4_pair", "people@plurality", "--dataset", mt_bench, "--orientation", "sorted", "--json")
    report = json.loads(judge("agree", *arguments).stdout)

    assert [(row["n"], round(row["rate"], 3), round(row["kappa"], 4)) for row in report["figures"]] == [
        (1814, 0.672, 0.5047),
        (1078, 0.884, 0.7670),
    ]


def test_published_ratings_of_mt_bench_by_evalica(judge: Command) -> None:
    """Bradley-Terry of evalica, with ties as half a win, from the file of people's votes, each of which counts once."""
    ratings = leaderboard(judge, DATA / "mt-bench/fastchat/human_votes.jsonl")

    assert {name: round(row["rating"], 2) for name, row in ratings.items()} == {
        "gpt-4": 1177.39,
        "claude-v1": 1111.67,
        "gpt-3.5-turbo": 1104.16,
        "vicuna-13b-v1.2": 990.12,
        "alpaca-13b": 867.69,
        "llama-13b": 748.96,
    }


def test_published_win_rates_of_ja_vicuna_qa(judge: Command) -> None:
    """The source's rule, a win in both orders, from its 960 judgments in files of their own."""
    judge("import", DATA / "ja-vicuna-qa/original", "--dataset", "ja")

    made = leaderboard(
        judge, "judge:gpt-4", "--dataset", "ja", "--as", "mt-bench", "--reference", "openai--text-davinci-003"
    )

    counts = {
        name.split("--")[1]: (row["wins"], row["losses"], row["ties"], round(100 * row["rating"], 4))
        for name, row in made.items()
    }
    assert counts == {
        "calm2-7b-chat": (56, 12, 12, 77.5),
        "Swallow-70b-instruct-hf": (37, 34, 9, 51.875),
        "llm-jp-13b-instruct-lora-jaster-dolly-oasst-v1.0": (22, 48, 10, 33.75),
        "japanese-gpt-neox-3.6b-instruction-ppo": (11, 60, 9, 19.375),
        "llm-jp-13b-instruct-full-jaster-dolly-oasst-v1.0": (8, 66, 6, 13.75),
        "japanese-gpt-neox-3.6b-instruction-sft-v2": (7, 65, 8, 13.75),
    }


def test_published_pairs_of_fastchat(judge: Command) -> None:
    """FastChat's own table: 20 wins, 18 losses and 35 ties; two comparisons with an error are left out."""
    judge("import", FORMATS / "fastchat-mt-bench/data", "--dataset", "fastchat")

    cells = published(judge, "judge:gpt-4", "--dataset", "fastchat", "--as", "mt-bench", "--reference", "phi-3")

    assert cells["phi-3-dpo"] == ["20", "18", "35", "27.40", "24.66", "51.37"]


def test_published_agreement_of_pandalm(judge: Command) -> None:
    """The kappas of its annotators, and GPT-3.5 against their majority, with garbage as a tie."""
    judge("import", DATA / "pandalm/original", "--dataset", "pandalm")

    def figure(*arguments: str) -> dict[str, Any]:
        options = ("--dataset", "pandalm", "--orientation", "sorted", "--ties", "with", "--json")
        (row,) = json.loads(judge("agree", *arguments, *options).stdout)["figures"]
        return {str(name): value for name, value in row.items()}

    pairs = [("1", "2"), ("1", "3"), ("2", "3")]
    kappas = [figure(f"labels:annotator{a}", f"labels:annotator{b}")["kappa"] for a, b in pairs]
    assert [round(kappa, 2) for kappa in kappas] == [0.85, 0.88, 0.86]
    judge_figure = figure("judge:gpt-3.5-turbo", "people@majority", "--unreadable-as-tie")
    assert (judge_figure["n"], round(judge_figure["rate"], 4)) == (999, 0.7107)
    assert round(judge_figure["macro_f1"], 4) == 0.5755


def test_published_win_rates_of_alpaca_eval(judge: Command) -> None:
    """The weighted win rate, its standard error by AlpacaEval's formula, and the discrete win rate."""
    facts = expected("alpaca-eval")
    account = judge("import", FORMATS / "alpaca-eval", "--dataset", "alpaca", code=3).stderr
    assert "rejected" not in account

    arguments = ("labels:*", "--dataset", "alpaca", "--as", "alpaca-eval", "--reference", "atlas-7b")
    cells = published(judge, *arguments)
    (row,) = leaderboard(judge, *arguments).values()

    n = facts["annotations"] - facts["unreadable"]
    assert cells["birch-13b"][1:] == [
        f"{facts['win_rate_pct']}",
        "22.06",
        f"{facts['discrete_win_rate_pct']:.2f}",
        f"{n}",
    ]
    assert row["standard_error"] == pytest.approx(0.22059956, abs=1e-8)


def test_published_scores_of_arena_hard_v01(judge: Command) -> None:
    """The score and the Elo rating of each of four models, as in leaderboard.csv."""
    judge("import", FORMATS / "arena-hard-v0.1/data", "--dataset", "hard", "--reference", "claude-3.7-sonnet")

    cells = published(
        judge, "judge:ensemble", "--dataset", "hard", "--as", "arena-hard", "--reference", "claude-3.7-sonnet"
    )

    with (FORMATS / "arena-hard-v0.1/leaderboard.csv").open(encoding="utf-8") as file:
        rows = {row["model"]: row for row in csv.DictReader(file) if row["model"] != "claude-3.7-sonnet"}
    assert {name: (score, elo) for name, (score, _low, _high, elo, _n) in cells.items()} == {
        name: (f"{float(row['score']):.2f}", f"{float(row['elo_score']):.1f}") for name, row in rows.items()
    }


def test_published_arena_hard_without_its_baseline_says_what_is_missing(judge: Command) -> None:
    """The files name none: `judge import` and `judge rank` ask for it."""
    result = judge("import", FORMATS / "arena-hard-v0.1/data", "--dataset", "nameless", code=3)

    assert "without their baseline: name it with --reference NAME" in result.output


@pytest.mark.parametrize(
    ("name", "judge_name", "preset", "references"),
    [
        ("arena-hard-v0.1-reissued", "gpt-4-1106-preview", "arena-hard", {"gpt-4-0314": 53.125}),
        (
            "arena-hard-v2.0",
            "gpt-4.1",
            "arena-hard-v2",
            {"o3-mini-2025-01-31": 70.0, "gemini-2.0-flash-001": 83.333333},
        ),
    ],
)
def test_published_scores_of_later_arena_hard(
    judge: Command, name: str, judge_name: str, preset: str, references: dict[str, float]
) -> None:
    """The baselines are those of the files. In v2.0, a row with a game or a score missing is left out whole."""
    judge("import", FORMATS / name / "data", "--dataset", name)

    for reference, score in references.items():
        made = leaderboard(judge, f"judge:{judge_name}", "--dataset", name, "--as", preset, "--reference", reference)
        assert 100 * made["atlas-7b"]["rating"] == pytest.approx(score, abs=1e-4)


def test_published_win_rates_of_arena_hard_battles(judge: Command) -> None:
    """A file of battles, whose equal rows are the weights."""
    facts = expected("arena-hard-battles")
    path = FORMATS / "arena-hard-battles/data/arena_hard_battles.jsonl"

    made = leaderboard(judge, path, "--as", "arena-hard", "--reference", facts["reference"])

    assert {name: round(100 * row["rating"], 4) for name, row in made.items()} == {
        name: round(rate, 4) for name, rate in facts["win_rate_pct"].items()
    }
    assert {name: (row["wins"], row["losses"], row["ties"]) for name, row in made.items()} == {
        name: (counts["model_b"], counts["model_a"], counts["tie"]) for name, counts in facts["counts"].items()
    }


@pytest.mark.parametrize("name", ["simple", "food"])
def test_published_ratings_of_crowd_comparisons(judge: Command, name: str) -> None:
    """The golden strengths of evalica, from a CSV of comparisons."""
    with (FORMATS / f"evalica/{name}-golden.csv").open(encoding="utf-8") as file:
        golden = {
            row["item"]: float(row["score"]) for row in csv.DictReader(file) if row["algorithm"] == "bradley_terry"
        }

    made = leaderboard(judge, FORMATS / f"evalica/{name}.csv")

    strengths = {item: 10 ** (row["rating"] / 400) for item, row in made.items()}
    total = sum(strengths.values())
    assert {item: strength / total for item, strength in strengths.items()} == pytest.approx(golden, abs=1e-4)
