"""What a provider itself says that a call costs, in USD, in the words of those that do.

| provider | where |
| --- | --- |
| OpenRouter | usage.cost, and with a key of your own usage.cost_details.upstream_inference_cost in addition |
| Perplexity | usage.cost.total_cost |
| DeepInfra | usage.estimated_cost |
| xAI | usage.cost_in_usd_ticks, of which a USD has 10,000,000,000 |
| LiteLLM | the header x-litellm-response-cost |

An amount that is negative, not finite, no number, or more than a million USD is ignored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from judge.domain.money import MICROS

COST: Final = ("cost", "estimated_cost")
COST_TICKS: Final = "cost_in_usd_ticks"
COST_TOTAL: Final = "total_cost"
COST_UPSTREAM: Final = "upstream_inference_cost"
COST_HEADER: Final = "x-litellm-response-cost"
_TICKS = 10**10
_MOST_USD = 10**6
"""The most that a call can be said to cost."""


def cost_in_usage(counts: Mapping[str, Any]) -> int:
    """Return the cost that a provider's *counts* of usage state, in micro-USD rounded up; 0 if they state none.

    >>> cost_in_usage({"prompt_tokens": 100, "cost": 0.00042})
    420
    >>> cost_in_usage({"cost": 0.05, "is_byok": True, "cost_details": {"upstream_inference_cost": 1}})
    1050000
    >>> cost_in_usage({"cost": -1})
    0
    """
    cost = counts.get(COST[0])
    stated = _usd(cost.get(COST_TOTAL) if isinstance(cost, Mapping) else cost)
    details = counts.get("cost_details")
    upstream = _usd(details.get(COST_UPSTREAM)) if isinstance(details, Mapping) else 0.0
    if counts.get("is_byok") is True or upstream > stated:
        # The upstream provider bills its part to the user's own key.
        stated += upstream
    return _micros(max(stated, _usd(counts.get(COST[1])), _usd(counts.get(COST_TICKS), _TICKS)))


def cost_in_headers(headers: Mapping[str, str]) -> int:
    """Return the cost that an answer's *headers* state, in micro-USD rounded up; 0 if they state none."""
    return _micros(_usd(headers.get(COST_HEADER)))


def _usd(value: object, units: int = 1) -> float:
    """Return a *value* in so many *units* of a USD as USD, or 0 if it is no amount."""
    if isinstance(value, str) and len(value) <= 40 and value.isascii():  # noqa: PLR2004  # no number is longer
        try:
            value = float(value)
        except ValueError:
            return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return value / units if 0 <= value <= _MOST_USD * units else 0.0


def _micros(usd: float) -> int:
    """Return USD in micro-USD, rounded up, but not because of an error of floating point."""
    return math.ceil(round(usd * MICROS, 6))
