"""`judge store copy`: copy a store into another while no process executes runs on either."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from judge.app.lock import held
from judge.ports.clock import SystemClock
from judge.store.copy import Copied, check_source, copy_store
from judge.store.postgresql import executing, is_postgresql
from judge.store.sqlite import file_of

__all__ = ["Copied", "copy_exclusively"]


def copy_exclusively(source: str, target: str, report: Callable[[Copied], None]) -> Sequence[Copied]:
    """Copy the store at the URL *source* into the empty one at *target*, and call *report* after each table.

    Raises StoreHeld if a process executes runs on one of them.
    """
    check_source(source)
    with contextlib.ExitStack() as stack:
        for url in dict.fromkeys((source, target)):
            stack.enter_context(executing(url) if is_postgresql(url) else held(file_of(url)))
        return copy_store(source, target, SystemClock(), report)
