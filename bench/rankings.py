"""Bradley-Terry from a million battles: by name beside evalica's public interface, from codes beside one bincount."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import process_time

import evalica
import numpy as np
from figures import Figure, interleaved, told

from judge.stats.battles import Battles
from judge.stats.bradley_terry import BradleyTerryFit, bradley_terry

BATTLES, CONTESTANTS = 1_000_000, 100
ROUNDS = 5
BY_NAME, OVER_BINCOUNT = 2.5, 1.3
WORDS = ("left", "right", "tie")
WINNERS = (evalica.Winner.X, evalica.Winner.Y, evalica.Winner.Draw)


def figures() -> Iterator[Figure]:
    """How many times faster than evalica by name; how many times slower than a bincount from codes."""
    told(f"rankings: {BATTLES} battles of {CONTESTANTS} contestants")
    names, left, right, outcome = _battles()
    lefts, rights = ([names[code] for code in side.tolist()] for side in (left, right))
    words = [WORDS[code] for code in outcome.tolist()]
    winners = [WINNERS[code] for code in outcome.tolist()]
    key = (left.astype(np.intp) * CONTESTANTS + right) * len(WORDS) + outcome
    battles = Battles(names, left, right, outcome)

    def by_name() -> BradleyTerryFit:
        return bradley_terry(Battles.from_names(lefts, rights, words))

    def theirs() -> evalica.BradleyTerryResult:
        return evalica.bradley_terry(lefts, rights, winners, tolerance=1e-8, limit=1000)

    _same(by_name(), theirs())
    peer, ours, codes, count = interleaved(
        ROUNDS,
        _cpu(theirs),
        _cpu(by_name),
        _cpu(lambda: bradley_terry(battles)),
        _cpu(lambda: np.bincount(key, minlength=len(WORDS) * CONTESTANTS**2)),
    )
    faster, slower = peer / ours, codes / count
    yield Figure(
        "rankings",
        "Bradley-Terry by name",
        ours * 1000,
        "ms",
        f"evalica {evalica.__version__}: {peer * 1000:.0f} ms",
        faster,
        f">= {BY_NAME} x faster",
        faster >= BY_NAME,
    )
    yield Figure(
        "rankings",
        "Bradley-Terry from codes",
        codes * 1000,
        "ms",
        f"one bincount: {count * 1000:.1f} ms",
        slower,
        f"<= {OVER_BINCOUNT} x",
        slower <= OVER_BINCOUNT,
    )


def _battles() -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(20261124)
    names = tuple(f"contestant-{n:03}" for n in range(CONTESTANTS))
    strength = rng.normal(0, 1, CONTESTANTS)
    left = rng.integers(0, CONTESTANTS, BATTLES, dtype=np.int32)
    right = ((left + rng.integers(1, CONTESTANTS, BATTLES)) % CONTESTANTS).astype(np.int32)
    beaten = rng.random(BATTLES) > 1 / (1 + np.exp(strength[right] - strength[left]))
    outcome = np.where(rng.random(BATTLES) < 0.1, 2, beaten).astype(np.int8)
    return names, left, right, outcome


def _same(ours: BradleyTerryFit, theirs: evalica.BradleyTerryResult) -> None:
    scores = np.log10([theirs.scores[name] for name in ours.battles.contestants])
    expected = 1000 + 400 * (scores - scores.mean())
    if not np.allclose(ours.ratings, expected, atol=0.01):
        message = "evalica and we do not agree"
        raise RuntimeError(message)


def _cpu(work: Callable[[], object]) -> Callable[[], float]:
    def once() -> float:
        begun = process_time()
        work()
        return process_time() - begun

    return once
