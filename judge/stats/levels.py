"""The level of an interval."""

from judge.stats.errors import StatisticsError


def check_level(level: float) -> float:
    """Return the *level* of an interval. Raises StatisticsError unless it is between 0 and 1.

    >>> check_level(0.95)
    0.95
    """
    if not 0 < level < 1:
        raise StatisticsError(f"The level of an interval must be between 0 and 1, not {level}.")
    return level
