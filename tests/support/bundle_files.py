"""Bundles for tests: exported from a service, or tampered with."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

from judge.api.v1.ranking_service_pb2 import DEGENERATE_LARGEST, RankingOptions
from judge.bundles.archive import MANIFEST, SEAL, BundleWriter
from judge.cli.bundle_export import BundleRequest, Bundling
from judge_client import JudgeClient

LARGEST = RankingOptions(degenerate=DEGENERATE_LARGEST)


async def export_bundle(
    client: JudgeClient, run: str, path: Path, options: RankingOptions = LARGEST, *, texts: bool = True
) -> str:
    """Write the bundle of a run to *path* and return the SHA-256 of its manifest."""
    with path.open("wb") as file, BundleWriter(file) as writer:
        return await Bundling(client, writer, BundleRequest(run, options, texts)).write()


def members(path: Path) -> dict[str, bytes]:
    """Return the content of each file in a bundle, by name."""
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def write_bundle(path: Path, content: dict[str, bytes]) -> Path:
    """Write *content* to a zip file at *path*, even if it contradicts its manifest."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in content.items():
            opened.writestr(name, data)
    return path


def forge_bundle(path: Path, content: dict[str, bytes], **changes: Callable[[str], str]) -> Path:
    """Write a tampered bundle whose hashes are all recomputed.

    *changes* maps a member's file name, without folder and extension, to a function that changes its text.
    """
    forged = dict(content)
    for stem, change in changes.items():
        [name] = [member for member in forged if member.rpartition("/")[2].rpartition(".")[0] == stem]
        after = change(forged[name].decode())
        assert after != forged[name].decode(), f"{stem} was not changed"
        forged[name] = after.encode()
    manifest = json.loads(forged[MANIFEST])
    manifest["members"] = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in forged.items()
        if name not in {MANIFEST, SEAL}
    }
    forged[MANIFEST] = json.dumps(manifest).encode()
    forged[SEAL] = f"{hashlib.sha256(forged[MANIFEST]).hexdigest()}  {MANIFEST}\n".encode()
    return write_bundle(path, forged)


def in_row(number: int, change: Callable[[dict[str, object]], object]) -> Callable[[str], str]:
    """Return a function that changes row *number* of a JSON Lines text."""

    def edit(text: str) -> str:
        lines = text.splitlines(keepends=True)
        body = json.loads(lines[number])
        change(body)
        lines[number] = json.dumps(body) + "\n"
        return "".join(lines)

    return edit


def in_json(change: Callable[[dict[str, object]], object]) -> Callable[[str], str]:
    """Return a function that changes a JSON object."""

    def edit(text: str) -> str:
        body = json.loads(text)
        change(body)
        return json.dumps(body)

    return edit
