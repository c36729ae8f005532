"""Coverage and bias of the leaderboards of adaptive runs, and the effect of ending early.

The product's own code plans the rounds, over few prompts with random effects. Prints one JSON line per figure.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

# Set before numpy loads: fits are too small for a second BLAS thread.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from figures import Figure, progress
from simulated_rounds import Coverage, World, measure_coverage

from judge.domain.run import Pairing, PairPolicy

RUNS = 1000
EARLY: tuple[tuple[str, Pairing], ...] = (
    ("at a precision of 60", Pairing(policy=PairPolicy.ADAPTIVE, count=900, precision=60.0)),
    ("with the best two apart", Pairing(policy=PairPolicy.ADAPTIVE, count=900, separated=True, top=2)),
)


def figures(runs: int) -> Iterator[Figure]:
    """Measure runs to their count over 80 and 40 prompts, for the whole order and the best two, then early ends."""
    world = World()
    for prompts, count in ((80, 480), (40, 240)):
        for top in (0, 2):
            pairing = Pairing(policy=PairPolicy.ADAPTIVE, count=count, round_size=count // 8, top=top)
            name = f"{count} of {prompts * 15} comparisons over {prompts} prompts, " + (
                f"for the best {top}" if top else "for the whole order"
            )
            progress(name)
            all_comparisons, uniform = measure_coverage(world, prompts, pairing, runs)
            yield from _coverage_figures(name, all_comparisons)
            yield from _coverage_figures(f"{name}, uniform sample only", uniform)
    for what, pairing in EARLY:
        name = f"80 prompts, ended {what}"
        progress(name)
        all_comparisons, _ = measure_coverage(world, 80, pairing, runs)
        yield Figure(
            bench="adaptive", figure=f"{name}: runs that reached it", value=all_comparisons.reached, unit="share"
        )
        yield from _coverage_figures(name, all_comparisons)


def _coverage_figures(name: str, coverage: Coverage) -> Iterator[Figure]:
    met = 0.93 <= coverage.mean <= 0.97 and coverage.worst >= 0.9
    yield Figure(
        bench="adaptive",
        figure=f"coverage of 95 % of pairs: {name}",
        value=coverage.mean,
        unit=f"of {coverage.runs}",
        peer=f"worst pair {coverage.worst:.3f}; {coverage.comparisons:.0f} comparisons in {coverage.rounds:.1f} rounds",
        goal="0.93 to 0.97, the worst pair >= 0.9",
        met=met,
    )
    yield Figure(
        bench="adaptive",
        figure=f"mean bias of differences: {name}",
        value=coverage.mean_bias,
        unit="Elo, + is too far apart",
    )


def main(runs: int) -> None:
    """Print every figure, then which goals were met."""
    results = []
    for figure in figures(runs):
        print(figure, flush=True)
        results.append(figure)
    met = [figure.figure for figure in results if figure.met]
    missed = [figure.figure for figure in results if figure.met is False]
    print(json.dumps({"bench": "adaptive", "met": met, "missed": missed}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
