"""Fixtures: battles and votes from the published MT-bench files, and simulated ones."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from judge.stats.battles import LEFT, RIGHT, TIE, Battles
from judge.stats.votes import VoteColumns

DATA = Path(os.environ.get("JUDGE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "mt-bench"
WORDS = {"a": "left", "b": "right", "tie": "tie"}

Row = dict[str, Any]


@pytest.fixture(scope="session")
def human_rows() -> list[Row]:
    return _rows("human_labels.jsonl")


@pytest.fixture(scope="session")
def gpt4_rows() -> list[Row]:
    return _rows("judge_verdicts_gpt4.jsonl")


@pytest.fixture(scope="session")
def llama_rows() -> list[Row]:
    path = DATA / "judge_verdicts_llama2_70b.jsonl.gz"
    if not path.exists():
        pytest.skip("the MT-bench data are absent (JUDGE_TEST_DATA)")
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


@pytest.fixture(scope="session")
def battles_of() -> Callable[[list[Row]], Battles]:
    return lambda rows: Battles.from_names(
        [row["model_a"] for row in rows],
        [row["model_b"] for row in rows],
        [WORDS[row["winner"]] for row in rows],
        cluster=[row["prompt_id"] for row in rows],
    )


@pytest.fixture(scope="session")
def votes_of() -> Callable[[list[Row]], VoteColumns]:
    return _votes


@pytest.fixture(scope="session")
def random_battles() -> Callable[..., Battles]:
    return _random_battles


def _rows(name: str) -> list[Row]:
    path = DATA / name
    if not path.exists():
        pytest.skip("the MT-bench data are absent (JUDGE_TEST_DATA)")
    return [json.loads(line) for line in path.read_text().splitlines()]


def _votes(rows: list[Row]) -> VoteColumns:
    models = sorted({"alpaca-13b", "claude-v1", "gpt-3.5-turbo", "gpt-4", "llama-13b", "vicuna-13b-v1.2"})
    item, outcome, cluster, annotator = [], [], [], []
    annotators: dict[str, int] = {}
    for row in rows:
        left, right = sorted((models.index(row["model_a"]), models.index(row["model_b"])))
        straight = models[left] == row["model_a"]
        prompt = int(row["prompt_id"].removeprefix("mtbench-"))
        item.append(((prompt * 2 + row["turn"] - 1) * 6 + left) * 6 + right)
        outcome.append({"tie": TIE, "a": LEFT if straight else RIGHT, "b": RIGHT if straight else LEFT}[row["winner"]])
        cluster.append(prompt)
        name = row.get("annotator", row.get("judge"))
        annotator.append(annotators.setdefault(str(name), len(annotators)))
    return VoteColumns(*(np.array(column) for column in (item, outcome, cluster, annotator)))


def _random_battles(
    seed: int, n: int = 600, m: int = 5, prompts: int | None = 60, *, weighted: bool = False
) -> Battles:
    """Simulate battles of contestants half a unit of log strength apart, with ties and prompt effects."""
    rng = np.random.default_rng(seed)
    left = rng.integers(0, m, n)
    right = (left + rng.integers(1, m, n)) % m
    cluster = rng.integers(0, prompts or 1, n)
    strength = np.arange(m) * 0.5 + (rng.normal(0, 0.7, (prompts, m))[cluster] if prompts else np.zeros((n, m)))
    rows = np.arange(n)
    chance = 1 / (1 + np.exp(strength[rows, right] - strength[rows, left]))
    outcome = np.where(rng.random(n) < 0.2, TIE, np.where(rng.random(n) < chance, LEFT, RIGHT))
    return Battles(
        tuple(f"m{i:03}" for i in range(m)),
        left.astype(np.int32),
        right.astype(np.int32),
        outcome.astype(np.int8),
        rng.integers(1, 4, n) / 2 if weighted else None,
        cluster.astype(np.int32) if prompts else None,
        prompts or 0,
    )
