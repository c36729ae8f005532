"""Find the files of a path and the format of each, by what they hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from judge.domain.errors import InvalidInput
from judge.formats import (
    alpaca_eval,
    arena,
    arena_hard,
    fastchat,
    helpsteer,
    inspect_log,
    judgebench,
    label_studio,
    lm_eval,
    openai_evals,
    own,
    pandalm,
    preferences,
    prometheus,
    promptfoo,
    rewardbench,
)
from judge.formats.containers import first_row
from judge.formats.fields import Row
from judge.formats.importing import Format, Import, ImportedFile, LeftOut, NeedsReference
from judge.formats.mapped import ColumnMapping
from judge.formats.packed import PACKED

MOST_FILES = 10_000
"""The most files of a folder. More are rather a wrong folder than an import."""
Recognize = Callable[[Path, Row], Format | LeftOut | NeedsReference | None]
_Tried = Mapping[str, Callable[[Path, Row], Format | LeftOut | None]]


def _own(path: Path, row: Row) -> Format | LeftOut | None:
    kind = own.kind_of(path, row)
    if kind == "battles":
        return LeftOut(path.name, f"battles, which need no dataset: rank them with judge rank {path}")
    return own.format_of(kind) if kind else None


FORMATS: Mapping[str, Recognize] = {
    "alpaca-eval": alpaca_eval.recognize,
    "arena": arena.recognize,
    "arena-hard": arena_hard.recognize,
    "fastchat": fastchat.recognize,
    "pandalm": pandalm.recognize,
    "judgebench": judgebench.recognize,
    "rewardbench": rewardbench.recognize,
    "helpsteer": helpsteer.recognize,
    "prometheus": prometheus.recognize,
    "lm-eval": lm_eval.recognize,
    "inspect": inspect_log.recognize,
    "openai-evals": openai_evals.recognize,
    "promptfoo": promptfoo.recognize,
    "label-studio": label_studio.recognize,
    "preferences": preferences.recognize,
    "own": _own,
}
"""The formats by name, in the order in which a file is tried."""
_UNKNOWN = "in no known format"
LAYOUT = frozenset(("model_answer", fastchat.REFERENCES, "model_judgment"))
"""Folders that belong to the files beside them. Another folder beside files is an import of its own."""
_ABOUT = re.compile(r"(readme|licen[sc]e|notice|citation)\b", re.IGNORECASE)
_NO_TABLE = frozenset((".toml", ".md", ".yaml", ".yml", ".cfg", ".ini", ".py", ".sh", ".xml", ".html", ".pdf", ".log"))
"""Endings of files that hold no rows: settings, programs, and pages."""
_SAMPLE = re.compile(r"\.sample(?=\.\w+$)")


class _Reference:
    """The reference contestant that an import names, and whether a file needed it."""

    def __init__(self, name: str | None) -> None:
        self._name, self.needed = name, False

    def recognize(self, recognize: Recognize, path: Path, row: Row) -> Format | LeftOut | None:
        format_ = recognize(path, row)
        if not isinstance(format_, NeedsReference):
            return format_
        self.needed = True
        if self._name is None:
            return LeftOut(path.name, f"{format_.name} without their baseline: name it with --reference NAME")
        return format_.given(self._name)


def read(
    path: Path, name: str | None = None, mapping: ColumnMapping | None = None, reference: str | None = None
) -> Import:
    """Find the files of *path*, a file or a folder, and the format of each. *name* is the only format to try.

    A *mapping* is the format of all files, whatever they hold. *reference* is the contestant that others were compared
    with, for files that do not name it.

    Only the first row of each file is read. Raises InvalidInput if *path* or the format does not exist, if no file is
    in a known format, or if no file needs the *reference*.
    """
    if not path.exists():
        raise InvalidInput("path", f"{path} does not exist", reason="NO_SUCH_PATH")
    given = _Reference(reference)
    entries = _entries(path, {key: partial(given.recognize, each) for key, each in _tried(name, mapping).items()})
    files = tuple(entry for entry in entries if isinstance(entry, ImportedFile))
    left_out = tuple(entry for entry in entries if isinstance(entry, LeftOut))
    if not files:
        listed = "; ".join(f"{entry.name}: {entry.why}" for entry in left_out[:5])
        message = f"{path} holds nothing to import" + (f": {listed}" if listed else ": the folder is empty")
        if any(_UNKNOWN in entry.why for entry in left_out):
            message += ". --map says which columns of a table are what"
        raise InvalidInput("path", message, reason="UNKNOWN_FORMAT")
    if reference is not None and not given.needed:
        message = f"no file of {path} needs a reference: leave out {reference!r:.80}"
        raise InvalidInput("reference", message, reason="NEEDLESS_REFERENCE")
    return Import(files=files, left_out=left_out)


def _tried(name: str | None, mapping: ColumnMapping | None) -> Mapping[str, Recognize]:
    if name is not None and name not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise InvalidInput("format", f"format {name!r} is unknown; use one of {known}", reason="UNKNOWN_FORMAT")
    if mapping is not None:
        return {"map": mapping.recognize}
    return FORMATS if name is None else {name: FORMATS[name]}


def _entries(path: Path, tried: _Tried) -> list[ImportedFile | LeftOut]:
    if path.is_dir():
        return list(_in_folder(path, path, tried))
    row = first_row(path)
    if row is None:
        raise InvalidInput("path", f"there is no row to import: {path} is empty", reason="NO_ROWS")
    format_ = _recognized(path, row, tried)
    return [format_ if isinstance(format_, LeftOut) else ImportedFile(path, path.name, format_)]


def _recognized(path: Path, row: Row, tried: _Tried) -> Format | LeftOut:
    for recognize in tried.values():
        if format_ := recognize(path, row):
            return format_
    names = ", ".join(map(str, row))
    return LeftOut(path.name, f"{_UNKNOWN}: it has the fields {names[:200]}")


def _in_folder(root: Path, folder: Path, tried: _Tried) -> Iterator[ImportedFile | LeftOut]:
    """Yield the files of *folder*. If it holds none to import itself, those of all its folders."""
    paths, folders = _listed(root, folder)
    entries = list(_each(root, paths, tried))
    yield from entries
    files = [entry for entry in entries if isinstance(entry, ImportedFile)]
    has_folders = any(file.format.has_folders for file in files)
    for inner in folders:
        if not files:
            yield from _in_folder(root, inner, tried)
        elif has_folders or inner.name in LAYOUT:
            yield from _each(root, _below(root, inner), tried)
        else:
            yield LeftOut(f"{inner.relative_to(root).as_posix()}/", "a folder of its own: import it by itself")


def _listed(root: Path, folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the files and the folders in a folder, sorted, without hidden ones."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        message = f"{folder} cannot be read: {error.strerror}"
        raise InvalidInput("path", message, reason="UNREADABLE_FILE") from None
    if len(entries) > MOST_FILES:
        message = f"{folder} holds {len(entries):,} files; the maximum is {MOST_FILES:,}"
        raise InvalidInput("path", message, reason="TOO_MANY_FILES")
    folders = {entry: None for entry in entries if entry.is_dir() and not _leads_out(root, entry)}
    return [entry for entry in entries if entry not in folders], list(folders)


def _leads_out(root: Path, path: Path) -> bool:
    """Whether a path is a link that leads out of the folder that is imported, or to one of the folders above it."""
    if not path.is_symlink():
        return False
    target, inside = path.resolve(), root.resolve()
    return not target.is_relative_to(inside) or path.parent.resolve().is_relative_to(target)


def _below(root: Path, folder: Path) -> Iterator[Path]:
    paths, folders = _listed(root, folder)
    yield from paths
    for inner in folders:
        yield from _below(root, inner)


def _each(root: Path, paths: Iterable[Path], tried: _Tried) -> Iterator[ImportedFile | LeftOut]:
    paths = list(paths)
    present = set(paths)
    for path in paths:
        name = path.relative_to(root).as_posix()
        entry = _duplicate(path, present) or _entry(root, path, tried)
        yield replace(entry, name=name) if isinstance(entry, LeftOut) else ImportedFile(path, name, entry)


def _entry(root: Path, path: Path, tried: _Tried) -> Format | LeftOut:
    if _leads_out(root, path):
        return LeftOut(path.name, "a link that leads out of the folder")
    if _ABOUT.match(path.name):
        return LeftOut(path.name, "about the data", loses=False)
    if path.suffix.lower() in _NO_TABLE:
        return LeftOut(path.name, "no table", loses=False)
    try:
        row = first_row(path)
    except InvalidInput as error:
        return LeftOut(path.name, error.message.removeprefix(f"{path} "))
    return LeftOut(path.name, "empty") if row is None else _recognized(path, row, tried)


def _duplicate(path: Path, present: set[Path]) -> LeftOut | None:
    """Say of which file beside it *path* is the packed form or a sample."""
    plain = path.with_suffix("") if path.suffix in PACKED else path
    if plain != path and plain in present:
        return LeftOut(path.name, f"the packed form of {plain.name}", loses=False)
    whole = plain.with_name(_SAMPLE.sub("", plain.name))
    if whole != plain:
        for other in (whole, *(whole.with_name(whole.name + packed) for packed in PACKED)):
            if other in present:
                return LeftOut(path.name, f"a sample of {other.name}", loses=False)
    return None
