"""Log events, named `noun.past_participle`, with values as fields. Judged texts and keys are never fields."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(level: str = "info", *, json: bool = False) -> None:
    """Log to stderr from *level* up, as lines for people or as JSON. Call it once, at start-up.

    Retries are not logged one by one: what fails after them is, and a run that waits says why.
    """
    from stamina.instrumentation import set_on_retry_hooks  # noqa: PLC0415  # not every command retries

    set_on_retry_hooks(())
    renderer = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of the component called *name*."""
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger(component=name)
    return log
