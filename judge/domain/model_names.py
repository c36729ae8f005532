"""Whether two names are of one model: providers answer with other forms of the name that was asked for."""

from __future__ import annotations

import re
from typing import Final

_REGION: Final = re.compile(r"^(?:[a-z]{2,}\.)+(?=[a-z])", re.ASCII)
"""The region and the vendor before a model of Bedrock: us.anthropic."""
_SUFFIX: Final = re.compile(
    r"(?:[-@:](?:\d{4}-\d\d-\d\d|\d\d-\d{4}|\d\d-\d\d|\d{3,4}|\d{6}|\d{8}|latest|preview|exp|free|v\d(?::\d)?))+$",
    re.ASCII,
)
"""What marks a snapshot or an alias at the end of a name."""


def is_same_model(asked: str, answered: str) -> bool:
    """Whether *answered* is the model *asked*: equal, or a dated or prefixed form of it.

    >>> is_same_model("gpt-5", "gpt-5-2026-01-01"), is_same_model("openai/o3", "o3")
    (True, True)
    >>> is_same_model("gpt-5", "gpt-5-mini")
    False
    >>> is_same_model("gpt-5-2026-01-01", "gpt-5-2026-02-02"), is_same_model("claude-x-latest", "claude-x-20260101")
    (False, True)
    """
    (name, snapshot), (other, other_snapshot) = _parts(asked), _parts(answered)
    return name == other and (not snapshot or not other_snapshot or snapshot == other_snapshot)


def _parts(name: str) -> tuple[str, str]:
    """Return a *name* without what is around it, and the digits of its snapshot, if it is one."""
    plain = _REGION.sub("", name.strip().lower().replace("\\", "/").rstrip("/").rpartition("/")[2])
    suffix = _SUFFIX.search(plain)
    if suffix is None:
        return plain, ""
    return plain[: suffix.start()], "".join(re.findall(r"\d{3,}", suffix[0].replace("-", "")))
