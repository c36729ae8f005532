"""Bundles for tests: written from a service, and changed behind its back."""

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


async def exported(
    client: JudgeClient, run: str, path: Path, options: RankingOptions = LARGEST, *, texts: bool = True
) -> str:
    """The run's bundle at *path*; its manifest's SHA-256."""
    with path.open("wb") as file, BundleWriter(file) as writer:
        return await Bundling(client, writer, BundleRequest(run, options, texts)).write()


def members(path: Path) -> dict[str, bytes]:
    """What is in a bundle."""
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def written(path: Path, content: dict[str, bytes]) -> Path:
    """A zip of *content*, whatever its manifest says."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in content.items():
            opened.writestr(name, data)
    return path


def forged(path: Path, content: dict[str, bytes], **changed: Callable[[str], str]) -> Path:
    """The same by somebody who makes every hash anew: *changed* are members by the end of their name, less its type."""
    made = dict(content)
    for stem, change in changed.items():
        [name] = [one for one in made if one.rpartition("/")[2].rpartition(".")[0] == stem]
        after = change(made[name].decode())
        assert after != made[name].decode(), f"{stem} was not changed"
        made[name] = after.encode()
    manifest = json.loads(made[MANIFEST])
    manifest["members"] = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in made.items()
        if name not in {MANIFEST, SEAL}
    }
    made[MANIFEST] = json.dumps(manifest).encode()
    made[SEAL] = f"{hashlib.sha256(made[MANIFEST]).hexdigest()}  {MANIFEST}\n".encode()
    return written(path, made)


def in_row(number: int, change: Callable[[dict[str, object]], object]) -> Callable[[str], str]:
    """A change of one row of JSON lines."""

    def changed(text: str) -> str:
        lines = text.splitlines(keepends=True)
        body = json.loads(lines[number])
        change(body)
        lines[number] = json.dumps(body) + "\n"
        return "".join(lines)

    return changed


def in_json(change: Callable[[dict[str, object]], object]) -> Callable[[str], str]:
    """A change of one JSON object."""

    def changed(text: str) -> str:
        body = json.loads(text)
        change(body)
        return json.dumps(body)

    return changed
