"""A bundle's file: a zip whose manifest has the SHA-256 of every other member, and a line beside it has its own.

The same content gives the same bytes: members stand in the order of their writing, without times, owners or modes.
Nothing is ever unpacked to disk. What is wrong is told by its member, as an InvalidInput of that field.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self, TypeVar

from judge.domain.errors import InvalidInput

T = TypeVar("T")
FORMAT = "judge-bundle/2"
MANIFEST = "manifest.json"
SEAL = "manifest.json.sha256"
"""The manifest's own SHA-256, as sha256sum writes and checks it."""
DAMAGED = "BUNDLE_DAMAGED"
"""The reason of every error that a bundle makes."""
PLAN, ANSWERS = "plan.jsonl", "answers.jsonl"
"""What was to be shown, and what was answered."""
ROUNDS = "rounds.jsonl"
"""Of an adaptive run, what its plan follows from."""
MOST_BYTES = 128 * 1024 * 1024
"""A row, the manifest and a leaderboard are at most so long."""
AT_ONCE = 1024 * 1024
_LOCAL = struct.Struct("<4s5H3I2H")
"""A zip's header before each member: signature, ..., sizes, and the lengths of its name and of what follows it."""
_ZIP64 = struct.Struct("<2HQQ")
_WIDE = 0xFFFFFFFF
"""In place of a size that stands in the zip64 part."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What does not match, and in which member."""

    member: str
    told: str

    def __str__(self) -> str:
        return f"{self.member}: {self.told}"


def damaged(member: str, told: str) -> InvalidInput:
    """The error that says what is wrong with a *member*."""
    return InvalidInput(member, f"{member}: {told}", reason=DAMAGED)


class BundleWriter:
    """Writes a bundle into *file*: its members one after another, its manifest last. It ends with its context."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w")
        self._members: dict[str, dict[str, object]] = {}

    @contextmanager
    def member(self, name: str) -> Iterator[Callable[[str], None]]:
        """What writes text to the member called *name*."""
        state, size = hashlib.sha256(), 0
        with self._zip.open(_entry(name), "w", force_zip64=True) as member:

            def write(text: str) -> None:
                nonlocal size
                data = text.encode()
                state.update(data)
                size += len(data)
                member.write(data)

            yield write
        self._members[name] = {"bytes": size, "sha256": state.hexdigest()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def finish(self, manifest: Mapping[str, object]) -> str:
        """Write the *manifest* with what the members are; its SHA-256, which names the bundle."""
        whole = {"format": FORMAT, **manifest, "members": self._members}
        with self.member(MANIFEST) as write:
            write(json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
        digest = str(self._members.pop(MANIFEST)["sha256"])
        with self.member(SEAL) as write:
            write(f"{digest}  {MANIFEST}\n")
        return digest


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry


class Bundle:
    """A bundle that is read: its *manifest*, and its members' lines. Raises InvalidInput naming what is damaged."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):
            raise _cut(path) from None
        try:
            self.manifest = self._manifest()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def _manifest(self) -> dict[str, Any]:
        try:
            manifest = json.loads(self.text(MANIFEST))
        except (ValueError, RecursionError):
            raise damaged(MANIFEST, "it is not JSON") from None
        said = manifest.get("format") if isinstance(manifest, dict) else None
        if said != FORMAT:
            raise damaged(MANIFEST, f"the bundle has the format {said!r}; this release reads {FORMAT}")
        members = manifest.get("members")
        if not isinstance(members, dict) or not all(isinstance(one, dict) for one in members.values()):
            raise damaged(MANIFEST, "it lists no members")
        return dict(manifest)

    @property
    def digest(self) -> str:
        """The manifest's SHA-256, which names the bundle."""
        return self._digest(MANIFEST)

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a member."""
        with self._opened(name) as member:
            while line := _checked_read(name, lambda: member.readline(MOST_BYTES)):
                if len(line) == MOST_BYTES:
                    raise damaged(name, f"a line is longer than {MOST_BYTES} bytes")
                yield line

    def text(self, name: str) -> str:
        """The whole of a member."""
        with self._opened(name) as member:
            whole = _checked_read(name, lambda: member.read(MOST_BYTES))
        if len(whole) == MOST_BYTES:
            raise damaged(name, f"it is longer than {MOST_BYTES} bytes")
        try:
            return whole.decode()
        except UnicodeDecodeError:
            raise damaged(name, "it is not UTF-8") from None

    def mismatches(self) -> Iterator[Mismatch]:
        """Members that are not what the manifest says, missing or not in it; and the manifest's own seal."""
        there = self._zip.namelist()
        listed = self.manifest["members"]
        for name in sorted({*listed, MANIFEST, SEAL} - set(there)):
            yield Mismatch(name, "it is missing")
        for name in sorted(set(there) - {*listed, MANIFEST, SEAL}):
            yield Mismatch(name, "it is not in the manifest")
        for name in sorted({name for name in there if there.count(name) > 1}):
            yield Mismatch(name, "it is there more than once")
        if SEAL in there:
            yield from self._sealed()
        for name in sorted(set(there) & set(listed)):
            yield from self._hashed(name, listed[name].get("sha256"), "the manifest")

    def _sealed(self) -> Iterator[Mismatch]:
        try:
            seal = self.text(SEAL)
        except InvalidInput as error:
            yield Mismatch(SEAL, error.message.removeprefix(f"{SEAL}: "))
            return
        if seal != f"{seal.partition(' ')[0]}  {MANIFEST}\n":
            yield Mismatch(SEAL, "it is not a line of sha256sum's for the manifest")
        else:
            yield from self._hashed(MANIFEST, seal.partition(" ")[0], SEAL)

    def _hashed(self, name: str, said: object, where: str) -> Iterator[Mismatch]:
        try:
            found = self._digest(name)
        except InvalidInput as error:
            yield Mismatch(name, error.message.removeprefix(f"{name}: "))
            return
        if found != said:
            yield Mismatch(name, f"its SHA-256 is {found}, and {where} says {said}")

    def _digest(self, name: str) -> str:
        state = hashlib.sha256()
        for chunk in self._chunks(name):
            state.update(chunk)
        return state.hexdigest()

    def _chunks(self, name: str) -> Iterator[bytes]:
        with self._opened(name) as member:
            while chunk := _checked_read(name, lambda: member.read(AT_ONCE)):
                yield chunk

    def _opened(self, name: str) -> IO[bytes]:
        try:
            return _checked_read(name, lambda: self._zip.open(name))
        except KeyError:
            raise damaged(name, "it is missing") from None


def _checked_read(name: str, read: Callable[[], T]) -> T:
    """What *read* gives; what zip says of a damaged member is told by the member's name."""
    try:
        return read()
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        struct.error,
        NotImplementedError,
        RuntimeError,
        OSError,
    ) as error:
        raise damaged(name, f"it cannot be read: {error or type(error).__name__}") from None


def _cut(path: Path) -> InvalidInput:
    """What is wrong with a file that has no zip's end: where it ends instead."""
    size, offset, name = path.stat().st_size, 0, ""
    with path.open("rb") as file:
        while offset < size:
            file.seek(offset)
            head = file.read(_LOCAL.size)
            if len(head) < _LOCAL.size or head[:4] != b"PK\3\4":
                break
            *_, packed, _, named, extra = _LOCAL.unpack(head)
            name = file.read(named).decode("utf-8", "replace")
            more = file.read(extra)
            if packed == _WIDE and len(more) >= _ZIP64.size:
                packed = _ZIP64.unpack(more[: _ZIP64.size])[3]
            offset += _LOCAL.size + named + extra + packed
    if not name:
        return InvalidInput("bundle", f"{path.name} is no bundle: it is no zip file", reason=DAMAGED)
    where = "the file ends inside of it" if offset > size else "the file ends or is broken after it"
    return damaged(name, where)
