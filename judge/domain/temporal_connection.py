"""The settings to reach Temporal, for the server's engine and for workers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TemporalConnection:
    """Temporal's frontend (HOST:PORT), the namespace and task queue to use there, and the window of open shards."""

    address: str = "127.0.0.1:7233"
    namespace: str = "default"
    task_queue: str = "judge"
    window: int = 4
    """Shards of each judge of a run that are executed at the same time, counted over all workers."""
