"""Which format a path is in."""

from __future__ import annotations

from pathlib import Path

from judge.domain.errors import InvalidInput
from judge.formats import fastchat, jsonl
from judge.formats.lines import Import

READERS = {"jsonl": jsonl.read, "fastchat": fastchat.read}


def detect(path: Path) -> str:
    """The format's name; InvalidInput naming the path if it is none we know."""
    if not path.exists():
        raise InvalidInput("path", f"{path} does not exist", reason="NO_SUCH_PATH")
    if (path / "question.jsonl").is_file():
        return "fastchat"
    if any(map(jsonl.kind_of, [path] if path.is_file() else path.iterdir())):
        return "jsonl"
    raise InvalidInput("path", f"{path} is in no format we know: {', '.join(sorted(READERS))}", reason="UNKNOWN_FORMAT")


def read(path: Path, name: str | None = None) -> Import:
    """What *path* holds, in the format *name* or the one it looks like."""
    if name is not None and name not in READERS:
        known = ", ".join(sorted(READERS))
        raise InvalidInput("format", f"format {name!r} is unknown; there are {known}", reason="UNKNOWN_FORMAT")
    return READERS[name or detect(path)](path)
