"""The words that the glossary retired, what to write instead, and the few places that keep them.

To retire a word, add a line here and to docs/glossary.md. A place that has to keep an old word, because the word is
hashed, stored or somebody else's, gets a line in `ALLOWED` with its reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatch
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Scope(Enum):
    """In which identifiers a retired word is looked for."""

    ANY_NAME = "a word of any identifier: names, attributes, keywords, strings and files that hold identifiers"
    OWN_NAME = "a word of an identifier that our code defines, so that `math.floor` stays what it is"
    WHOLE_NAME = "the whole name of anything that our code defines"
    DEFINITION = "the whole name of a module, a class or a function"


@dataclass(frozen=True)
class RetiredWord:
    """A word that identifiers must not contain. `forms` are its spellings; `a_b` means two words in a row."""

    forms: tuple[str, ...]
    instead: str
    scope: Scope = Scope.ANY_NAME

    @property
    def label(self) -> str:
        """The word in the names of tests and in the list of allowed places."""
        return self.forms[0]


@dataclass(frozen=True)
class RetiredPhrase:
    """A phrase that texts must not contain: strings, docstrings, comments and pages.

    Patterns are in lower case, and a space in them stands for any gap. What `innocent` matches is skipped.
    """

    label: str
    pattern: str
    instead: str
    innocent: str = ""

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where the phrase begins and ends in a text that is in lower case."""
        innocent = f"{self.innocent}|" if self.innocent else ""
        expression = re.compile(f"{innocent}(?P<phrase>{self.pattern})".replace(" ", r"\s+"))
        for match in expression.finditer(text):
            if match["phrase"] is not None:
                yield match.span()


@dataclass(frozen=True)
class Allowed:
    """Files that may keep some retired words, or all of them. `text` limits that to places that contain it."""

    files: str
    reason: str
    labels: tuple[str, ...] = ()
    text: str = ""

    def covers(self, path: str, label: str, text: str) -> bool:
        """Whether a place in a file may keep a word."""
        return fnmatch(path, self.files) and self.text in text and (not self.labels or label in self.labels)


WORDS = (
    RetiredWord(("yardstick", "yardsticks"), "baseline judge"),
    RetiredWord(("showing", "showings"), "presentation"),
    RetiredWord(("epoch", "epochs"), "cache_tag"),
    RetiredWord(("reading", "readings"), "parsed verdict"),
    RetiredWord(("board", "boards"), "leaderboard (ratings) or dataset index (prompts, outputs and contestants)"),
    RetiredWord(("wheres",), "comparison index or comparison keys"),
    RetiredWord(("where",), "comparison key", Scope.WHOLE_NAME),
    RetiredWord(("left_share", "left_shares", "vote_share", "vote_shares"), "left score"),
    RetiredWord(("lot", "lots"), "uniform sample, uniform"),
    RetiredWord(("told_apart", "tell_apart"), "separated, significantly different"),
    RetiredWord(("doubt", "doubts"), "uncertainty"),
    RetiredWord(("letters",), "characters", Scope.OWN_NAME),
    RetiredWord(("rival", "rivals"), "second source"),
    RetiredWord(("lane", "lanes"), "judge partition"),
    RetiredWord(("pace", "paces"), "rate limit"),
    RetiredWord(("room", "rooms"), "memory limit, or what the room is for", Scope.OWN_NAME),
    RetiredWord(("house", "houses"), "service, or fixture in tests"),
    RetiredWord(("door", "doors"), "entry point"),
    RetiredWord(("floor", "floors"), "layer, or minimum of a number", Scope.OWN_NAME),
    RetiredWord(("prompts_wanted", "votes_wanted"), "prompts needed"),
    RetiredWord(("ties_kept", "ties_keep"), "with ties"),
    RetiredWord(("ties_dropped", "ties_drop"), "without ties"),
    RetiredWord(("given_up", "give_up", "gave_up"), "failed"),
    RetiredWord(("left_alone", "leave_alone"), "quarantined"),
    RetiredWord(("suspect", "suspects"), "quarantined"),
    RetiredWord(("poison", "poisoned"), "quarantined"),
    RetiredWord(("told",), "the name of the value", Scope.WHOLE_NAME),
    RetiredWord(("said",), "the name of the value", Scope.WHOLE_NAME),
    RetiredWord(("found",), "the name of the value", Scope.WHOLE_NAME),
    RetiredWord(("one",), "the name of the value", Scope.WHOLE_NAME),
    RetiredWord(("many",), "the name of the value", Scope.WHOLE_NAME),
    RetiredWord(("beside",), "diagnostics, or a noun for what stands beside", Scope.DEFINITION),
    RetiredWord(
        ("fought", "judged", "keyed", "added", "asked", "agreed", "narrowed", "planned", "ranked", "outliving"),
        "a noun for a module or a class, a verb phrase for a function",
        Scope.DEFINITION,
    ),
)

NOUN = r"\b(?:a|an|the|each|every|one|no|per|this|that|same|first|second|other|another|any|its|new|planned|stored)"

PHRASES = (
    RetiredPhrase("yardstick", r"\byardsticks?\b", "baseline judge"),
    RetiredPhrase("a showing", rf"{NOUN} showing\b|\bshowings\b", "presentation, or call when a call is meant"),
    RetiredPhrase("epoch", r"\bepochs?\b", "cache tag", innocent=r"unix epoch|since the epoch|training epochs?"),
    RetiredPhrase("a reading", rf"{NOUN} reading\b|\breadings\b|\breading of a reply\b", "parsed verdict"),
    RetiredPhrase("by lot", r"\bby lot\b|\bthe lot\b", "uniform sample, drawn uniformly"),
    RetiredPhrase(
        "told apart",
        r"\b(?:told|tell|tells|telling)\b[\w\s]{0,40}\bapart\b|\btold from 0\b",
        "separated, significantly different; of things that are no statistics: distinguished",
    ),
    RetiredPhrase("doubt", r"\bdoubts?\b", "uncertainty", innocent=r"(?:in|no|without) doubt\b"),
    RetiredPhrase("2,000 letters", r"(?:\d|\b(?:many|more|of|in|few|fewer|and|than)) letters\b", "characters"),
    RetiredPhrase("rival", r"\brivals?\b", "second source"),
    RetiredPhrase("lane", r"\blanes?\b", "judge partition"),
    RetiredPhrase("pace", r"\bpaced?\b", "rate limit", innocent=r"keeps? pace"),
    RetiredPhrase(
        "no room", r"\b(?:no|has|have|had|there is|there was) room\b", "the disk is full, the limit is reached"
    ),
    RetiredPhrase("house", r"\bhouses?\b", "service, or fixture in tests"),
    RetiredPhrase("door", r"\bdoors?\b", "entry point"),
    RetiredPhrase("floor", r"\bfloors?\b", "layer, or lower bound"),
    RetiredPhrase("given up", r"\bgiven up\b", "failed"),
    RetiredPhrase("left alone", r"\bleft alone\b", "quarantined, or skipped"),
    RetiredPhrase("suspect", r"\bsuspects?\b", "quarantined"),
    RetiredPhrase("poisoned", r"\bpoison(?:s|ed)?\b", "quarantined"),
    RetiredPhrase("the wall's clock", r"\bwall'?s clock\b", "the system clock"),
    RetiredPhrase("what became of", r"\bwhat (?:became|becomes|has become|had become) of\b", "the status of"),
    RetiredPhrase("it is looked", r"\bit is looked\b", "checks"),
    RetiredPhrase("as it stands", r"\bas (?:it|they) stands?\b", "as it is now, unchanged"),
    RetiredPhrase("is to be", r"\b(?:is|are|was|were) to be\b", "must be, will be, or the verb itself"),
    RetiredPhrase("figures by it", r"\bfigures by (?:it|them)\b", "break the results down by this field"),
    RetiredPhrase("nothing does not match", r"\bnothing does not\b", "everything matches"),
    RetiredPhrase("with another body", r"\b(?:with|has|had) another body\b", "with different settings"),
    RetiredPhrase("on one side only", r"\bon one side only\b", "only by the judge, only by people"),
    RetiredPhrase("befell", r"\bbefell\b|\bbefallen\b|\bbefalls\b", "happened to"),
    RetiredPhrase("prompts wanted", r"\b(?:prompts|votes) wanted\b", "prompts needed"),
    RetiredPhrase("ties kept", r"\bties (?:kept|dropped)\b", "with ties, without ties"),
)

ALLOWED = (
    Allowed("CHANGELOG.md", "what a release was called when it was made"),
    Allowed("docs/glossary.md", "the glossary names the words that it replaces"),
    Allowed("docs/adr/*", "a decision keeps the words of its day"),
    Allowed("judge/store/migrations/*", "a migration names the columns that a store of its day has"),
    Allowed("tests/store/test_store_migrat*.py", "stores of older schemas are filled under their own names"),
    Allowed("tests/*schemas.py", "stores of older schemas are filled under their own names"),
    Allowed("tests/store/test_store_filled.py", "stores of older schemas are filled under their own names"),
    Allowed("judge/domain/run.py", "OrderPolicy.ONE, as in `--orders one`", ("one",), text="ONE"),
    Allowed("judge/store/clock.py", "PostgreSQL's word for the seconds of a time", ("epoch",)),
    Allowed(
        "tests/faults/test_faults_clock.py", "PostgreSQL's word for the seconds of a time", ("epoch",), text="epoch"
    ),
    Allowed("tests/structure/*", "the words themselves are listed here"),
    Allowed("judge/engines/*.py", "the name of an activity in Temporal's histories", ("lane",), text="lanes"),
    Allowed("judge/engines/workflow.py", "a field in payloads of Temporal's histories", ("told",), text="told"),
    Allowed("judge/engines/*.py", "a reason in payloads of Temporal's histories", ("poison",), text="POISONED"),
    Allowed("tests/*histories.py", "what Temporal's histories of 0.1.0 hold"),
    Allowed("tests/engines/test_engines_replay.py", "what Temporal's histories of 0.1.0 hold"),
    Allowed("tests/prompts/*.py", "letters of the alphabet: A and B in replies, and look-alikes", ("letters",)),
    Allowed("bench/small_server.py", "letters of the alphabet: A and B in replies", ("letters",)),
    Allowed("judge/backends/*.py", "hashed: it decides what the random judge answers", text="random yardstick"),
    Allowed("judge/backends/baseline.py", "stored as the reply of the random judge", text="Drawn by lot."),
    Allowed("judge/formats/inspect*.py", "Inspect's own word for repeated samples", ("epoch",)),
    Allowed("judge/cli/export_inspect.py", "Inspect's own word for repeated samples", ("epoch",)),
    Allowed("tests/cli/test_cli_export_inspect.py", "Inspect's own word for repeated samples", ("epoch",)),
    Allowed("tests/formats/test_formats_inspect*.py", "Inspect's own word for repeated samples", ("epoch",)),
)
