"""Run every benchmark in turn and print one JSON line per figure. The last line says which goals were met."""

from __future__ import annotations

import json
import os

# Set before numpy loads: fits are too small for a second BLAS thread, and figures are for one core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Run all benchmarks."""
    import judge_calls  # noqa: PLC0415  # after the environment is set
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
