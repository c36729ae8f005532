"""Confidence levels as text."""

from __future__ import annotations


def level_text(level: float) -> str:
    """Format a level, or the share of errors beyond it, as a percentage that is not rounded to 0% or 100%.

    >>> level_text(0.95), level_text(0.996), level_text(1 - 0.9999)
    ('95%', '99.6%', '0.01%')
    """
    return f"{round(100 * level, 6):g}%"
