"""The comments of the API state the defaults that the service has."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from judge.domain.defaults import AGREEMENT, RANKING, AgreementDefaults, RankingDefaults
from judge.domain.run import Pairing

PROTO = Path(__file__).resolve().parents[2] / "proto" / "judge" / "api" / "v1"


def comments(file: str, message: str) -> dict[str, str]:
    """Return the comment of each field of a message."""
    body = (PROTO / file).read_text("utf-8").partition(f"message {message} {{")[2].partition("\n}")[0]
    fields = re.findall(r"((?: *//.*\n)+) *(?:optional |repeated )?\w+ (\w+) = \d+;", body)
    return {name: " ".join(comment.replace("//", "").split()) for comment, name in fields}


@pytest.mark.parametrize(
    ("file", "message", "defaults"),
    [
        ("ranking_service.proto", "RankingOptions", RANKING),
        ("agreement_service.proto", "AgreementOptions", AGREEMENT),
    ],
)
def test_comments_state_the_defaults(file: str, message: str, defaults: RankingDefaults | AgreementDefaults) -> None:
    """A comment says what 0 means for each number that has a default, and no other number."""
    numbers = {name: value for name, value in asdict(defaults).items() if type(value) in {int, float} and value}
    stated = {name: re.search(r"0 means ([\d.]*\d)", text) for name, text in comments(file, message).items()}

    assert numbers == {name: float(match[1]) for name, match in stated.items() if match}


def test_comments_state_the_default_words() -> None:
    """A comment that says what an unspecified value means names the default."""
    stated = {
        name: match[1].lower().replace("_", "-")
        for name, text in comments("ranking_service.proto", "RankingOptions").items()
        if (match := re.search(r"unspecified means ([A-Z_]+)", text))
    }

    assert {"method", "inference", "adjustment", "intervals"} <= set(stated)
    assert {name: getattr(RANKING, name) for name in stated} == stated


def test_the_comment_states_how_often_a_presentation_is_judged() -> None:
    """A run judges each presentation as often as the comment says."""
    assert f"0 means {Pairing().repeats}." in comments("run_service.proto", "Pairing")["repeats"]
