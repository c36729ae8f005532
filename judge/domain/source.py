"""Sources: outcomes to rank or compare, named in one line of text.

judge:NAME   run:RUN/JUDGE   people   labels:PATTERN      each optionally @plurality or @majority
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from judge.domain.errors import InvalidInput, NotBuilt


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


class Merge(StrEnum):
    """How several votes on a comparison become one."""

    NONE = ""
    """They don't."""
    PLURALITY = "plurality"
    """Most votes; a tie for most is a tie."""
    MAJORITY = "majority"
    """More than half of the votes, else nothing."""


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed source. *name* is the judge, or the pattern of annotators; *run* the run's id."""

    kind: SourceKind
    name: str = ""
    run: str = ""
    merge: Merge = Merge.NONE

    @staticmethod
    def parse(text: str, field: str = "source") -> Source:
        """The source that *text* names; InvalidInput naming *field* otherwise."""
        body, at, merge = text.partition("@")
        if at and merge not in (Merge.PLURALITY, Merge.MAJORITY):
            # An annotator's name may itself hold an @.
            body, merge = text, ""
        head, _, rest = body.partition(":")
        if head == "jury":
            raise NotBuilt("source jury:... is not built yet; this release has judge, run, people and labels")
        if body == SourceKind.PEOPLE:
            return Source(SourceKind.PEOPLE, merge=Merge(merge))
        if head in (SourceKind.JUDGE, SourceKind.LABELS) and rest:
            return Source(SourceKind(head), name=rest, merge=Merge(merge))
        run, _, judge = rest.partition("/")
        if head == SourceKind.RUN and run:
            return Source(SourceKind.RUN, name=judge, run=run, merge=Merge(merge))
        raise InvalidInput(
            field,
            f"source {text[:80]!r} is none of judge:NAME, run:RUN/JUDGE, people, labels:PATTERN, "
            "each optionally @plurality or @majority",
            reason="INVALID_SOURCE",
        )

    def takes(self, annotator: str) -> bool:
        """Whether a labels source takes *annotator*."""
        return fnmatchcase(annotator, self.name)

    def __str__(self) -> str:
        """The text that parses to this source."""
        body = {
            SourceKind.PEOPLE: "people",
            SourceKind.RUN: f"run:{self.run}/{self.name}".rstrip("/"),
        }.get(self.kind, f"{self.kind}:{self.name}")
        return f"{body}@{self.merge}" if self.merge else body
