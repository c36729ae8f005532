"""What a provider itself says that a call costs, in USD, in the words of those that do.

| provider | where |
| --- | --- |
| OpenRouter | usage.cost; with a key of your own at the provider, upstream_inference_cost comes in addition |
| Perplexity | usage.cost.total_cost, or else the sum of the other costs in usage.cost |
| DeepInfra | usage.estimated_cost |
| xAI | usage.cost_in_usd_ticks, of which a USD has 10,000,000,000 |
| LiteLLM | the header x-litellm-response-cost, and response_cost in _hidden_params |
| gateways | total_cost, cost_usd, total_cost_usd, cost_in_usd, usd_cost; the header x-response-cost |

Each may stand in the usage, in its cost_details, or beside the usage. Several state the same cost, so only the
largest counts. Only OpenRouter's part and that of the provider behind it are added up: if is_byok is true, or if it is
missing and OpenRouter's part is at most half of the other, as its fee is. The same amount in two places is one amount.

An amount that is negative, not finite, no number, more than a million USD, or in another currency is ignored.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from judge.domain.money import MICROS

COST: Final = "cost"
COST_TOTALS: Final = (
    *("estimated_cost", "total_cost", "cost_usd", "total_cost_usd", "cost_in_usd", "usd_cost", "response_cost"),
)
COST_TICKS: Final = "cost_in_usd_ticks"
COST_UPSTREAM: Final = "upstream_inference_cost"
COST_HEADERS: Final = ("x-litellm-response-cost", "x-response-cost")
_UPSTREAM_PARTS: Final = ("upstream_inference_prompt_cost", "upstream_inference_completions_cost")
_IN_COST: Final = ("total_cost", "total", "usd", "amount", "value")
"""Words for the whole in an object `cost`."""
_HOLDERS: Final = ("cost_details", "_hidden_params")
_BEHIND: Final = "llm_provider-"
"""What LiteLLM puts before the headers of the provider behind it."""
_TICKS = 10**10
_MOST_USD = 10**6
"""The most that a call can be said to cost."""
_FEE_SHARE = 0.5


def cost_in_usage(counts: Mapping[str, Any]) -> int:
    """Return the cost that a provider's *counts* of usage state, in micro-USD rounded up; 0 if they state none.

    >>> cost_in_usage({"prompt_tokens": 100, "cost": 0.00042})
    420
    >>> cost_in_usage({"cost": 0.05, "is_byok": True, "cost_details": {"upstream_inference_cost": 1}})
    1050000
    >>> cost_in_usage({"cost": 0.05, "total_cost": 1.05, "is_byok": True, "upstream_inference_cost": 1})
    1050000
    >>> cost_in_usage({"cost": -1})
    0
    """
    if not _in_usd(counts):
        return 0
    holders = [counts, *(held for name in _HOLDERS if isinstance(held := counts.get(name), Mapping))]
    cost = counts.get(COST)
    own = _whole(cost) if isinstance(cost, Mapping) else _usd(cost)
    upstream = max(map(_upstream, holders))
    byok = counts.get("is_byok")
    if byok is True or cost is None or (byok is None and own <= upstream * _FEE_SHARE):
        # The upstream provider bills its part to the user's own key.
        own += upstream
    elif byok is None:
        own = max(own, upstream)
    return _micros(max(own, *(amount for holder in holders for amount in _totals(holder))))


def cost_in_headers(headers: Mapping[str, str]) -> int:
    """Return the cost that an answer's *headers* state, in micro-USD rounded up; 0 if they state none.

    >>> cost_in_headers({"x-litellm-response-cost": "0.25", "x-litellm-key-spend": "12.5"})
    250000
    """
    return _micros(max(_usd(headers.get(before + name)) for name in COST_HEADERS for before in ("", _BEHIND)))


def _in_usd(holder: Mapping[str, Any]) -> bool:
    """Whether the amounts in *holder* are in USD, which they are if no currency is named."""
    currency = holder.get("currency")
    return not isinstance(currency, str) or currency.strip().upper() in ("", "USD", "$", "US$")


def _whole(cost: Mapping[str, Any]) -> float:
    """Return the whole in an object *cost*, or else the sum of its parts."""
    if not _in_usd(cost):
        return 0.0
    whole = max(_usd(cost.get(name)) for name in _IN_COST)
    return whole or sum(_usd(part) for name, part in cost.items() if str(name).endswith("_cost"))


def _upstream(holder: Mapping[str, Any]) -> float:
    """Return what the provider behind a router costs."""
    return max(_usd(holder.get(COST_UPSTREAM)), sum(_usd(holder.get(name)) for name in _UPSTREAM_PARTS))


def _totals(holder: Mapping[str, Any]) -> Iterator[float]:
    """Yield what *holder* states as the whole cost of the call."""
    yield from (_usd(holder.get(name)) for name in COST_TOTALS)
    yield _usd(holder.get(COST_TICKS), _TICKS)


def _usd(value: object, units: int = 1) -> float:
    """Return a *value* in so many *units* of a USD as USD, or 0 if it is no amount."""
    if isinstance(value, str) and len(value) <= 40 and value.isascii():  # noqa: PLR2004  # no number is longer
        try:
            value = float(value.strip().removeprefix("$").removesuffix("USD"))
        except ValueError:
            return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return value / units if 0 <= value <= _MOST_USD * units else 0.0


def _micros(usd: float) -> int:
    """Return USD in micro-USD, rounded up, but not because of an error of floating point."""
    return math.ceil(round(usd * MICROS, 6))
