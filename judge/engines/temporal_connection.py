"""How to reach Temporal, as both the server's engine and the workers need it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TemporalConnection:
    """Temporal's frontend (HOST:PORT), the namespace and task queue used there, and the window of open shards."""

    address: str = "127.0.0.1:7233"
    namespace: str = "default"
    task_queue: str = "judge"
    window: int = 4
    """Shards of each judge of a run that are executed at the same time, over all workers."""
