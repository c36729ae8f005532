"""Verify a bundle: compare each part of it with what follows from its other parts."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from judge.app.bundles import Contents
from judge.app.replay import ReplayedLeaderboard, replay_leaderboards
from judge.bundles.archive import ANSWERS, MANIFEST, PLAN, ROUNDS, Bundle, Mismatch
from judge.bundles.plan_checks import first_of, known_parser, wrong_places, wrong_plan
from judge.bundles.round_checks import late_answers, wrong_rounds
from judge.domain.errors import InvalidInput
from judge.domain.run import PairPolicy
from judge.domain.verdict import SOURCE_PARSER
from judge.ranking.versions import versions
from judge.rpc import bundle_json as spelling
from judge.rpc import encode

SHOWN = 5
"""How many of the fields in which two leaderboards differ are listed."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The result for one bundle: the SHA-256 of its manifest, what does not match, and notes for the reader."""

    digest: str
    mismatches: tuple[Mismatch, ...]
    notes: tuple[str, ...]


def verify(path: Path) -> Verification:
    """Verify the bundle at *path*. Raises InvalidInput if its manifest cannot be read."""
    with Bundle(path) as bundle:
        contents = Contents(bundle)
        mismatches = list(bundle.mismatches())
        for check in (_judges, _manifest, _rounds, _plan, _answers, _leaderboards):
            mismatches += _run_check(check, bundle, contents)
        notes: list[str] = []
        for note in (_versions, _late, _unread):
            # A check has already reported any member that cannot be read.
            with contextlib.suppress(InvalidInput):
                notes += note(contents)
        return Verification(bundle.digest, tuple(dict.fromkeys(mismatches)), tuple(notes))


def _run_check(
    check: Callable[[Bundle, Contents], Iterator[Mismatch]], bundle: Bundle, contents: Contents
) -> Iterator[Mismatch]:
    """Yield the mismatches that *check* finds, and the error if it cannot read a member."""
    try:
        yield from check(bundle, contents)
    except InvalidInput as error:
        yield Mismatch(error.field, error.message.removeprefix(f"{error.field}: "))


def _judges(_: Bundle, contents: Contents) -> Iterator[Mismatch]:
    for message, frozen in zip(contents.run_message.definitions, contents.run.judges, strict=True):
        for field in _fields(spelling.plain(message), spelling.plain(encode.definition(frozen))):
            yield Mismatch(MANIFEST, f"judge {frozen.name}: its {field} does not follow from its rubric and settings")
    if list(contents.run_message.fingerprints) != [frozen.fingerprint for frozen in contents.run.judges]:
        yield Mismatch(MANIFEST, "the fingerprints of the run differ from those of its judges")


def _manifest(bundle: Bundle, contents: Contents) -> Iterator[Mismatch]:
    """Compare the values that the manifest has twice, and its values about other members."""
    run, requests, manifest = contents.run_message, contents.requests(), bundle.manifest
    adaptive = contents.run.spec.pairing.policy is PairPolicy.ADAPTIVE
    rounds = {"rounds": {"member": ROUNDS, "rows": len(contents.round_messages)}} if adaptive else {}
    expected: dict[str, Any] = {
        "seeds": spelling.seeds(run, requests[0][1].options) if requests else manifest.get("seeds"),
        "plan": {"hash": run.plan_hash, "member": PLAN, "presentations": len(contents.plan), **rounds},
    }
    for name, value in expected.items():
        for difference in differences(manifest.get(name), value, name):
            yield Mismatch(MANIFEST, difference)
    for part, member, digest in contents.hashes():
        if contents.texts and manifest["members"].get(member, {}).get("sha256") != digest:
            yield Mismatch(MANIFEST, f"the SHA-256 of {part} is not that of {member}")


def _rounds(_: Bundle, contents: Contents) -> Iterator[Mismatch]:
    rounds = contents.rounds
    if rounds is None:
        return
    for message in wrong_rounds(contents.planning.index, rounds, contents.run.round):
        yield Mismatch(ROUNDS, message)
    for number, planned_round in enumerate(contents.round_messages):
        now = spelling.plain(encode.planned_round(rounds, number))
        for field in _fields(spelling.plain(planned_round), now):
            yield Mismatch(ROUNDS, f"line {number + 1}: its {field} does not follow from its row")


def _plan(_: Bundle, contents: Contents) -> Iterator[Mismatch]:
    for message in wrong_plan(contents.run, contents.planning, contents.plan, contents.rounds):
        yield Mismatch(PLAN, message)


def _answers(_: Bundle, contents: Contents) -> Iterator[Mismatch]:
    for message in wrong_places(contents.run, contents.plan, contents.answers, contents.rounds):
        yield Mismatch(ANSWERS, message)
    for message in first_of(_parsed_differently(contents)):
        yield Mismatch(ANSWERS, message)


def _parsed_differently(contents: Contents) -> Iterator[str]:
    """Describe the verdicts whose replies now parse to something else than the bundle says."""
    run_id = contents.run.run_id
    for message, verdict in zip(contents.answer_messages, contents.answers, strict=True):
        again = encode.verdict(verdict, run_id)
        if again != message:
            fields = ", ".join(_fields(spelling.plain(message), spelling.plain(again)))
            yield f"position {verdict.position}: parsed again, the reply gives another {fields}"


def _leaderboards(bundle: Bundle, contents: Contents) -> Iterator[Mismatch]:
    for leaderboard in replay_leaderboards(bundle, contents):
        if not leaderboard.same:
            message = f"ranked again, {'; '.join(islice(_leaderboard_differences(leaderboard), SHOWN))}"
            yield Mismatch(leaderboard.member, message)


def _leaderboard_differences(leaderboard: ReplayedLeaderboard) -> Iterator[str]:
    """Describe how the stored leaderboard differs from the one computed now."""
    try:
        stored = json.loads(leaderboard.stored)
    except (ValueError, RecursionError):
        yield "it differs: the leaderboard in the bundle is not JSON"
        return
    by_field = list(differences(stored, json.loads(leaderboard.now)))
    yield from by_field or ["it has the same values in another spelling"]


def differences(stored: Any, now: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401  # JSON
    """Describe each difference between two JSON values, with its path."""
    if isinstance(stored, dict) and isinstance(now, dict):
        for name in sorted({*stored, *now}):
            yield from differences(stored.get(name), now.get(name), f"{path}.{name}" if path else name)
    elif isinstance(stored, list) and isinstance(now, list) and len(stored) == len(now):
        for number, (stored_item, item_now) in enumerate(zip(stored, now, strict=True)):
            yield from differences(stored_item, item_now, f"{path}[{number}]")
    elif stored != now or type(stored) is not type(now):
        yield f"{path or 'the whole value'} is {_short(now)}, not {_short(stored)}"


def _short(value: Any) -> str:  # noqa: ANN401  # JSON
    text = json.dumps(value, ensure_ascii=False)
    return f"{text[:57]}..." if len(text) > 60 else text  # noqa: PLR2004  # about half a line


def _fields(stored: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [name for name in sorted({*stored, *now}) if stored.get(name) != now.get(name)]


def _versions(contents: Contents) -> Iterator[str]:
    installed = versions()
    for name, version in sorted(contents.versions.items()):
        if installed.get(name) != version:
            yield f"the run was ranked with {name} {version}; {_installed(name, installed)}"


def _installed(name: str, installed: Mapping[str, str]) -> str:
    return f"this is {name} {installed[name]}" if name in installed else f"this release does not use {name}"


def _late(contents: Contents) -> Iterator[str]:
    """Describe the verdicts that arrived after the rounds that would have used them."""
    if contents.rounds is not None:
        yield from late_answers(contents.rounds, contents.answers)


def _unread(contents: Contents) -> Iterator[str]:
    """Describe the parts of the bundle that could not be verified."""
    unknown = Counter(
        parsed_verdict.parser
        for message in contents.answer_messages
        for parsed_verdict in message.parsed_verdicts
        if parsed_verdict.parser != SOURCE_PARSER and known_parser(parsed_verdict.parser) is None
    )
    for parser, n_parsed in sorted(unknown.items()):
        yield f"{n_parsed:,} verdicts parsed by {parser} were not checked: this release does not have that parser"
    if not contents.texts:
        yield "the bundle has the hashes of prompts and outputs, not their texts"
