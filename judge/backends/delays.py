"""How long a provider asks to wait before the next call: in headers, or in the words of its error.

| header | value |
| --- | --- |
| `retry-after-ms`, `retry-after` | milliseconds; seconds or an HTTP date |
| `x-ratelimit-reset-requests`, `-tokens`, if what remains of it is 0 | `1s`, `6m0s`, seconds, or a time |
| `anthropic-ratelimit-requests-reset`, `-tokens-`, `-input-tokens-`, `-output-tokens-`, likewise | a time (RFC 3339) |
| `x-ratelimit-reset`, `ratelimit-reset`, likewise | seconds, or a time in seconds or milliseconds since 1970 |

A time is compared with the answer's own `date`. A delay that is negative, no number, or in the past counts as missing,
and a delay of more than a day counts as a day: a provider that names a later time is wrong, or is asked again then.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_DELAY: Final = 86400.0
"""The most seconds that a provider can make a run wait until it is asked again."""
_PART: Final = re.compile(r"(\d+(?:\.\d+)?) ?(ms|m(?:in\w*)?|h(?:ours?)?|s(?:ec\w*)?)(?![a-z])", re.IGNORECASE)
_HINT: Final = re.compile(rf"(?:again|retry|resets?) (?:in|after):? ((?:{_PART.pattern}[ ,]*)+)", re.IGNORECASE)
"""How long to wait, in the words of OpenAI, Azure, Groq and Gemini: "try again in 7m12.5s", "retry in 24s"."""
_UNITS: Final[Mapping[str, float]] = {"h": 3600, "m": 60, "s": 1}
_LIMITS: Final = (
    *((f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}") for kind in ("requests", "tokens")),
    *(
        (f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset")
        for kind in ("requests", "tokens", "input-tokens", "output-tokens")
    ),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
)
"""The headers of what remains of a limit, and of when it is renewed."""
_TIME_SECONDS, _TIME_MILLISECONDS = 1e9, 1e12
"""Numbers from which on a reset is a time since 1970, and not a delay."""


def delay_in_headers(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds to wait by a Retry-After in *headers*, at most a day; None if they name no delay.

    >>> delay_in_headers({"retry-after": "7"}), delay_in_headers({"retry-after": "1e9"})
    (7.0, 86400.0)
    >>> delay_in_headers({"retry-after": "-7"}) is None, delay_in_headers({"retry-after": "nan"}) is None
    (True, True)
    """
    for name, per_second in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / per_second
        except ValueError:
            continue
        if 0 <= seconds < math.inf:
            return min(seconds, LONGEST_DELAY)
    return _until(_http_date(headers.get("retry-after", "")), headers)


def delay_of_limits(headers: Mapping[str, str]) -> float | None:
    """Return in how many seconds the limits in *headers* of which nothing remains are renewed, at most a day.

    >>> delay_of_limits({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0.5s"})
    360.5
    """
    return max(_resets(headers), default=None)


def delay_in_words(message: str) -> float | None:
    """Return how many seconds to wait by an error's *message*, at most a day, or None if it does not say.

    >>> delay_in_words("Rate limit reached. Please try again in 7m12s.")
    432.0
    """
    hint = _HINT.search(message)
    return _seconds(hint[1]) if hint else None


def _seconds(text: str) -> float | None:
    """Return the length of a time such as 7m12.5s, at most a day; None if *text* is none."""
    parts = _PART.findall(text)
    seconds = sum(float(n) * (0.001 if unit.lower() == "ms" else _UNITS[unit[0].lower()]) for n, unit in parts)
    return min(float(seconds), LONGEST_DELAY) if parts else None


def _resets(headers: Mapping[str, str]) -> Iterator[float]:
    """Yield in how many seconds each limit of which nothing remains is renewed."""
    for remaining, reset in _LIMITS:
        if headers.get(remaining, "0").strip() != "0":
            continue
        value = headers.get(reset, "").strip()
        try:
            number = float(value)
        except ValueError:
            seconds = _seconds(value) if "T" not in value else _until(_timestamp(value), headers)
        else:
            seconds = _delay(number, headers)
        if seconds is not None:
            yield seconds


def _delay(number: float, headers: Mapping[str, str]) -> float | None:
    """Return the delay that a *number* is, or the one until the time that it is."""
    if number >= _TIME_SECONDS:
        return _until(number / 1000 if number >= _TIME_MILLISECONDS else number, headers)
    return min(number, LONGEST_DELAY) if 0 <= number < math.inf else None


def _until(time: float | None, headers: Mapping[str, str]) -> float | None:
    """Return the seconds from the answer's date to *time*, at most a day; None if one is missing or it is past."""
    now = _http_date(headers.get("date", ""))
    if time is None or now is None or not math.isfinite(time) or time <= now:
        return None
    return min(time - now, LONGEST_DELAY)


def _http_date(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None


def _timestamp(value: str) -> float | None:
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
