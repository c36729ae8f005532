"""Sources of outcomes to rank or compare, each named in one line of text.

judge:NAME   run:RUN/JUDGE      each optionally @tie, @drop, @each, @both or @soft: how two orders become an outcome
people       labels:PATTERN     each optionally @plurality, @plurality-drop, @plurality-split or @majority
jury:A+B*2+C>=2                 judges with weights, and how many of them must have an outcome; optionally
                                @plurality-drop, @majority or @mean

Any other @ belongs to the name. A name may be quoted as in JSON: judge:"a@tie", labels:"*", jury:"a+b"+c.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection
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
        name = _quoted(self.judge, marks='+*>"')
        return name if self.weight == 1 else f"{name}*{self.weight:g}"


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
        """Return the source that *text* names. Raises InvalidInput, which names *field*, if it names none.

        >>> Source.parse("judge:claude-3-5-sonnet@20240620@soft").name
        'claude-3-5-sonnet@20240620'
        """
        head, _, rest = text.partition(":")
        if head.startswith(SourceKind.PEOPLE) and not rest:
            body, rule = _split_rule(head, LABELS, field)
            if body == SourceKind.PEOPLE:
                return Source(SourceKind.PEOPLE, merge=Merge(rule))
        if head == SourceKind.LABELS and rest:
            body, rule = _split_rule(rest, LABELS, field)
            # In quotes, a name is no pattern.
            return Source(SourceKind.LABELS, name=_unquoted(body, field, escape=_no_pattern), merge=Merge(rule))
        if head == SourceKind.JURY:
            return _jury(*_split_rule(rest, JURIES, field), field)
        body, rule = _split_rule(rest, _RULES, field)
        # A run may be given by its resource name.
        run, _, judge = body.removeprefix("runs/").partition("/")
        if head == SourceKind.RUN and run:
            return Source(SourceKind.RUN, name=_unquoted(judge, field), run=run, reconcile=_RULES.get(rule))
        if head == SourceKind.JUDGE and body:
            return Source(SourceKind.JUDGE, name=_unquoted(body, field), reconcile=_RULES.get(rule))
        raise InvalidInput(
            field,
            f"source {text[:80]!r} is none of judge:NAME or run:RUN/JUDGE (optionally @{', @'.join(_RULES)}), "
            f"people or labels:PATTERN (optionally @{', @'.join(LABELS)}), jury:A+B (optionally @{', @'.join(JURIES)})"
            '; names may be quoted: judge:"a@tie"',
            reason="INVALID_SOURCE",
        )

    def takes(self, annotator: str) -> bool:
        """Whether the source includes the labels of *annotator*."""
        return fnmatchcase(annotator, self.name)

    def __str__(self) -> str:
        """The text that parses to this source."""
        match self.kind:
            case SourceKind.PEOPLE:
                body = "people"
            case SourceKind.JURY:
                body = f"jury:{'+'.join(map(str, self.members))}>={self.least}"
            case SourceKind.RUN:
                body = f"run:{self.run}/{_quoted(self.name)}".rstrip("/")
            case SourceKind.JUDGE:
                body = f"judge:{_quoted(self.name)}"
            case SourceKind.LABELS:
                pattern, _, rule = self.name.rpartition("@")
                body = f"labels:{pattern}[@]{rule}" if rule in _ALL_RULES else f"labels:{self.name}"
        rule = self.merge or (self.reconcile.name.lower() if self.reconcile else "")
        return f"{body}@{rule}" if rule else body


_RULES = {rule.name.lower(): rule for rule in Reconcile}


_ALL_RULES = {*_RULES, *LABELS, *JURIES}


def _split_rule(text: str, rules: Collection[str], field: str) -> tuple[str, str]:
    """Split a rule off the end of *text*, after an @. Any other @ belongs to the name.

    Raises InvalidInput for a rule that is none of *rules*, which are those of the kind of source.
    """
    body, at, rule = text.rpartition("@")
    if not at or rule not in _ALL_RULES:
        return text, ""
    if rule not in rules:
        allowed = f"can have @{', @'.join(rules)}, not @{rule}" if rules else f"cannot have @{rule}"
        message = f"{text[:80]!r} {allowed}; if that is part of a name, put the name in quotes"
        raise InvalidInput(field, message, reason="INVALID_SOURCE")
    return body, rule


def _unquoted(text: str, field: str, escape: Callable[[str], str] = str) -> str:
    """Return a name, which may be quoted as in JSON; *escape* is applied to a quoted one."""
    if not text.startswith('"'):
        return text
    try:
        name = json.loads(text)
    except ValueError:
        raise InvalidInput(field, f"{text[:80]} is not a name in quotes", reason="INVALID_SOURCE") from None
    return escape(name)


def _quoted(name: str, marks: str = "") -> str:
    """Return a name as it can be parsed again: in quotes if it has one of *marks*, or ends with a rule."""
    if name.startswith('"') or name.rpartition("@")[2] in _ALL_RULES or not {*marks}.isdisjoint(name):
        return json.dumps(name, ensure_ascii=False)
    return name


def _no_pattern(name: str) -> str:
    return re.sub(r'([*?["])', r"[\1]", name)


_MEMBER = re.compile(r"""("(?:[^"\\]|\\.)*"|[^+"*>]*)(?:\*([^+>]*))?""")


def _jury(body: str, merge: str, field: str) -> Source:
    members, end = [], 0
    while True:
        match = _MEMBER.match(body, end)
        members.append(_member(match[1] if match else "", match[2] if match else None, field))
        end = match.end() if match else end
        if body[end : end + 1] != "+":
            break
        end += 1
    rest = body[end:]
    least = rest.removeprefix(">=")
    quorum = int(least) if least.isascii() and least.isdigit() else 0
    problem = ""
    if len({member.judge for member in members}) < max(len(members), 2):
        problem = f"a jury needs at least two different judges, not {body[:end]!r}"
    elif rest and (least == rest or not 1 <= quorum <= len(members)):
        problem = f"{rest} must be >= and a number of members from 1 to {len(members)}"
    if problem:
        raise InvalidInput(field, problem, reason="INVALID_SOURCE")
    # The default is more than half of the members.
    return Source(
        SourceKind.JURY,
        merge=Merge(merge or Merge.PLURALITY),
        members=tuple(members),
        least=quorum or len(members) // 2 + 1,
    )


def _member(text: str, number: str | None, field: str) -> Member:
    name = _unquoted(_split_rule(text, (), field)[0], field)
    try:
        weight = 1.0 if number is None else float(number)
    except ValueError:
        weight = 0.0
    if not name or not 0 < weight < math.inf:
        written = text if number is None else f"{text}*{number}"
        raise InvalidInput(
            field, f"{written!r} cannot be a member of a jury. Write JUDGE or JUDGE*WEIGHT", reason="INVALID_SOURCE"
        )
    return Member(name, weight)
