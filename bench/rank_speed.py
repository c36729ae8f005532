"""The speed of rankings next to their peers: median CPU times of a million battles of a hundred contestants.

Measurements are interleaved. Peers get the container that they read fastest; converting names into it is a separate
figure. Our code reads the container that the figure names.
"""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time

import arena_rank.models.bradley_terry as arena_models
import arena_rank.utils.data_utils as arena_data
import arenakit
import choix
import evalica
import numpy as np
import pandas as pd
import polars as pl
from evalica import _brzo
from figures import Figure, interleaved, progress

from judge.stats.battles import Battles
from judge.stats.best import probability_best
from judge.stats.bootstrap import bootstrap
from judge.stats.bradley_terry import BradleyTerryFit, bradley_terry
from judge.stats.elo import elo
from judge.stats.newton import newton
from judge.stats.prompt_sums import sum_battles
from judge.stats.simultaneous import rank_intervals

BATTLES, CONTESTANTS, PROMPTS, REPLICATES = 1_000_000, 100, 1000, 1000
ROUNDS = 5
WORDS = ("left", "right", "tie")
THEIRS = ("model_a", "model_b", "tie")
WINNERS = (evalica.Winner.X, evalica.Winner.Y, evalica.Winner.Draw)
TOLERANCE, LIMIT = 1e-8, 1000


class Data:
    """The same battles in the container that each library reads fastest."""

    def __init__(self, contestants: int = CONTESTANTS, battles: int = BATTLES) -> None:
        rng = np.random.default_rng(20261125)
        self.names = tuple(f"contestant-{n:03}" for n in range(contestants))
        strength = rng.normal(0, 1, contestants)
        self.left = rng.integers(0, contestants, battles, dtype=np.int32)
        self.right = ((self.left + rng.integers(1, contestants, battles)) % contestants).astype(np.int32)
        beaten = rng.random(battles) > 1 / (1 + np.exp(strength[self.right] - strength[self.left]))
        self.outcome = np.where(rng.random(battles) < 0.1, 2, beaten).astype(np.int8)
        self.prompt = rng.integers(0, PROMPTS, battles).astype(np.int32)
        self.coded = Battles(contestants=self.names, left=self.left, right=self.right, outcome=self.outcome)
        self.clustered = Battles(
            contestants=self.names,
            left=self.left,
            right=self.right,
            outcome=self.outcome,
            cluster=self.prompt,
            n_clusters=PROMPTS,
        )

    def add_names(self) -> None:
        """Add the battles by name, as lists, a polars frame and a pandas frame."""
        self.lefts, self.rights = ([self.names[c] for c in side.tolist()] for side in (self.left, self.right))
        self.words = [WORDS[code] for code in self.outcome.tolist()]
        self.winners = [WINNERS[code] for code in self.outcome.tolist()]
        self.frame = pl.DataFrame({"left": self.lefts, "right": self.rights, "outcome": self.words})
        self.pandas = pd.DataFrame(
            {"model_a": self.lefts, "model_b": self.rights, "winner": [THEIRS[code] for code in self.outcome.tolist()]}
        )


def figures() -> Iterator[Figure]:
    """Run all measurements in order."""
    data = Data()
    data.add_names()
    yield from _fits(data)
    yield from _frames(data)
    yield _sandwiches()
    yield from _bootstraps(data)
    yield from _standard_errors(data)
    yield from _online(data)
    yield _memory()


def _fits(data: Data) -> Iterator[Figure]:
    progress("fits")
    key = (data.left.astype(np.intp) * CONTESTANTS + data.right) * len(WORDS) + data.outcome
    size = len(WORDS) * CONTESTANTS**2
    lists = (data.left.tolist(), data.right.tolist(), [1.0] * BATTLES)
    wins = data.coded.counts().wins
    index = pd.Index(data.names)

    def by_lists() -> BradleyTerryFit:
        return bradley_terry(Battles.from_names(data.lefts, data.rights, data.words))

    def by_polars() -> BradleyTerryFit:
        return bradley_terry(Battles.from_names(data.frame["left"], data.frame["right"], data.frame["outcome"]))

    def evalica_public() -> evalica.BradleyTerryResult:
        return evalica.bradley_terry(
            data.lefts, data.rights, data.winners, index=index, tolerance=TOLERANCE, limit=LIMIT
        )

    def evalica_kernel() -> object:
        return _brzo.bradley_terry(
            xs=lists[0],
            ys=lists[1],
            winners=data.winners,
            weights=lists[2],
            total=CONTESTANTS,
            win_weight=1.0,
            tie_weight=0.5,
            tolerance=TOLERANCE,
            limit=LIMIT,
        )

    _same(by_lists(), evalica_public())
    codes, bare, made, kernel, public, listed, arrow, dense, steps = interleaved(
        ROUNDS,
        _cpu(lambda: bradley_terry(data.coded)),
        _cpu(lambda: np.bincount(key, minlength=size)),
        _cpu(
            lambda: np.bincount(
                (data.left * np.int32(CONTESTANTS) + data.right) * np.int32(3) + data.outcome, minlength=size
            )
        ),
        _cpu(evalica_kernel),
        _cpu(evalica_public),
        _cpu(by_lists),
        _cpu(by_polars),
        _cpu(lambda: choix.ilsr_pairwise_dense(wins, tol=1e-6)),
        _cpu(lambda: newton(wins, 1e-10, 100)),
    )
    yield _figure("a fit from codes", codes, "one bincount of keys that are made", bare, codes / bare, most=1.3)
    yield _figure("a fit from codes, to a bincount that makes its keys", codes, "it", made, codes / made)
    yield _figure("a fit from codes", codes, "evalica's kernel, from lists", kernel, kernel / codes, least=1.3)
    yield _figure("a fit from lists of names", listed, "evalica", public, public / listed, least=2.5)
    yield _figure("a fit from columns of names", arrow, "evalica", public, public / arrow, least=10)
    yield _figure("a fit from summed wins", steps, "choix, dense", dense, dense / steps)
    to_lists, to_frame = interleaved(
        3, _cpu(lambda: (data.frame["left"].to_list(), data.frame["right"].to_list())), _cpu(data.frame.to_pandas)
    )
    yield _figure("conversion of a polars frame to lists", to_lists, "to pandas", to_frame, to_frame / to_lists)


def _sandwiches() -> Figure:
    """Compare our unclustered standard errors with arena-rank's at the same ratings of 20 random weighted designs."""
    furthest = 0.0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        m, n = int(rng.integers(3, 20)), 2000
        left = rng.integers(0, m, n)
        right = (left + rng.integers(1, m, n)) % m
        outcome = rng.integers(0, 3, n).astype(np.int8)
        names = tuple(f"{i:02}" for i in range(m))
        # One weight per pair, as arena-rank requires.
        weights = rng.uniform(0.2, 3, (m, m))
        weights = weights + weights.T
        sides = left.astype(np.int32), right.astype(np.int32)
        fit = bradley_terry(Battles(names, *sides, outcome, weights[left, right]))
        frame = pd.DataFrame(
            {
                "model_a": [names[i] for i in left],
                "model_b": [names[i] for i in right],
                "winner": [THEIRS[o] for o in outcome],
            }
        )
        their_data = arena_data.PairDataset.from_pandas(frame)
        hessian, meat = arena_models.BradleyTerry.compute_hessian_and_covariance(
            np.asarray(fit.log_strengths),
            their_data.pairs,
            their_data.outcomes,
            their_data.counts,
            np.asarray(their_data.counts) * weights[tuple(np.asarray(their_data.pairs).T)],
            0.0,
            m,
        )
        bread = np.linalg.pinv(np.asarray(hessian), hermitian=True)
        theirs = np.sqrt((bread @ np.asarray(meat) @ bread).diagonal())
        # Ours are corrected for leverage, so the sandwich is compared before that.
        sums = sum_battles(fit.model, each=True)
        plain = np.linalg.pinv(fit.model.information(), hermitian=True)
        ours = np.sqrt((plain @ sums.cross(sums.score, sums.score) @ plain).diagonal())
        furthest = max(furthest, float(np.abs(ours / theirs - 1).max()))
    name = "sandwich before the correction for leverage, furthest from arena-rank's on 20 designs"
    return Figure(bench="rank", figure=name, value=furthest, unit="relative", goal="<= 1e-6", met=furthest <= 1e-6)


def _frames(data: Data) -> Iterator[Figure]:
    progress("frames")

    def ours() -> BradleyTerryFit:
        battles = Battles.from_names(data.frame["left"], data.frame["right"], data.frame["outcome"])
        fit = bradley_terry(battles)
        fit.interval()
        return fit

    def theirs() -> object:
        dataset = arena_data.PairDataset.from_pandas(data.pandas)
        return arena_models.BradleyTerry(dataset.n_competitors).compute_ratings_and_cis(dataset)

    first = _cpu(theirs)()
    mine, warm = interleaved(3, _cpu(ours), _cpu(theirs))
    yield _figure("ratings and sandwich intervals from a frame", mine, "arena-rank, warm", warm, warm / mine, least=40)
    yield Figure(bench="rank", figure="the same, arena-rank's first", value=first * 1000, unit="ms")


def _bootstraps(data: Data) -> Iterator[Figure]:
    progress("bootstraps")
    alone, clustered = bradley_terry(data.coded), bradley_terry(data.clustered)
    wide = Data(contestants=300)
    three_hundred = bradley_terry(wide.coded)
    cells = data.coded.cells(None)
    upper = np.triu_indices(CONTESTANTS, 1)
    expected = np.stack((cells[:, :, 0] + cells[:, :, 1].T, cells[:, :, 2] + cells[:, :, 2].T), axis=-1)[upper]
    beaten = (cells[:, :, 0].T + cells[:, :, 1])[upper]

    def draw() -> object:
        return np.random.default_rng(1).poisson(np.column_stack((expected, beaten)), (REPLICATES, beaten.size, 3))

    def ours(fit: BradleyTerryFit) -> Callable[[], object]:
        return lambda: bootstrap(fit, np.random.default_rng(1), REPLICATES)

    plain, drawn, by_prompt, wider = interleaved(
        3, _cpu(ours(alone)), _cpu(draw), _cpu(ours(clustered)), _cpu(ours(three_hundred))
    )
    yield _figure("1,000 replicates", plain, "drawing the weights", drawn, plain / drawn, most=1.5)
    yield _figure("1,000 replicates by prompt", by_prompt, "unclustered", plain, by_prompt / plain, most=3)
    yield _figure("1,000 replicates, 300 contestants", wider, "100", plain, wider / plain, most=12)
    arena = arenakit.Arena.__new__(arenakit.Arena)
    arena.models, arena.item, arena.voter = list(data.names), None, None
    arena.a, arena.b, arena.y = data.left, data.right, data.outcome
    few = 10
    kit = _cpu(lambda: arenakit.bootstrap(arena, n_resamples=few))() * REPLICATES / few
    yield _figure("1,000 replicates", plain, f"arenakit, {few} scaled up", kit, kit / plain, least=15)
    names = (data.lefts, data.rights, data.winners)

    def theirs() -> object:
        return evalica.bootstrap(
            evalica.bradley_terry,
            *names,
            n_resamples=3,
            bootstrap_method="percentile",
            tolerance=TOLERANCE,
            limit=LIMIT,
        )

    rust = _cpu(theirs)() * REPLICATES / 3
    yield _figure("1,000 replicates", plain, "evalica, 3 scaled up", rust, rust / plain, least=500)


def _standard_errors(data: Data) -> Iterator[Figure]:
    progress("intervals")
    fit = bradley_terry(data.clustered)
    matrix, pairs, freedom = fit.covariance.matrix, fit.covariance.pairs, fit.covariance.ratings.freedom
    if matrix is None:
        raise RuntimeError(fit.covariance.method)

    def with_covariance() -> BradleyTerryFit:
        again = bradley_terry(data.coded)
        again.covariance  # noqa: B018  # computed when asked for
        return again

    def sandwich() -> object:
        return bradley_terry(data.clustered).covariance

    whole, fitted, by_prompt, ranked, best = interleaved(
        ROUNDS,
        _cpu(with_covariance),
        _cpu(lambda: bradley_terry(data.coded)),
        _cpu(sandwich),
        _cpu(lambda: rank_intervals(fit.log_strengths, pairs)),
        _cpu(lambda: probability_best(fit.log_strengths, matrix, freedom, np.random.default_rng(1))),
    )
    yield _goal("sandwich from counts", whole - fitted, 0.010)
    yield _goal("sandwich by prompt, from a million battles", by_prompt - fitted, None)
    yield _goal("probabilities of being best", best, 0.010)
    yield _goal("simultaneous rank intervals", ranked, 0.040)


def _online(data: Data) -> Iterator[Figure]:
    progress("Elo")

    def ours() -> object:
        return elo(Battles.from_names(data.lefts, data.rights, data.words))

    def theirs() -> object:
        return evalica.elo(data.lefts, data.rights, data.winners, index=pd.Index(data.names))

    mine, public = interleaved(3, _cpu(ours), _cpu(theirs))
    yield _figure("online Elo from lists of names", mine, "evalica", public, public / mine, least=2)


def _memory() -> Figure:
    """Measure the memory per battle of a fit with intervals beyond its input, in a process of its own."""
    progress("memory")
    out = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True).stdout
    bytes_per_battle = float(out)
    return Figure(
        bench="rank",
        figure="10^7 battles, beyond the input",
        value=bytes_per_battle,
        unit="bytes a battle",
        goal="< 64",
        met=bytes_per_battle < 64,
    )


def _measure_beyond_the_input() -> float:
    n_battles = 10_000_000
    data = Data(battles=n_battles).clustered
    before = _memory_of("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    bradley_terry(data).interval()
    return (_memory_of("VmHWM") - before) / n_battles


def _memory_of(what: str) -> int:
    """Return a figure of /proc/self/status in bytes. Writing 5 to clear_refs resets the high-water mark VmHWM."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))


def _figure(
    name: str,
    ours: float,
    peer: str,
    theirs: float,
    ratio: float,
    *,
    least: float | None = None,
    most: float | None = None,
) -> Figure:
    goal, met = "", None
    if least is not None:
        goal, met = f">= {least:g} x faster", ratio >= least
    elif most is not None:
        goal, met = f"<= {most:g} x", ratio <= most
    return Figure(
        bench="rank",
        figure=name,
        value=ours * 1000,
        unit="ms",
        peer=f"{peer}: {theirs * 1000:.4g} ms",
        ratio=ratio,
        goal=goal,
        met=met,
    )


def _goal(name: str, took: float, most: float | None) -> Figure:
    goal = "" if most is None else f"< {most * 1000:g} ms"
    met = None if most is None else took < most
    return Figure(bench="rank", figure=name, value=took * 1000, unit="ms", goal=goal, met=met)


def _same(ours: BradleyTerryFit, theirs: evalica.BradleyTerryResult) -> None:
    scores = np.log10([theirs.scores[name] for name in ours.battles.contestants])
    if not np.allclose(ours.ratings, 1000 + 400 * (scores - scores.mean()), atol=0.01):
        message = "our ratings differ from evalica's by more than 0.01"
        raise RuntimeError(message)


def _cpu(work: Callable[[], object]) -> Callable[[], float]:
    def once() -> float:
        gc.collect()
        gc.disable()
        begun = process_time()
        work()
        took = process_time() - begun
        gc.enable()
        return took

    return once


if __name__ == "__main__":
    print(_measure_beyond_the_input())
