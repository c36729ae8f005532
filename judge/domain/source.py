"""Sources of outcomes to rank or compare, each named in one line of text.

judge:NAME   run:RUN/JUDGE      each optionally @tie, @drop, @each or @soft: how its two orders become one outcome
people       labels:PATTERN     each optionally @plurality, @plurality-drop, @plurality-split or @majority
jury:A+B*2+C>=2                 judges with weights, and how many of them must have an outcome; optionally
                                @plurality-drop, @majority or @mean
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from judge.domain.errors import InvalidInput
from judge.domain.outcome import Reconcile


class SourceKind(StrEnum):
    """Where outcomes come from."""

    JUDGE = "judge"
    """A judge's verdicts over a dataset."""
    RUN = "run"
    """One judge's verdicts in one run."""
    PEOPLE = "people"
    """Labels of kind human."""
    LABELS = "labels"
    """Labels by annotator name."""
    JURY = "jury"
    """Several judges' verdicts over a dataset, merged into one outcome per comparison."""


LABELS = ("plurality", "plurality-drop", "plurality-split", "majority")
JURIES = ("plurality", "plurality-drop", "majority", "mean")


class Merge(StrEnum):
    """How several votes on a comparison become one."""

    NONE = ""
    """They are not merged."""
    PLURALITY = "plurality"
    """The outcome with the most votes. If several have the most, the outcome is a tie."""
    PLURALITY_DROP = "plurality-drop"
    """The outcome with the most votes. If several have the most, there is no outcome."""
    PLURALITY_SPLIT = "plurality-split"
    """The outcome with the most votes. If several have the most, each gets a part of a vote (in rankings only)."""
    MAJORITY = "majority"
    """The outcome with more than half of the votes, or else none."""
    MEAN = "mean"
    """The mean of the jury's left scores: a soft outcome."""


@dataclass(frozen=True, slots=True)
class Member:
    """A judge of a jury, and the weight of its vote."""

    judge: str
    weight: float = 1.0

    def __str__(self) -> str:
        return self.judge if self.weight == 1 else f"{self.judge}*{self.weight:g}"


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed source. *name* is the judge or the pattern of annotators, and *run* is the run's id.

    *reconcile* says how a judge's two orders become one outcome. None means the report's own rule.

    A jury has *members*. At least *least* of them must have an outcome on a comparison.
    """

    kind: SourceKind
    name: str = ""
    run: str = ""
    merge: Merge = Merge.NONE
    members: tuple[Member, ...] = ()
    least: int = 0
    reconcile: Reconcile | None = None

    @staticmethod
    def parse(text: str, field: str = "source") -> Source:
        """Return the source that *text* names. Raises InvalidInput, which names *field*, if it names none."""
        body, at, merge = text.partition("@")
        if body.startswith("jury:"):
            return _jury(body.removeprefix("jury:"), merge or Merge.PLURALITY, field)
        head, _, rest = body.partition(":")
        if head in (SourceKind.PEOPLE, SourceKind.LABELS) and at and merge not in LABELS:
            # An annotator's name may contain an @.
            body, rest, merge = text, text.partition(":")[2], ""
        if body == SourceKind.PEOPLE:
            return Source(SourceKind.PEOPLE, merge=Merge(merge))
        if head == SourceKind.LABELS and rest:
            return Source(SourceKind.LABELS, name=rest, merge=Merge(merge))
        known = {rule.name.lower(): rule for rule in Reconcile}
        # A run may be given by its resource name.
        run, _, judge = rest.removeprefix("runs/").partition("/")
        if head in (SourceKind.JUDGE, SourceKind.RUN) and run and (not at or merge in known):
            if head == SourceKind.RUN:
                return Source(SourceKind.RUN, name=judge, run=run, reconcile=known.get(merge))
            return Source(SourceKind.JUDGE, name=rest, reconcile=known.get(merge))
        raise InvalidInput(
            field,
            f"source {text[:80]!r} is none of judge:NAME or run:RUN/JUDGE (optionally @tie, @drop, @each, @soft), "
            f"people or labels:PATTERN (optionally @{', @'.join(LABELS)}), jury:A+B (optionally @{', @'.join(JURIES)})",
            reason="INVALID_SOURCE",
        )

    def takes(self, annotator: str) -> bool:
        """Whether the source includes the labels of *annotator*."""
        return fnmatchcase(annotator, self.name)

    def __str__(self) -> str:
        """The text that parses to this source."""
        body = {
            SourceKind.PEOPLE: "people",
            SourceKind.RUN: f"run:{self.run}/{self.name}".rstrip("/"),
            SourceKind.JURY: f"jury:{'+'.join(map(str, self.members))}>={self.least}",
        }.get(self.kind, f"{self.kind}:{self.name}")
        rule = self.merge or (self.reconcile.name.lower() if self.reconcile else "")
        return f"{body}@{rule}" if rule else body


def _jury(body: str, merge: str, field: str) -> Source:
    names, at_least, least = body.partition(">=")
    members = tuple(_member(part, field) for part in names.split("+"))
    quorum = int(least) if least.isascii() and least.isdigit() else 0
    problem = ""
    if len({member.judge for member in members}) < max(len(members), 2):
        problem = f"a jury needs at least two different judges, not {names!r}"
    elif merge not in JURIES:
        problem = f"a jury can be merged with @{', @'.join(JURIES)}, not with @{merge}"
    elif at_least and not 1 <= quorum <= len(members):
        problem = f">={least} must be a number of members from 1 to {len(members)}"
    if problem:
        raise InvalidInput(field, problem, reason="INVALID_SOURCE")
    # The default is more than half of the members.
    return Source(SourceKind.JURY, merge=Merge(merge), members=members, least=quorum or len(members) // 2 + 1)


def _member(text: str, field: str) -> Member:
    name, star, number = text.partition("*")
    try:
        weight = float(number) if star else 1.0
    except ValueError:
        weight = 0.0
    if not name or not 0 < weight < math.inf:
        raise InvalidInput(
            field, f"{text!r} cannot be a member of a jury. Write JUDGE or JUDGE*WEIGHT", reason="INVALID_SOURCE"
        )
    return Member(name, weight)
