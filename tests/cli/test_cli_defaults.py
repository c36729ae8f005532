"""The command line has no defaults of its own: it sends what was given, and its help shows what the service uses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
import pytest
from click.testing import CliRunner
from google.protobuf.message import Message

from judge.api.v1 import leaderboard_pb2, outcome_pb2
from judge.api.v1 import run_service_pb2 as pb
from judge.api.v1.agreement_service_pb2 import AgreementOptions
from judge.api.v1.ranking_service_pb2 import RankingOptions
from judge.cli.agree_options import agreement_options, comparing
from judge.cli.rank_options import ranking, ranking_options
from judge.cli.runs import run_command
from judge.cli.server_options import ServerOption, fill_defaults
from judge.domain.defaults import AGREEMENT, RANKING
from judge.rpc import decode

M = TypeVar("M", bound=Message)
F = Callable[..., None]
Answers = dict[str, dict[str, Any]]

OTHER_DEFAULTS = """
import json
from dataclasses import asdict, dataclass, fields
from enum import Enum

import judge.domain.defaults as d
import judge.domain.run as runs
from judge.domain.outcome import Reconcile

d.RANKING = d.RankingDefaults(
    method="davidson", k=5.0, start=1100.0, level=0.8, reconcile=Reconcile.SOFT, degenerate="largest", scale="natural",
    inference="annotators", ridge=0.5, adjustment="holm", difference_to_detect=31.0, permutations=101, seed=7,
    intervals="bootstrap", replicates=1001, decisive_weight=3.0,
)
d.AGREEMENT = d.AgreementDefaults(
    orientation="sorted", level=0.7, reconcile=Reconcile.DROP, intervals="percentile", replicates=2001, seed=8,
    epsilon=0.3, q=0.06, least_items=31, difference_to_detect=0.06, cascade_delta=0.2,
)

@dataclass(frozen=True, slots=True)
class Pairing(runs.Pairing):
    policy: runs.PairPolicy = runs.PairPolicy.LISTED
    turns: runs.TurnPolicy = runs.TurnPolicy.EACH
    orders: runs.OrderPolicy = runs.OrderPolicy.RANDOM
    repeats: int = 4
    seed: int = 9

runs.Pairing = Pairing

from click.testing import CliRunner
from judge.api.v1.agreement_service_pb2 import AgreementOptions
from judge.api.v1.ranking_service_pb2 import RankingOptions
from judge.api.v1.run_service_pb2 import Pairing as PairingMessage
from judge.cli import main
from judge.cli.group import cli
from judge.rpc import decode

def plain(values):
    return {name: v.name.lower() if isinstance(v, Enum) else v for name, v in values.items()}

main._commands()
rank, agree = decode.rank_options(RankingOptions()), decode.agree_options(AgreementOptions())
pairing = decode.pairing(PairingMessage())
changed = ("policy", "turns", "orders", "repeats", "seed")
print(json.dumps({
    "defaults": {
        "rank": plain(asdict(d.RANKING)),
        "agree": plain(asdict(d.AGREEMENT)),
        "run": plain({name: getattr(Pairing(), name) for name in changed}),
    },
    "decoded": {
        "rank": plain({
            "degenerate": "largest" if rank.largest else "refuse",
            "difference_to_detect": rank.wanted,
            "decisive_weight": rank.decisive,
            **{f.name: getattr(rank, f.name) for f in fields(d.RANKING) if hasattr(rank, f.name)},
        }),
        "agree": plain({
            "difference_to_detect": agree.wanted,
            **{f.name: getattr(agree, f.name) for f in fields(d.AGREEMENT) if hasattr(agree, f.name)},
        }),
        "run": plain({name: getattr(pairing, name) for name in changed}),
    },
    "help": {name: CliRunner().invoke(cli, [name, "--help"]).output for name in ("rank", "agree", "run")},
}))
"""


@pytest.fixture(scope="module")
def other() -> Answers:
    """Return what a service and a command line say whose defaults are all different, changed only where they live."""
    done = subprocess.run([sys.executable, "-c", OTHER_DEFAULTS], capture_output=True, text=True, check=False)
    assert not done.stderr
    answers: Answers = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("command", ["rank", "agree", "run"])
def test_a_default_that_changes_in_its_one_place_changes_for_the_service(other: Answers, command: str) -> None:
    """An empty request gets the changed defaults, so no other place has a copy."""
    assert other["defaults"][command] == other["decoded"][command]


@pytest.mark.parametrize("command", ["rank", "agree", "run"])
def test_a_default_that_changes_in_its_one_place_changes_in_the_help(other: Answers, command: str) -> None:
    """Each default but the one that `--largest` replaces is in the help text, and no other value is."""
    expected = {str(value) for name, value in other["defaults"][command].items() if name != "degenerate"}
    text = " ".join(other["help"][command].split())
    shown = {piece.partition("]")[0] for piece in text.split("[default: ")[1:]}

    assert expected == shown


def sent(decorator: Callable[[F], F], build: Callable[..., M], *arguments: str) -> M:
    """Return the message that a command with these options builds."""
    messages: list[M] = []

    @decorator
    def command(**values: object) -> None:
        messages.append(build(**values))

    result = CliRunner().invoke(click.command()(command), arguments, catch_exceptions=False)
    assert not result.exit_code, result.output
    return messages[0]


def test_an_option_that_is_not_given_is_not_sent() -> None:
    """Without options, the messages are empty."""
    assert RankingOptions() == sent(ranking, ranking_options)
    assert AgreementOptions() == sent(comparing, agreement_options)
    context = run_command.make_context("run", ["demo", "--judge", "longest"], resilient_parsing=True)
    fields = [option.name for option in run_command.params if isinstance(option, ServerOption)]
    assert {"policy", "turns", "orders", "repeats", "seed"} == set(fields)
    assert {None} == {context.params[name] for name in fields if name is not None}


def test_the_words_of_an_option_are_those_of_the_enum() -> None:
    """A word is sent as its value. A word of the enum that cannot be asked for is not a choice."""
    options = sent(
        ranking,
        ranking_options,
        *("--method", "win-rate", "--reference", "base", "--adjust", "holm", "--reconcile", "soft", "--largest"),
    )

    assert options.method == leaderboard_pb2.RANKING_METHOD_WIN_RATE
    assert options.adjustment == leaderboard_pb2.ADJUSTMENT_HOLM
    assert options.reconcile == outcome_pb2.RECONCILE_SOFT
    assert decode.rank_options(options).largest
    with pytest.raises(AssertionError, match="'share' is not one of 'elo', 'natural'"):
        sent(ranking, ranking_options, "--scale", "share")
    with pytest.raises(AssertionError, match="'bootstrap-t' is not one of 'sandwich', 'bootstrap', 'percentile'"):
        sent(comparing, agreement_options, "--intervals", "bootstrap-t")


def test_the_default_words_are_words_of_the_enums() -> None:
    """Every default fits its field, so that messages that state all of them mean the same as empty ones."""
    rank, agree = RankingOptions(), AgreementOptions()

    fill_defaults(rank, RANKING)
    fill_defaults(agree, AGREEMENT)

    assert rank != RankingOptions()
    assert decode.rank_options(RankingOptions()) == decode.rank_options(rank)
    assert decode.agree_options(AgreementOptions()) == decode.agree_options(agree)


def test_defaults_do_not_replace_what_is_given() -> None:
    """Only fields that are not set are filled."""
    options = RankingOptions(k=9.0, scale=leaderboard_pb2.RATING_SCALE_NATURAL)

    fill_defaults(options, RANKING)

    assert (options.k, options.scale) == (9.0, leaderboard_pb2.RATING_SCALE_NATURAL)
    assert (options.start, options.method) == (RANKING.start, leaderboard_pb2.RANKING_METHOD_BRADLEY_TERRY)


def test_an_empty_pairing_is_the_pairing_of_the_domain() -> None:
    """An explicit default means the same as none."""
    explicit = pb.Pairing(policy=pb.PAIR_POLICY_ALL, turns=pb.TURN_POLICY_LAST, orders=pb.ORDER_POLICY_BOTH)

    assert decode.pairing(pb.Pairing()) == decode.pairing(explicit)
