"""What a call used."""

from __future__ import annotations

from typing import NamedTuple


class Usage(NamedTuple):
    """What a call used: tokens, micro-USD, milliseconds, attempts."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0
    latency_ms: int = 0
    tries: int = 1
    written_input_tokens: int = 0
    """Input tokens that the provider wrote to its cache at a price of their own. Part of the cost; not stored."""
    counted: bool = True
    """Whether the provider counted input and output. If not, the call costs the most that it can; not stored."""
    stated_micros: int = 0
    """What the provider itself says that the call costs. The call costs at least that; not stored."""
