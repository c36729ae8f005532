"""A bundle held against itself: what it says of a run, and what follows from the rest of it."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from judge.app.bundles import Contents
from judge.app.replay import Replayed, replayed
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
"""Of fields in which two leaderboards differ, so many are told."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What does not match in the bundle that *digest* names, and what a reader should know besides."""

    digest: str
    mismatches: tuple[Mismatch, ...]
    notes: tuple[str, ...]


def verify(path: Path) -> Verified:
    """What does not match in the bundle at *path*. Raises InvalidInput where not even its manifest can be read."""
    with Bundle(path) as bundle:
        contents = Contents(bundle)
        found = list(bundle.mismatches())
        for check in (_judges, _manifest, _rounds, _plan, _answers, _leaderboards):
            found += _told(check, bundle, contents)
        notes: list[str] = []
        for note in (_versions, _late, _unread):
            # What cannot be read for a note has been told already.
            with contextlib.suppress(InvalidInput):
                notes += note(contents)
        return Verified(bundle.digest, tuple(dict.fromkeys(found)), tuple(notes))


def _told(
    check: Callable[[Bundle, Contents], Iterator[Mismatch]], bundle: Bundle, contents: Contents
) -> Iterator[Mismatch]:
    """What a *check* finds; where a member cannot be read for it, that."""
    try:
        yield from check(bundle, contents)
    except InvalidInput as error:
        yield Mismatch(error.field, error.message.removeprefix(f"{error.field}: "))


def _judges(_: Bundle, contents: Contents) -> Iterator[Mismatch]:
    for message, frozen in zip(contents.run_message.definitions, contents.run.judges, strict=True):
        for field in _fields(spelling.plain(message), spelling.plain(encode.definition(frozen))):
            yield Mismatch(MANIFEST, f"judge {frozen.name}: its {field} is not what its text and settings make")
    if list(contents.run_message.fingerprints) != [frozen.fingerprint for frozen in contents.run.judges]:
        yield Mismatch(MANIFEST, "the run's fingerprints are not those of its judges")


def _manifest(bundle: Bundle, contents: Contents) -> Iterator[Mismatch]:
    """What the manifest says twice, and what it says of other members."""
    run, requests, told = contents.run_message, contents.requests(), bundle.manifest
    adaptive = contents.run.spec.pairing.policy is PairPolicy.ADAPTIVE
    rounds = {"rounds": {"member": ROUNDS, "rows": len(contents.round_messages)}} if adaptive else {}
    follows: dict[str, Any] = {
        "seeds": spelling.seeds(run, requests[0][1].options) if requests else told.get("seeds"),
        "plan": {"hash": run.plan_hash, "member": PLAN, "presentations": len(contents.plan), **rounds},
    }
    for name, value in follows.items():
        for one in differences(told.get(name), value, name):
            yield Mismatch(MANIFEST, one)
    for part, member, digest in contents.hashes():
        if contents.texts and told["members"].get(member, {}).get("sha256") != digest:
            yield Mismatch(MANIFEST, f"{part} has not the SHA-256 of {member}")


def _rounds(_: Bundle, contents: Contents) -> Iterator[Mismatch]:
    rounds = contents.rounds
    if rounds is None:
        return
    for told in wrong_rounds(contents.planning.index, rounds, contents.run.round):
        yield Mismatch(ROUNDS, told)
    for number, message in enumerate(contents.round_messages):
        now = spelling.plain(encode.planned_round(rounds, number))
        for field in _fields(spelling.plain(message), now):
            yield Mismatch(ROUNDS, f"line {number + 1}: its {field} is not what its row makes")


def _plan(_: Bundle, contents: Contents) -> Iterator[Mismatch]:
    for told in wrong_plan(contents.run, contents.planning, contents.plan, contents.rounds):
        yield Mismatch(PLAN, told)


def _answers(_: Bundle, contents: Contents) -> Iterator[Mismatch]:
    for told in wrong_places(contents.run, contents.plan, contents.answers, contents.rounds):
        yield Mismatch(ANSWERS, told)
    for told in first_of(_misread(contents)):
        yield Mismatch(ANSWERS, told)


def _misread(contents: Contents) -> Iterator[str]:
    run_id = contents.run.run_id
    for message, verdict in zip(contents.answer_messages, contents.answers, strict=True):
        again = encode.verdict(verdict, run_id)
        if again != message:
            fields = ", ".join(_fields(spelling.plain(message), spelling.plain(again)))
            yield f"position {verdict.position}: read again, the reply gives another {fields}"


def _leaderboards(bundle: Bundle, contents: Contents) -> Iterator[Mismatch]:
    for one in replayed(bundle, contents):
        if not one.same:
            yield Mismatch(one.member, f"ranked again, {'; '.join(islice(_apart(one), SHOWN))}")


def _apart(one: Replayed) -> Iterator[str]:
    """Where two leaderboards differ."""
    try:
        told = json.loads(one.told)
    except (ValueError, RecursionError):
        yield "it is another: the one in the bundle is not JSON"
        return
    differ = list(differences(told, json.loads(one.now)))
    yield from differ or ["it is spelled in another way"]


def differences(told: Any, now: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401  # JSON
    """Where two JSON values differ, each by its path."""
    if isinstance(told, dict) and isinstance(now, dict):
        for name in sorted({*told, *now}):
            yield from differences(told.get(name), now.get(name), f"{path}.{name}" if path else name)
    elif isinstance(told, list) and isinstance(now, list) and len(told) == len(now):
        for number, (one, other) in enumerate(zip(told, now, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif told != now or type(told) is not type(now):
        yield f"{path or 'all of it'} is {_short(now)}, not {_short(told)}"


def _short(value: Any) -> str:  # noqa: ANN401  # JSON
    text = json.dumps(value, ensure_ascii=False)
    return f"{text[:57]}..." if len(text) > 60 else text  # noqa: PLR2004  # a line


def _fields(told: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [name for name in sorted({*told, *now}) if told.get(name) != now.get(name)]


def _versions(contents: Contents) -> Iterator[str]:
    here = versions()
    for name, was in sorted(contents.versions.items()):
        if here.get(name) != was:
            yield f"{name} was {was} when it was ranked, and is {here.get(name, 'not used')} here"


def _late(contents: Contents) -> Iterator[str]:
    """What the plan did not know."""
    if contents.rounds is not None:
        yield from late_answers(contents.rounds, contents.answers)


def _unread(contents: Contents) -> Iterator[str]:
    """What was taken as it is."""
    unknown = Counter(
        parsed_verdict.parser
        for message in contents.answer_messages
        for parsed_verdict in message.parsed_verdicts
        if parsed_verdict.parser != SOURCE_PARSER and known_parser(parsed_verdict.parser) is None
    )
    for parser, many in sorted(unknown.items()):
        yield f"{many} readings of {parser}, a parser that this release has not, were taken as they are"
    if not contents.texts:
        yield "prompts and outputs are there as hashes, without their texts"
