"""The ranking benchmarks: simulations, pairing, and speed next to peers. Prints one JSON line per figure.

Run it in an environment with the peers: evalica, arenakit, arena-rank and choix. The last line says which goals were
met.
"""

from __future__ import annotations

import json
import os
import sys

# Set before numpy loads: fits are too small for a second BLAS thread, and figures are for one core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

PARTS = ("speed", "pairing", "simulations")


def main(parts: list[str]) -> None:
    """Run *parts*, or all of them if there are none."""
    import rank_pairing  # noqa: PLC0415  # after the environment is set
    import rank_simulations  # noqa: PLC0415
    import rank_speed  # noqa: PLC0415

    benches = dict(zip(PARTS, (rank_speed, rank_pairing, rank_simulations), strict=True))
    met: list[str] = []
    missed: list[str] = []
    for part in parts or PARTS:
        for figure in benches[part].figures():
            print(figure, flush=True)
            if figure.met is not None:
                (met if figure.met else missed).append(f"{figure.bench}: {figure.figure}")
    print(json.dumps({"bench": "rank", "met": met, "missed": missed}))


if __name__ == "__main__":
    main(sys.argv[1:])
