"""Which weights answer under a name, so that others which take their place are noticed.

A folder's weights are named by a digest of its files. Computing it takes as long as reading them, so it is computed
again only after the size, the time or the inode of one of them has changed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from judge.domain.errors import JudgeUnusable

CHECK_SECONDS: Final = 10.0
"""How long the weights that answer are trusted before they are checked again."""
_READ_BY_ENGINES: Final = frozenset(
    {".safetensors", ".bin", ".pt", ".pth", ".gguf", ".json", ".model", ".txt", ".jinja", ".tiktoken", ".py"}
)
"""Endings of the files from which an engine loads a model. Others, such as a README, may change."""
_DIGEST: Final = "#sha256:"
_DIGITS: Final = 32

Stamp = tuple[str, int, int, int]
"""The name of a file in its folder, its size, when it was changed, in nanoseconds, and its inode."""


class WeightFolder:
    """The model in the folder or file at *path*, which need not exist: it may be a name on a hub."""

    def __init__(self, path: str) -> None:
        self.path, self._path = path, Path(path)
        self._stamps: tuple[Stamp, ...] = ()
        self._name = path

    def name(self) -> str:
        """Return the path with a digest of the files there, or the path alone if there are none. Reads them all once.

        Raises JudgeUnusable if a file cannot be read.
        """
        try:
            stamps = self._stamp()
            if stamps != self._stamps:
                self._name = f"{self._path}{_DIGEST}{self._digest(stamps)}" if stamps else str(self._path)
                self._stamps = stamps
        except OSError as error:
            reason = error.strerror or "it cannot be read"
            raise JudgeUnusable(f"the weights in {self._path} cannot be read: {reason}") from None
        return self._name

    def _stamp(self) -> tuple[Stamp, ...]:
        """Return the stamps of all files that an engine reads, in the order of their names."""
        if self._path.is_file():
            return (self._stamp_of(self._path, ""),)
        files = [path for path in self._path.rglob("*") if path.suffix.lower() in _READ_BY_ENGINES and path.is_file()]
        names = [(path, path.relative_to(self._path)) for path in files]
        return tuple(sorted(self._stamp_of(path, str(name)) for path, name in names if not str(name).startswith(".")))

    @staticmethod
    def _stamp_of(path: Path, name: str) -> Stamp:
        status = path.stat()
        return name, status.st_size, status.st_mtime_ns, status.st_ino

    def _digest(self, stamps: tuple[Stamp, ...]) -> str:
        """Return a digest of the names and contents of the files with these *stamps*."""
        digest = hashlib.sha256()
        for name, *_ in stamps:
            with (self._path / name).open("rb") as file:
                digest.update(f"{name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
        return digest.hexdigest()[:_DIGITS]


def check_weights(model: str, *, frozen: str, now: str) -> None:
    """Check that the weights *now* behind *model* are those that answered when the run began.

    Digests are compared if both are known. Raises JudgeUnusable.

    >>> check_weights("m", frozen="/models/m", now="/models/m#sha256:00ff")
    >>> check_weights("m", frozen="/models/m", now="/models/n")
    Traceback (most recent call last):
    ...
    judge.domain.errors.JudgeUnusable: the weights behind 'm' have changed from /models/m to /models/n. Start a new run
    """
    root, _, digest = frozen.partition(_DIGEST)
    root_now, _, digest_now = now.partition(_DIGEST)
    if root == root_now and (digest == digest_now or not (digest and digest_now)):
        return
    message = f"the weights behind {model!r} have changed from {frozen} to {now}. Start a new run"
    raise JudgeUnusable(message, unsent=True)
