"""No identifier and no text of the repository uses a word that the glossary retired."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from structure import occurrences
from structure.occurrences import Identifier, Kind, Text
from structure.vocabulary import ALLOWED, PHRASES, WORDS, RetiredPhrase, RetiredWord, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parents[2]
MARGIN = 30
KINDS = {
    Scope.ANY_NAME: set(Kind),
    Scope.OWN_NAME: {Kind.OWN, Kind.DEFINITION},
    Scope.WHOLE_NAME: {Kind.OWN, Kind.DEFINITION},
    Scope.DEFINITION: {Kind.DEFINITION},
}


Names = dict[tuple[str, Kind], list[Identifier]]


@dataclass(frozen=True)
class Hit:
    """A retired word in its place, with the identifier or the words around it."""

    path: str
    line: int
    text: str


@cache
def repository() -> tuple[Names, list[Text]]:
    identifiers, texts = occurrences.read_repository(ROOT)
    return by_name(identifiers), texts


def by_name(identifiers: Iterable[Identifier]) -> Names:
    names: Names = defaultdict(list)
    for identifier in identifiers:
        names[identifier.name, identifier.kind].append(identifier)
    return names


def has_word(identifier: Identifier, word: RetiredWord) -> bool:
    """Whether an identifier has a form of a retired word, as the word's scope says."""
    if identifier.kind not in KINDS[word.scope]:
        return False
    if word.scope in {Scope.WHOLE_NAME, Scope.DEFINITION}:
        return identifier.name.strip("_").lower() in word.forms
    return any(f"_{form}_" in identifier.words for form in word.forms)


def word_hits(word: RetiredWord, names: Names) -> list[Hit]:
    """Return the places of a retired word in identifiers, apart from those that may keep it."""
    hits = [
        Hit(identifier.path, identifier.line, identifier.name)
        for identifiers in names.values()
        if has_word(identifiers[0], word)
        for identifier in identifiers
    ]
    return not_allowed(hits, word.label)


def phrase_hits(phrase: RetiredPhrase, texts: Iterable[Text]) -> list[Hit]:
    """Return the places of a retired phrase in texts, apart from those that may keep it."""
    hits = [
        Hit(text.path, text.line + text.text.count("\n", 0, begin), around(text.text, begin, end))
        for text in texts
        for begin, end in phrase.places(text.text.lower())
    ]
    return not_allowed(hits, phrase.label)


def around(text: str, begin: int, end: int) -> str:
    return " ".join(text[max(0, begin - MARGIN) : end + MARGIN].split())


def not_allowed(hits: Iterable[Hit], label: str) -> list[Hit]:
    kept = [hit for hit in hits if not any(place.covers(hit.path, label, hit.text) for place in ALLOWED)]
    return sorted(kept, key=lambda hit: (hit.path, hit.line))


def failure(hits: list[Hit], label: str, instead: str) -> str:
    lines = [f'{hit.path}:{hit.line}: "{label}" in "{hit.text}"; write: {instead}' for hit in hits]
    return "\n".join([f'{len(hits)} places use the retired word "{label}".', *lines])


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.label)
def test_no_identifier_has_a_retired_word(word: RetiredWord) -> None:
    """No name in Python, proto, pages or settings contains the word."""
    names, _ = repository()

    hits = word_hits(word, names)

    if hits:
        pytest.fail(failure(hits, word.label, word.instead), pytrace=False)


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: phrase.label.replace(" ", "_"))
def test_no_text_has_a_retired_phrase(phrase: RetiredPhrase) -> None:
    """No string, docstring, comment or page contains the phrase."""
    _, texts = repository()

    hits = phrase_hits(phrase, texts)

    if hits:
        pytest.fail(failure(hits, phrase.label, phrase.instead), pytrace=False)


WAYS = {
    "judge/a.py": {
        "a variable": "{} = 1",
        "an attribute": "self.{} = 1",
        "an argument": "def f({}): ...",
        "a function": "def {}(): ...",
        "a class": "class {}: ...",
        "a field": "class A:\n    {}: int",
        "a loop": "for {} in x: ...",
        "an alias": "import a as {}",
        "a pattern": "match x:\n    case {}: ...",
    },
    "proto/a.proto": {
        "a message": "message {} {{}}",
        "a proto field": "message A {{\n  // A field.\n  repeated string {} = 1;\n}}",
        "a value": "enum A {{ {} = 0; }}",
    },
}
USES = {
    "judge/a.py": {"a name": "f({})", "a use": "x.{}()", "a keyword": "f({}=1)", "a string": "x['{}']"},
    "docs/a.md": {"an option": "`judge rank --by-{}`", "a setting": "max_{} = 1"},
}


def hits_in(path: str, source: str) -> set[str]:
    """Return the labels of the retired words in the identifiers of one source."""
    readers = {"py": occurrences.python_identifiers, "proto": occurrences.proto_identifiers}
    read = readers.get(path.rpartition(".")[2], occurrences.page_identifiers)
    names = by_name(read(path, source))
    return {word.label for word in WORDS if word_hits(word, names)}


@pytest.mark.parametrize(("path", "source"), [(path, way) for path, ways in WAYS.items() for way in ways.values()])
def test_a_retired_word_is_found_wherever_a_name_is_defined(path: str, source: str) -> None:
    """Snake case, camel case and upper case are split into words. Words of every scope but one are found."""
    assert hits_in(path, source.format("_per_lane")) == {"lane"}
    assert hits_in(path, source.format("HouseAt")) == {"house"}
    assert hits_in(path, source.format("MAX_ROOM")) == {"room"}
    assert hits_in(path, source.format("_told")) == {"told"}
    assert hits_in(path, source.format("given_up_at")) == {"given_up"}


@pytest.mark.parametrize(("path", "source"), [(path, use) for path, uses in USES.items() for use in uses.values()])
def test_a_retired_word_is_found_wherever_a_name_is_used(path: str, source: str) -> None:
    """Only words that no foreign name has are looked for in uses."""
    assert hits_in(path, source.format("yardstick")) == {"yardstick"}
    assert hits_in(path, source.format("floor")) == set()


def test_modules_classes_and_functions_are_not_named_by_past_participles() -> None:
    """A variable may be named like that."""
    assert hits_in("judge/fought.py", "") == {"fought"}
    assert hits_in("judge/a.py", "class Judged: ...") == {"fought"}
    assert hits_in("judge/a.py", "async def keyed(): ...") == {"fought"}
    assert hits_in("judge/a.py", "ranked = 1") == set()


@pytest.mark.parametrize(
    "source",
    [
        "plane = workspace = ballot = slots = warehouse = airplanes = 1",
        "one_sided = found_in = told_by = no_one = 1",
        "np.floor(x), math.floor(x), string.ascii_letters",
        "query.where(x), np.where(x), index(sqlite_where=x)",
    ],
)
def test_names_that_only_look_like_a_retired_word_are_left_in_peace(source: str) -> None:
    """A word is compared as a whole, and ambiguous ones only where our code defines a name."""
    assert hits_in("judge/a.py", source) == set()


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: phrase.label)
def test_a_phrase_finds_its_own_label_and_no_replacement(phrase: RetiredPhrase) -> None:
    """The label is an example of the phrase. What is written instead contains no retired phrase."""
    assert list(phrase.places(phrase.label))
    assert [other.label for other in PHRASES if list(other.places(phrase.instead.lower()))] == []


@pytest.mark.parametrize(
    "text",
    [
        "seconds since the Unix epoch, and ten training epochs",
        "showing the table; a plot showing both",
        "a plane in space, the multilane pacemaker, a ballot",
        "reading a file; when in doubt, no doubt",
        "keep pace with it; letters of the alphabet; make room for it",
        "people suspected it; a lot of pairs",
    ],
)
def test_innocent_texts_are_left_in_peace(text: str) -> None:
    """Idioms and longer words are no hits."""
    assert [phrase.label for phrase in PHRASES if phrase_hits(phrase, [Text("docs/a.md", 1, text)])] == []


SOURCE = '''"""A module.

What became
of each showing.
"""
# Whatever it
# is looked at.
print(f"{x} fell by lot", "by " "lot")
'''


def test_phrases_are_found_across_lines_with_their_line() -> None:
    """Docstrings, comment blocks, f-strings and joined strings are read as one text each."""
    texts = list(occurrences.python_texts("judge/a.py", SOURCE))

    hits = {(phrase.label, hit.line) for phrase in PHRASES for hit in phrase_hits(phrase, texts)}

    assert hits == {("what became of", 3), ("a showing", 4), ("it is looked", 6), ("by lot", 8)}


def test_comments_of_a_proto_are_texts_and_its_code_is_not() -> None:
    """Both forms of comments are read, and the lines are those of the file."""
    source = "message Epoch {\n  // One\n  // showing.\n  string epoch = 1; /* By\n  lot. */\n}\n"
    texts = list(occurrences.proto_texts("proto/a.proto", source))

    hits = {(phrase.label, hit.line) for phrase in PHRASES for hit in phrase_hits(phrase, texts)}

    assert hits == {("a showing", 2), ("by lot", 4)}


def test_a_failure_names_the_file_the_line_the_word_and_what_to_write() -> None:
    """Whoever breaks the rule needs no other page to repair it."""
    word = next(word for word in WORDS if word.label == "yardstick")
    names = by_name(occurrences.python_identifiers("judge/a.py", "x = 1\nYARDSTICKS = 2\n"))

    message = failure(word_hits(word, names), word.label, word.instead)

    assert 'judge/a.py:2: "yardstick" in "YARDSTICKS"; write: baseline judge' in message


def test_a_place_keeps_only_the_words_that_it_is_allowed() -> None:
    """The glossary may name any word, and a workflow only what is in its histories."""
    assert hits_in("docs/glossary.md", "`max_epoch`") == set()
    assert hits_in("docs/other.md", "`max_epoch`") == {"epoch"}
    assert hits_in("judge/store/migrations/versions/a.py", "epoch = 1") == set()
    assert hits_in("judge/store/a.py", "epoch = 1") == {"epoch"}
    assert hits_in("judge/engines/workflow.py", "class RunAt:\n    told: int\n    said: int") == {"said"}
