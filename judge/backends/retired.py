"""Which models their vendors have shut down: a dated list that ships with the release."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).with_name("retired_models.toml")
_SNAPSHOT: Final = re.compile(r"-(?:\d{4}-\d\d-\d\d|\d{4}|\d{8}|latest)$", re.ASCII)
"""The end of a snapshot's name: gpt-4o-2024-08-06, gpt-4-0613, claude-3-opus-20240229, claude-3-opus-latest."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """A *model* that its *vendor* shut down, or will, on *day*. *as_of* is the day on which the list was made."""

    vendor: str
    model: str
    day: date
    as_of: date


def retirement(model: str, vendor: str = "openai") -> Retirement | None:
    """Return when *vendor* shut *model* down, or will; None if the list does not have it.

    A router's prefix names the vendor: `openai/gpt-4` is OpenAI's.

    >>> retirement("openai/gpt-4-0613", "").day.isoformat()
    '2026-10-23'
    >>> retirement("claude-3-opus-20240229", "anthropic").day.isoformat()
    '2026-01-05'
    >>> retirement("gpt-6.2-sol") is None
    True
    """
    prefix, _, name = model.lower().removeprefix("ft:").rpartition("/")
    vendor = prefix.rpartition("/")[2] or vendor
    as_of, by_vendor = _retirements()
    models = by_vendor.get(vendor, {})
    listed = name if name in models else _SNAPSHOT.sub("", name)
    if listed not in models:
        return None
    return Retirement(vendor=vendor, model=listed, day=models[listed], as_of=as_of)


@lru_cache(maxsize=1)
def _retirements() -> tuple[date, dict[str, dict[str, date]]]:
    """Return the day of the list, and the models of each vendor with their last days."""
    listed = tomllib.loads(_FILE.read_text("utf-8"))
    return listed.pop("as_of"), listed
