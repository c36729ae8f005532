"""The file of a bundle: a zip with a manifest, which lists the SHA-256 of every other member.

`manifest.json.sha256` holds the manifest's own SHA-256. The same content gives the same bytes: members are in the order
of writing and have no times, owners, or modes. Nothing is ever unpacked to disk. An error names the damaged member: it
is an InvalidInput whose field is the member's name.

A bundle may come from anybody, so its size is bounded before it is read: that of its list of members, and that of their
content, compared with the file. Links, folders, and names that lead out of a folder are refused, although nothing would
follow them here: other tools would.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
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
"""The reason of every error about a damaged bundle."""
PLAN, ANSWERS = "plan.jsonl", "answers.jsonl"
"""The presentations of the plan, and the verdicts on them."""
ROUNDS = "rounds.jsonl"
"""The rounds from which the plan of an adaptive run follows."""
MOST_BYTES = 128 * 1024 * 1024
"""The largest size of a row, of the manifest, and of a leaderboard."""
MOST_DIRECTORY = 1024 * 1024
"""The largest list of members in bytes, which is enough for some thousands. zipfile reads it as a whole."""
MOST_RATIO, FREE_BYTES = 200, 16 * 1024 * 1024
"""How many times its own size a bundle may unpack to, once that is more than FREE_BYTES. Runs reach about 30."""
AT_ONCE = 1024 * 1024
_LOCAL = struct.Struct("<4s5H3I2H")
"""The local header of a zip member. Its last fields are both sizes and the lengths of the name and the extra field."""
_ZIP64 = struct.Struct("<2HQQ")
_WIDE = 0xFFFFFFFF
"""The value of a size that is stored in the zip64 extra field instead."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A member of a bundle, and what in it does not match."""

    member: str
    message: str

    def __str__(self) -> str:
        return f"{self.member}: {self.message}"


def damaged(member: str, message: str) -> InvalidInput:
    """Make the error that says what is wrong with a *member*."""
    return InvalidInput(member, f"{member}: {message}", reason=DAMAGED)


class BundleWriter:
    """Writes a bundle to *file*: member after member, and the manifest last. Leaving the context closes the zip."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w")
        self._members: dict[str, dict[str, object]] = {}

    @contextmanager
    def member(self, name: str) -> Iterator[Callable[[str], None]]:
        """Yield a function that writes text to the member *name*."""
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
        """Write the *manifest* with the size and hash of each member. Returns its SHA-256, the name of the bundle."""
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
    """Reads the manifest and the members of a bundle. Raises InvalidInput with the member that is damaged."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InvalidInput("bundle", f"{path.name} is not a bundle: it is not a file", reason=DAMAGED)
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(_BoundedFile(path))
            try:
                self._zip = stack.enter_context(zipfile.ZipFile(file))
            except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):
                raise _cut_error(path) from None
            file.bounded = False
            _check_entries(self._zip.infolist(), path.stat().st_size)
            self.manifest = self._manifest()
            self._open_files = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open_files.close()

    def _manifest(self) -> dict[str, Any]:
        try:
            manifest = json.loads(self.text(MANIFEST))
        except (ValueError, RecursionError):
            raise damaged(MANIFEST, "it is not JSON") from None
        version = manifest.get("format") if isinstance(manifest, dict) else None
        if version != FORMAT:
            raise damaged(MANIFEST, f"the bundle has the format {version!r}; this release reads {FORMAT}")
        members = manifest.get("members")
        if not isinstance(members, dict) or not all(isinstance(member, dict) for member in members.values()):
            raise damaged(MANIFEST, "it lists no members")
        return dict(manifest)

    @property
    def digest(self) -> str:
        """The manifest's SHA-256, which identifies the bundle."""
        return self._digest(MANIFEST)

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines of a member."""
        with self._open(name) as member:
            while line := _read_member(name, lambda: member.readline(MOST_BYTES)):
                if len(line) == MOST_BYTES:
                    raise damaged(name, f"a line is longer than {MOST_BYTES:,} bytes")
                yield line

    def text(self, name: str) -> str:
        """Return the whole text of a member."""
        with self._open(name) as member:
            whole = _read_member(name, lambda: member.read(MOST_BYTES))
        if len(whole) == MOST_BYTES:
            raise damaged(name, f"it is longer than {MOST_BYTES:,} bytes")
        try:
            return whole.decode()
        except UnicodeDecodeError:
            raise damaged(name, "it is not UTF-8") from None

    def mismatches(self) -> Iterator[Mismatch]:
        """Yield members that are missing, not listed, there twice, or of another SHA-256 than the manifest says."""
        there = self._zip.namelist()
        listed = self.manifest["members"]
        for name in sorted({*listed, MANIFEST, SEAL} - set(there)):
            yield Mismatch(name, "it is missing")
        for name in sorted(set(there) - {*listed, MANIFEST, SEAL}):
            yield Mismatch(name, "it is not in the manifest")
        for name in sorted(name for name, count in Counter(there).items() if count > 1):
            yield Mismatch(name, "the file holds it more than once")
        if SEAL in there:
            yield from self._seal_mismatches()
        for name in sorted(set(there) & set(listed)):
            size, stated = self._zip.getinfo(name).file_size, listed[name].get("bytes")
            if size != stated:
                yield Mismatch(name, f"it has {size:,} bytes, but the manifest says {stated}")
            yield from self._hash_mismatches(name, listed[name].get("sha256"), "the manifest")

    def _seal_mismatches(self) -> Iterator[Mismatch]:
        try:
            seal = self.text(SEAL)
        except InvalidInput as error:
            yield Mismatch(SEAL, error.message.removeprefix(f"{SEAL}: "))
            return
        if seal != f"{seal.partition(' ')[0]}  {MANIFEST}\n":
            yield Mismatch(SEAL, "it is not the line that sha256sum writes for the manifest")
        else:
            yield from self._hash_mismatches(MANIFEST, seal.partition(" ")[0], SEAL)

    def _hash_mismatches(self, name: str, expected: object, origin: str) -> Iterator[Mismatch]:
        try:
            digest = self._digest(name)
        except InvalidInput as error:
            yield Mismatch(name, error.message.removeprefix(f"{name}: "))
            return
        if digest != expected:
            yield Mismatch(name, f"its SHA-256 is {digest}, but {origin} says {expected}")

    def _digest(self, name: str) -> str:
        state = hashlib.sha256()
        for chunk in self._chunks(name):
            state.update(chunk)
        return state.hexdigest()

    def _chunks(self, name: str) -> Iterator[bytes]:
        with self._open(name) as member:
            while chunk := _read_member(name, lambda: member.read(AT_ONCE)):
                yield chunk

    def _open(self, name: str) -> IO[bytes]:
        try:
            return _read_member(name, lambda: self._zip.open(name))
        except KeyError:
            raise damaged(name, "it is missing") from None


class _BoundedFile(io.FileIO):
    """A file that refuses to read more than MOST_DIRECTORY bytes at once, as long as it is *bounded*."""

    bounded = True

    def read(self, size: int | None = -1, /) -> bytes:
        if self.bounded and size is not None and size > MOST_DIRECTORY:
            message = f"its list of members has {size:,} bytes; the maximum is {MOST_DIRECTORY:,}"
            raise InvalidInput("bundle", f"{Path(str(self.name)).name} is not a bundle: {message}", reason=DAMAGED)
        return super().read(size)


def _check_entries(entries: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Raise InvalidInput unless *entries* of a file of *size* bytes are plain files of a plausible size."""
    for entry in entries:
        name, mode = entry.orig_filename, entry.external_attr >> 16
        outside = name.startswith("/") or ":" in name.partition("/")[0] or "\\" in name or ".." in name.split("/")
        if outside or not name.isprintable() or entry.is_dir() or stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise damaged(ascii(name), "a bundle holds only files, under names that stay in its folder")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > max(FREE_BYTES, MOST_RATIO * size):
        message = f"it would unpack to {unpacked:,} bytes, more than {MOST_RATIO} times its size"
        raise InvalidInput("bundle", f"this is not a bundle: {message}", reason=DAMAGED)


def _read_member(name: str, read: Callable[[], T]) -> T:
    """Call *read*. Errors that zipfile raises for damaged data become an InvalidInput that names the member."""
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


def _cut_error(path: Path) -> InvalidInput:
    """Make the error for a file without the end of a zip: it names the member in which, or after which, it ends."""
    size, offset, name = path.stat().st_size, 0, ""
    with path.open("rb") as file:
        while offset < size:
            file.seek(offset)
            head = file.read(_LOCAL.size)
            if len(head) < _LOCAL.size or head[:4] != b"PK\3\4":
                break
            *_, packed, _, name_length, extra = _LOCAL.unpack(head)
            name = file.read(name_length).decode("utf-8", "replace")
            more = file.read(extra)
            if packed == _WIDE and len(more) >= _ZIP64.size:
                packed = _ZIP64.unpack(more[: _ZIP64.size])[3]
            offset += _LOCAL.size + name_length + extra + packed
    if not name:
        return InvalidInput("bundle", f"{path.name} is not a bundle: it is not a zip file", reason=DAMAGED)
    return damaged(name, "the file ends inside of it" if offset > size else "the file ends or is damaged after it")
