"""From the configured settings of Temporal to the engine's."""

from __future__ import annotations

from judge.config.settings import TemporalSettings
from judge.domain.temporal_connection import TemporalConnection


def temporal_connection(settings: TemporalSettings) -> TemporalConnection:
    """Return the connection that *settings* describe."""
    return TemporalConnection(
        address=settings.address,
        namespace=settings.namespace,
        task_queue=settings.task_queue,
        window=settings.window,
    )
