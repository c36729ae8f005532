"""Amounts of money: micro-USD, and how they are written."""

from __future__ import annotations

import math
from typing import Final

MICROS: Final = 1_000_000
"""Micro-USD in a USD."""
_SMALLEST: Final = 100
"""The least micro-USD that four decimals show."""


def usd(micros: float) -> str:
    """Write micro-USD as USD: two decimals from a dollar on, four below, and two digits of what is smaller than that.

    >>> usd(0), usd(1_234_567_890), usd(12_300), usd(50), usd(0.25)
    ('0.00', '1,234.57', '0.0123', '0.00005', '0.00000025')
    """
    amount = micros / MICROS
    if micros >= MICROS or not micros:
        return f"{amount:,.2f}"
    if abs(micros) >= _SMALLEST:
        return f"{amount:,.4f}"
    return f"{amount:.{1 - math.floor(math.log10(abs(amount)))}f}".rstrip("0")
