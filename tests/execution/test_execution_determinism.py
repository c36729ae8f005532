"""The same inputs give the same bytes on every machine."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from judge.ranking.battles import design_from_battles
from judge.ranking.options import RankOptions
from judge.ranking.rank import rank
from judge.rpc.encode_leaderboard import encode_leaderboard
from judge.stats.battles import Battles

SCRIPT = """
import hashlib
import numpy as np
from judge.rpc.encode_leaderboard import encode_leaderboard
from judge.ranking.battles import design_from_battles
from judge.ranking.rank import rank
from judge.ranking.options import RankOptions
from judge.stats.prediction_powered import ComparisonColumns, anchored_fit
from judge.stats.battles import Battles

def digest(leaderboard):
    encoded = encode_leaderboard(leaderboard)
    return hashlib.sha256(encoded.SerializeToString(deterministic=True)).hexdigest()

rng = np.random.default_rng(7)
left = rng.integers(0, 120, 60_000, dtype=np.int32)
right = ((left + rng.integers(1, 120, left.size)) % 120).astype(np.int32)
beaten = rng.random(left.size) < 1 / (1 + np.exp((left - right) / 60))
outcome = np.where(rng.random(left.size) < 0.1, 2, beaten).astype(np.int8)
prompt = rng.integers(0, 150, left.size, dtype=np.int32)
names = tuple(f"c{i:03}" for i in range(120))
battles = Battles(names, left, right, outcome, cluster=prompt, n_clusters=150)
for method in ("bradley-terry", "davidson", "rao-kupper", "elo", "win-rate"):
    options = RankOptions(method=method, reference="" if method == "elo" else "c000")
    leaderboard = rank(design_from_battles(battles, options), options)
    print(method, digest(leaderboard))
for intervals in ("bootstrap", "percentile"):
    options = RankOptions(intervals=intervals, reference="c000", replicates=50)
    leaderboard = rank(design_from_battles(battles, options), options)
    print(intervals, digest(leaderboard))
judged, chosen = rng.random(left.size), rng.random(left.size) < 0.3
labeled = np.where(chosen, beaten * 1.0, np.nan)
fit = anchored_fit(ComparisonColumns(120, left, right, judged, labeled, np.full(left.size, 0.3), prompt))
print("anchored", fit.log_strengths.round(6).tolist(), fit.covariance.matrix.round(9).tolist())
"""
KERNELS = (
    {"OPENBLAS_NUM_THREADS": "1"},
    {"OPENBLAS_NUM_THREADS": "2"},
    {"OPENBLAS_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Nehalem"},
)


def test_law_5_the_same_bytes_under_any_threads_and_kernels() -> None:
    """One and two BLAS threads, and another CPU's kernels, give the same leaderboards byte for byte."""
    printed = [
        subprocess.run([sys.executable, "-c", SCRIPT], env={**os.environ, **kernel}, stdout=subprocess.PIPE, check=True)
        for kernel in KERNELS
    ]

    assert [printed[0].stdout] * len(KERNELS) == [done.stdout for done in printed]
    assert printed[0].stdout.count(b"\n") == 8


@pytest.mark.parametrize("method", ["bradley-terry", "davidson", "rao-kupper", "elo", "elo-permuted", "win-rate"])
def test_ratings_leave_rounded_to_1e_6(method: str) -> None:
    """Ratings are rounded to 1e-6 and intervals to 1e-9, so that the last bits of a processor never show."""
    rng = np.random.default_rng(3)
    left = rng.integers(0, 6, 3000, dtype=np.int32)
    right = ((left + rng.integers(1, 6, left.size)) % 6).astype(np.int32)
    outcome = rng.integers(0, 3, left.size).astype(np.int8)
    prompt = rng.integers(0, 60, left.size, dtype=np.int32)
    battles = Battles(
        contestants=tuple("abcdef"), left=left, right=right, outcome=outcome, cluster=prompt, n_clusters=60
    )
    options = RankOptions(method=method, reference="" if method.startswith("elo") else "a")

    leaderboard = encode_leaderboard(rank(design_from_battles(battles, options), options))

    ratings = [rating.rating for rating in leaderboard.ratings]
    intervals = [rating.interval for rating in leaderboard.ratings]
    intervals += [standing.interval for standing in leaderboard.standings]
    bounds = [bound for interval in intervals for bound in (interval.low, interval.high)]
    assert [round(number, 6) for number in ratings] == ratings
    assert [round(number, 9) for number in bounds] == bounds
    assert any(round(number, 3) != number for number in ratings)
