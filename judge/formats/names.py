"""Names that are not known, or that look like another one."""

from __future__ import annotations

import difflib
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from judge.domain.dataset import ImportedVerdict, Label, Output, Prompt
from judge.domain.scores import ScoreScale

MOST_NAMES = 200_000
"""Of more names of a kind, the rest are not checked, so that memory stays bounded."""
SHOWN = 3
_LIKELY = 2_000
"""Among more known names, a closest one is only looked for by what names look like."""


@dataclass
class NamesUsed:
    """The prompts and contestants that rows declare or name; of labels and verdicts, how many name each."""

    prompts: set[str] = field(default_factory=set)
    contestants: set[str] = field(default_factory=set)
    named_prompts: Counter[str] = field(default_factory=Counter)
    named_contestants: Counter[str] = field(default_factory=Counter)

    def add(self, item: object) -> None:
        """Add the names of a row."""
        if isinstance(item, Prompt):
            self._declare(self.prompts, item.prompt_id)
        elif isinstance(item, Output):
            self._declare(self.contestants, item.contestant)
        elif isinstance(item, (Label, ImportedVerdict)):
            self._name(self.named_prompts, item.prompt_id)
            self._name(self.named_contestants, item.left)
            if ScoreScale.named(item.right) is None:
                self._name(self.named_contestants, item.right)

    def update(self, other: NamesUsed) -> None:
        """Add the names of other rows."""
        self.prompts |= other.prompts
        self.contestants |= other.contestants
        self.named_prompts.update(other.named_prompts)
        self.named_contestants.update(other.named_contestants)

    @staticmethod
    def _declare(names: set[str], name: str) -> None:
        if len(names) < MOST_NAMES:
            names.add(name)

    @staticmethod
    def _name(names: Counter[str], name: str) -> None:
        if name in names or len(names) < MOST_NAMES:
            names[name] += 1


def unknown(named: Counter[str], known: Collection[str], what: str) -> str:
    """Say how many rows name which names that are not *known*, each with the closest known one; empty if none does.

    >>> unknown(Counter({"q1 ": 5, "q2": 1}), {"q1", "q2"}, "prompts")
    "5 rows name prompts that are not there: 'q1 ' (there is 'q1')"
    """
    missing = Counter({name: count for name, count in named.items() if name not in known})
    if not missing:
        return ""
    by_look = {looks(name): name for name in known}
    shown = [visible(name) + _closest(name, known, by_look) for name, _ in missing.most_common(SHOWN)]
    more = f", and {len(missing) - SHOWN:,} more" if len(missing) > SHOWN else ""
    rows = "1 row names" if missing.total() == 1 else f"{missing.total():,} rows name"
    return f"{rows} {what} that are not there: {', '.join(shown)}{more}"


def _closest(name: str, known: Collection[str], by_look: dict[str, str]) -> str:
    alike = by_look.get(looks(name))
    if alike is None and len(known) <= _LIKELY:
        alike = next(iter(difflib.get_close_matches(name, known, n=1)), None)
    return "" if alike is None else f" (there is {visible(alike)})"


def alike(names: Iterable[str]) -> Iterator[str]:
    """Yield the names that look alike, a text for each group: other blanks, capitals, or forms of one character."""
    groups: dict[str, set[str]] = {}
    for name in names:
        groups.setdefault(looks(name), set()).add(name)
    for group in sorted(sorted(group) for group in groups.values() if len(group) > 1):
        yield (
            f"{', '.join(map(visible, group))} count as different contestants, although only blanks, capitals, or "
            "forms of the same characters differ"
        )


def looks(name: str) -> str:
    """Return what a name looks like: without blanks, invisible characters, capitals, and forms of one character."""
    text = unicodedata.normalize("NFKC", name)
    return "".join(mark for mark in text if not mark.isspace() and unicodedata.category(mark) != "Cf").casefold()


def visible(name: str) -> str:
    """Return a name in quotes, with everything that could not be seen written as an escape sequence."""
    marks = [
        ascii(mark)[1:-1] if unicodedata.combining(mark) or unicodedata.category(mark)[0] == "C" else mark
        for mark in name
    ]
    return f"'{''.join(marks)}'"
