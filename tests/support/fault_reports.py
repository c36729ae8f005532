"""What every scenario has in common: a line to say, and an end."""

from __future__ import annotations

from collections.abc import Callable

SAID = "faults.said"
PATIENCE = 840.0
"""Seconds within which a scenario ends, however busy the machine is."""
Say = Callable[[str], None]
"""Takes what a scenario has to say, in one line: what was lost, what was repeated, and how much may be."""
