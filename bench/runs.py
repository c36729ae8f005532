"""Large runs: next to a bare loop, on Temporal with workers, and a million verdicts on SQLite with a kill half-way.

python bench/runs.py [VERDICTS]        1,000,000 by default
"""

from __future__ import annotations

import json
import os
import sys

# Set before numpy loads: figures are for one core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Run all three, and print which goals were met."""
    import run_beside  # noqa: PLC0415  # after the environment is set
    import run_million  # noqa: PLC0415  # as above
    import run_workers  # noqa: PLC0415  # as above

    verdicts = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    met: list[str] = []
    missed: list[str] = []
    for figures in (run_beside.figures(), run_workers.figures(), run_million.figures(verdicts)):
        for figure in figures:
            print(figure, flush=True)
            if figure.met is not None:
                (met if figure.met else missed).append(figure.figure)
    print(json.dumps({"bench": "runs", "met": met, "missed": missed}))


if __name__ == "__main__":
    main()
