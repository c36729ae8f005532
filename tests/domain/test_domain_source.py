"""Every name can be named as a source, and a source is parsed again from its own text."""

from __future__ import annotations

from json import dumps

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.domain.errors import InvalidInput
from judge.domain.outcome import Reconcile
from judge.domain.source import Member, Merge, Source, SourceKind

NAMES = st.text(alphabet=st.sampled_from('ab@+*>="\\:/ [?]é-'), min_size=1, max_size=12) | st.sampled_from(
    ["a@tie", "b@plurality", 'q"', "x@mean@soft", '"', "claude-3-5-sonnet@20240620", "alice@example.com", "a+b>=2"]
)


@pytest.mark.parametrize(
    ("text", "name", "rule"),
    [
        ("judge:claude-3-5-sonnet@20240620", "claude-3-5-sonnet@20240620", None),
        ("judge:claude-3-5-sonnet@20240620@soft", "claude-3-5-sonnet@20240620", Reconcile.SOFT),
        ('judge:"m@tie"', "m@tie", None),
        ('judge:"m@tie"@drop', "m@tie", Reconcile.DROP),
        ("run:r1/claude@2@each", "claude@2", Reconcile.EACH),
    ],
)
def test_domain_an_at_sign_belongs_to_the_name(text: str, name: str, rule: Reconcile | None) -> None:
    """Only a known word after the last @ is a rule."""
    source = Source.parse(text)

    assert (source.name, source.reconcile) == (name, rule)


def test_domain_annotators_are_mail_addresses() -> None:
    source = Source.parse("labels:alice@example.com@plurality")

    assert (source.name, source.merge) == ("alice@example.com", Merge.PLURALITY)
    assert source.takes("alice@example.com")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("judge:a@plurality", "can have @tie, @drop, @each, @soft, @both, not @plurality"),
        ("labels:a@mean", "not @mean; if that is part of a name, put the name in quotes"),
        ("jury:a+b@soft", "can have @plurality, @plurality-drop, @majority, @mean, not @soft"),
        ("jury:a@tie+b", "cannot have @tie"),
        ("jury:a", "at least two different judges"),
        ("jury:a+b>=3", "a number of members from 1 to 2"),
        ("jury:a+b>2", ">2 must be >= and a number"),
        ("jury:a+", "cannot be a member"),
        ("jury:a*0+b", r"'a\*0' cannot be a member"),
        ('judge:"a', "is not a name in quotes"),
        ("people@mean", "not @mean"),
        ("folk", "is none of judge:NAME"),
        ("judge:", 'names may be quoted: judge:"a@tie"'),
    ],
)
def test_domain_a_wrong_source_is_told_what_is_right(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Source.parse(text)


@given(name=NAMES, rule=st.sampled_from([None, *Reconcile]))
def test_domain_a_judge_of_any_name_can_be_named(name: str, rule: Reconcile | None) -> None:
    source = Source(SourceKind.JUDGE, name=name, reconcile=rule)

    assert Source.parse(str(source)) == source


@given(names=st.lists(NAMES, min_size=2, max_size=4, unique=True), weight=st.sampled_from([1.0, 2.5]))
def test_domain_a_jury_of_any_names_can_be_named(names: list[str], weight: float) -> None:
    members = tuple(Member(name, weight) for name in names)
    source = Source(SourceKind.JURY, members=members, least=2, merge=Merge.MEAN)

    assert Source.parse(str(source)) == source


@given(name=NAMES)
def test_domain_an_annotator_in_quotes_is_no_pattern(name: str) -> None:
    """The quoted name takes the annotator, and no other."""
    source = Source.parse(f"labels:{dumps(name)}")

    assert source.takes(name)
    assert not source.takes(name + "x")
    assert Source.parse(str(source)).takes(name)
