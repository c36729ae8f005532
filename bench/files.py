"""Files: a million battles ranked, a million labels imported, and files that are huge, broken or malicious.

python bench/files.py [PART]        rank, labels or limits; all of them by default
"""

from __future__ import annotations

import json
import os
import sys

# Set before numpy loads, and for the processes that are started: figures are for one core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")
# What is imported is compiled once, as in every installation.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def main() -> None:
    """Run the parts, and print which goals were met."""
    import file_labels  # noqa: PLC0415  # after the environment is set
    import file_limits  # noqa: PLC0415  # as above
    import file_rank  # noqa: PLC0415  # as above

    parts = {"rank": file_rank.figures, "labels": file_labels.figures, "limits": file_limits.figures}
    chosen = sys.argv[1:] or list(parts)
    met: list[str] = []
    missed: list[str] = []
    for part in chosen:
        for figure in parts[part]():
            print(figure, flush=True)
            if figure.met is not None:
                (met if figure.met else missed).append(figure.figure)
    print(json.dumps({"bench": "files", "met": met, "missed": missed}))


if __name__ == "__main__":
    main()
