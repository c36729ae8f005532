"""Detect the format of a path and read it."""

from __future__ import annotations

from pathlib import Path

from judge.domain.errors import InvalidInput
from judge.formats import fastchat, jsonl
from judge.formats.lines import Import

READERS = {"jsonl": jsonl.read, "fastchat": fastchat.read}


def detect(path: Path) -> str:
    """Return the name of the format of *path*. Raises InvalidInput if it is missing or in no known format."""
    if not path.exists():
        raise InvalidInput("path", f"{path} does not exist", reason="NO_SUCH_PATH")
    if (path / "question.jsonl").is_file():
        return "fastchat"
    if any(map(jsonl.kind_of, [path] if path.is_file() else path.iterdir())):
        return "jsonl"
    expected = ", ".join(f"{kind}.jsonl" for kind in jsonl.KINDS)
    message = f"{path} is in no known format: expected {expected}, or a FastChat folder with question.jsonl"
    raise InvalidInput("path", message, reason="UNKNOWN_FORMAT")


def read(path: Path, name: str | None = None) -> Import:
    """Read *path* in the format *name*, or in the format that is detected."""
    if name is not None and name not in READERS:
        known = ", ".join(sorted(READERS))
        raise InvalidInput("format", f"format {name!r} is unknown; use one of {known}", reason="UNKNOWN_FORMAT")
    return READERS[name or detect(path)](path)
