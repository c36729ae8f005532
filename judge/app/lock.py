"""A lock file next to an embedded store, so that only one process executes its runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from judge.domain.errors import StoreHeld


@contextlib.contextmanager
def held(database: Path) -> Iterator[None]:
    """Hold the lock of *database* inside the `with` block. The system frees it when the process ends.

    Raises StoreHeld, which names the process, if another one holds it.
    """
    path = database.with_name(database.name + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise StoreHeld(
                f"the store {database} is held by process {owner}. Stop it, or use its server with --server HOST:PORT",
                pid=owner,
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
