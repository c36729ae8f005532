"""The ranking bench: simulations, pairing, and speed beside the peers; a JSON line a figure, the goals met at the end.

Run by an environment that has the peers: evalica, arenakit, arena-rank and choix.
"""

from __future__ import annotations

import json
import os
import sys

# Before numpy loads: fits are too small for a second BLAS thread, and figures are of one core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

PARTS = ("speed", "pairing", "simulations")


def main(parts: list[str]) -> None:
    """Run the *parts* asked for, or all."""
    import rank_pairing  # noqa: PLC0415  # after the line above
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
