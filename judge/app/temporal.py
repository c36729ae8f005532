"""Temporal's settings from the configuration, as the engine takes them."""

from __future__ import annotations

from judge.config.settings import TemporalSettings
from judge.engines.temporal_connection import TemporalConnection


def temporal_connection(settings: TemporalSettings) -> TemporalConnection:
    """The connection that *settings* describe."""
    return TemporalConnection(
        address=settings.address,
        namespace=settings.namespace,
        task_queue=settings.task_queue,
        window=settings.window,
    )
