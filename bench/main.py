"""Runs every bench, one after another, and prints a JSON line a figure; the last line says which goals were met."""

from __future__ import annotations

import json
import os

# Before numpy loads: fits are too small for a second BLAS thread, and figures are of one core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Run them all."""
    import judge_calls  # noqa: PLC0415  # after the line above
    import run_speed  # noqa: PLC0415
    import startup  # noqa: PLC0415
    import uploads  # noqa: PLC0415

    met: list[str] = []
    missed: list[str] = []
    for bench in (startup, uploads, run_speed, judge_calls):
        for figure in bench.figures():
            print(figure, flush=True)
            if figure.met is not None:
                (met if figure.met else missed).append(f"{figure.bench}: {figure.figure}")
    print(json.dumps({"bench": "all", "met": met, "missed": missed}))


if __name__ == "__main__":
    main()
