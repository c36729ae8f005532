"""The file of a bundle: what was written can be read, and every changed byte is detected."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from judge.bundles.archive import MANIFEST, SEAL, Bundle, BundleWriter
from judge.domain.errors import InvalidInput

NAMES = ("plan.jsonl", "answers.jsonl", "leaderboards/one.json")


def write_bundle(path: Path) -> bytes:
    """Write a small bundle and return its bytes."""
    with path.open("wb") as file, BundleWriter(file) as writer:
        for name in NAMES:
            with writer.member(name) as write:
                for row in range(3):
                    write(f'{{"{name}": {row}}}\n')
        writer.finish({"run": {}})
    return path.read_bytes()


def content(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_a_bundle_holds_what_was_written(tmp_path: Path) -> None:
    """Its members have their names and lines, the manifest and its hash come last, and everything matches."""
    write_bundle(tmp_path / "b.zip")

    with Bundle(tmp_path / "b.zip") as bundle:
        assert [b'{"plan.jsonl": 0}\n', b'{"plan.jsonl": 1}\n', b'{"plan.jsonl": 2}\n'] == list(bundle.lines(NAMES[0]))
        assert [*sorted(NAMES)] == sorted(bundle.manifest["members"])
        assert [] == list(bundle.mismatches())
        assert bundle.text(SEAL) == f"{bundle.digest}  {MANIFEST}\n"
    assert [*NAMES, MANIFEST, SEAL] == list(content(tmp_path / "b.zip"))


def test_no_byte_changes_unseen(tmp_path: Path) -> None:
    """If a bit is flipped, either a mismatch is reported or every member is unchanged (the bit was in a date, say)."""
    whole = write_bundle(path := tmp_path / "b.zip")
    before, unseen = content(path), 0

    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        try:
            with Bundle(path) as bundle:
                mismatches = list(bundle.mismatches())
        except InvalidInput:
            continue
        if not mismatches:
            unseen += 1
            assert content(path) == before, at
    assert unseen < len(whole) / 2


def test_no_cut_goes_unseen(tmp_path: Path) -> None:
    """A bundle that ends early cannot be read, wherever it ends."""
    whole = write_bundle(path := tmp_path / "b.zip")

    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(InvalidInput):
            Bundle(path)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("[]", "the bundle has the format None; this release reads judge-bundle/2"),
        (
            '{"format": "judge-bundle/1"}',
            "the bundle has the format 'judge-bundle/1'; this release reads judge-bundle/2",
        ),
        ('{"format": "judge-bundle/2", "members": {"a": 1}}', "it lists no members"),
        ("[" * 100_000, "it is not JSON"),
        (json.dumps({"members": {}}), "the bundle has the format None"),
    ],
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, manifest: str, message: str) -> None:
    """Bundles of other releases and manifests of another form are refused."""
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as opened:
        opened.writestr(MANIFEST, manifest)

    with pytest.raises(InvalidInput, match=message):
        Bundle(tmp_path / "b.zip")
