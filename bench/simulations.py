"""Simulations of what the statistics promise: `make bench-stats`, one JSON line a figure.

With names of parts as arguments, run only these.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import calibration_simulations
import design_coverage
import fit_simulations
import interval_coverage
import leaderboard_simulations
import people_simulations
import probe_simulations
import share_simulations
from figures import Figure

PARTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "calibration": calibration_simulations.rows,
    "coverage": design_coverage.rows,
    "fit": fit_simulations.rows,
    "leaderboards": leaderboard_simulations.rows,
    "people": people_simulations.rows,
    "intervals": interval_coverage.rows,
    "probes": probe_simulations.rows,
    "shares": share_simulations.rows,
}


def main() -> None:
    """Run the parts that were named, or all. Raises SystemExit for an unknown part."""
    names = sys.argv[1:] or list(PARTS)
    for name in names:
        if name not in PARTS:
            sys.exit(f"unknown part {name!r}; choose from {', '.join(PARTS)}")
    missed = 0
    for name in names:
        for figure in PARTS[name]():
            missed += figure.met is False
            print(figure, flush=True)
    print(f"{missed} goals missed", file=sys.stderr)


if __name__ == "__main__":
    main()
