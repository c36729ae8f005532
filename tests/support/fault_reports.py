"""What every fault scenario shares: a line to report and a time limit."""

from __future__ import annotations

from collections.abc import Callable

REPORT_PROPERTY = "faults.said"
"""The property of a test report that holds a scenario's line."""
PATIENCE = 840.0
"""The time limit of a scenario in seconds, generous enough for a busy machine."""
Say = Callable[[str], None]
"""Reports the result of a scenario in one line: what was lost, what was repeated, and how much may be."""
