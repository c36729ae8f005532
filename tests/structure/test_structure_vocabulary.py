"""No identifier and no text of the repository uses a word that the glossary retired."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from structure import occurrences
from structure.occurrences import Identifier, Kind, Text
from structure.vocabulary import ALLOWED, PHRASES, WORDS, Allowed, RetiredPhrase, RetiredWord, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parents[2]
SHOWN = 60
KINDS = {
    Scope.ANY_NAME: set(Kind),
    Scope.OWN_NAME: {Kind.OWN, Kind.DEFINITION},
    Scope.WHOLE_NAME: {Kind.OWN, Kind.DEFINITION},
    Scope.DEFINITION: {Kind.DEFINITION},
}


@dataclass(frozen=True)
class Hit:
    """A retired word in its place, with the identifier or the words around it."""

    path: str
    line: int
    text: str


def has_word(identifier: Identifier, word: RetiredWord) -> bool:
    """Whether an identifier has a form of a retired word, as the word's scope says."""
    if identifier.kind not in KINDS[word.scope]:
        return False
    if word.scope in {Scope.WHOLE_NAME, Scope.DEFINITION}:
        return identifier.name.strip("_").lower() in word.forms
    words = "_".join(["", *identifier.words, ""])
    return any(f"_{form}_" in words for form in word.forms)


def word_hits(word: RetiredWord, identifiers: Iterable[Identifier]) -> Iterator[Hit]:
    for identifier in identifiers:
        if has_word(identifier, word):
            yield Hit(identifier.path, identifier.line, identifier.name)


def phrase_hits(phrase: RetiredPhrase, texts: Iterable[Text]) -> Iterator[Hit]:
    expression = phrase.expression
    for text in texts:
        for match in expression.finditer(text.text):
            around = text.text[max(0, match.start() - SHOWN // 2) : match.end() + SHOWN // 2]
            line = text.line + text.text.count("\n", 0, match.start())
            yield Hit(text.path, line, " ".join(around.split()))


def not_allowed(hits: Iterable[Hit], label: str, allowed: Iterable[Allowed] = ALLOWED) -> list[Hit]:
    allowed = list(allowed)
    return [hit for hit in hits if not any(place.covers(hit.path, label, hit.text) for place in allowed)]


def failure(hits: list[Hit], label: str, instead: str) -> str:
    lines = [f'{hit.path}:{hit.line}: "{label}" in "{hit.text}"; write: {instead}' for hit in hits]
    return "\n".join([f'{len(hits)} places use the retired word "{label}".', *lines])


@cache
def repository() -> tuple[list[Identifier], list[Text]]:
    return occurrences.read_repository(ROOT)


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.label)
def test_no_identifier_has_a_retired_word(word: RetiredWord) -> None:
    """No name in Python, proto, pages or settings contains the word."""
    identifiers, _ = repository()

    hits = not_allowed(word_hits(word, identifiers), word.label)

    assert not hits, failure(hits, word.label, word.instead)


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: phrase.label.replace(" ", "_"))
def test_no_text_has_a_retired_phrase(phrase: RetiredPhrase) -> None:
    """No string, docstring, comment or page contains the phrase."""
    _, texts = repository()

    hits = not_allowed(phrase_hits(phrase, texts), phrase.label)

    assert not hits, failure(hits, phrase.label, phrase.instead)
