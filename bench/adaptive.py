"""Do adaptive runs say what is true? Coverage and bias of their leaderboards, and what ending early does to them.

Rounds are planned by the product's own code over few prompts with effects; a JSON line a figure.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

# Before numpy loads: fits are too small for a second BLAS thread.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from figures import Figure, told
from simulated_rounds import Held, World, held

from judge.domain.run import Pairing, PairPolicy

RUNS = 1000
EARLY: tuple[tuple[str, Pairing], ...] = (
    ("at a precision of 60", Pairing(policy=PairPolicy.ADAPTIVE, count=900, precision=60.0)),
    ("with the best two apart", Pairing(policy=PairPolicy.ADAPTIVE, count=900, separated=True, top=2)),
)


def figures(runs: int) -> Iterator[Figure]:
    """Runs to their count over 80 and 40 prompts, for the whole order and the best two; then runs that end early."""
    world = World()
    for prompts, count in ((80, 480), (40, 240)):
        for top in (0, 2):
            pairing = Pairing(policy=PairPolicy.ADAPTIVE, count=count, round_size=count // 8, top=top)
            name = f"{count} of {prompts * 15} comparisons over {prompts} prompts, " + (
                f"for the best {top}" if top else "for the whole order"
            )
            told(name)
            whole, uniform = held(world, prompts, pairing, runs)
            yield from _told(name, whole)
            yield from _told(f"{name}, by lot alone", uniform)
    for what, pairing in EARLY:
        name = f"80 prompts, ended {what}"
        told(name)
        whole, _ = held(world, 80, pairing, runs)
        yield Figure("adaptive", f"{name}: runs that reached it", whole.reached, "share")
        yield from _told(name, whole)


def _told(name: str, found: Held) -> Iterator[Figure]:
    met = 0.93 <= found.mean <= 0.97 and found.worst >= 0.9
    yield Figure(
        "adaptive",
        f"coverage of 95 % of pairs: {name}",
        found.mean,
        f"of {found.runs}",
        f"worst pair {found.worst:.3f}; {found.comparisons:.0f} comparisons in {found.rounds:.1f} rounds",
        None,
        "0.93 to 0.97, the worst pair >= 0.9",
        met,
    )
    yield Figure("adaptive", f"mean bias of differences: {name}", found.mean_bias, "Elo, + is too far apart")


def main(runs: int) -> None:
    """Print every figure, and which goals were met."""
    found = []
    for figure in figures(runs):
        print(figure, flush=True)
        found.append(figure)
    met = [figure.figure for figure in found if figure.met]
    missed = [figure.figure for figure in found if figure.met is False]
    print(json.dumps({"bench": "adaptive", "met": met, "missed": missed}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
