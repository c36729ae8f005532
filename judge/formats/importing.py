"""What an import is: files, each in a format, whose rows are items of a dataset; and what was left out, and why."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from judge.domain.dataset import ImportedVerdict, Label, ListedComparison, Output, Prompt
from judge.domain.errors import InvalidInput
from judge.formats.containers import FileRow, rows_of
from judge.formats.fields import Row
from judge.formats.names import NamesUsed

R = TypeVar("R")
T = TypeVar("T", Prompt, Output, ImportedVerdict, ListedComparison)


class SourcedLabel(NamedTuple):
    """A label whose row names its source; others have their file's name as source."""

    source: str
    label: Label


class RowNote(NamedTuple):
    """What to say about a row that is not wrong, such as why it makes no label. Equal notes of a file are counted."""

    text: str


Item = Prompt | Output | Label | SourcedLabel | ImportedVerdict | ListedComparison | RowNote
KINDS: Mapping[str, type] = {
    "prompts": Prompt,
    "outputs": Output,
    "labels": Label,
    "verdicts": ImportedVerdict,
    "comparisons": ListedComparison,
}
"""The kinds of items, in the order in which they are uploaded: later ones refer to earlier ones."""
Parser = Callable[[int, Row], Iterable[Item]]
"""Makes the items of a row, which is given with its number. Errors are those of `fields`."""
WrongRow = Callable[[InvalidInput], None]


def refuse(error: InvalidInput) -> None:
    """Raise the error of a wrong row, so that one wrong row refuses its file."""
    raise error


@dataclass(frozen=True)
class Format:
    """How the rows of a file become items: a name, and a function that returns a parser, a new one for each pass."""

    name: str
    parser: Callable[[], Parser]
    rows: Callable[[Path], Iterator[FileRow]] = rows_of
    has_folders: bool = False
    """Whether the folders beside a file of this format belong to it."""
    note: str = ""
    """What people should know, such as what was guessed because the file does not say it."""


@dataclass(frozen=True)
class ImportedFile:
    """A file and its format. *name* is its path in the folder that was given; labels have it as their source."""

    path: Path
    name: str
    format: Format

    def placed_items(self, wrong: WrongRow = refuse) -> Iterator[tuple[str, Item]]:
        """Read the file and yield its items, each with the place of its row, such as `line 3`.

        A wrong row is given to *wrong*, and the rows after it are read. Raises InvalidInput if the file cannot be read
        to its end.
        """
        parse = self.format.parser()
        for place, number, row in self.format.rows(self.path):
            try:
                items = parsed_row(self.path, place, parse, number, row)
            except InvalidInput as error:
                wrong(error)
            else:
                yield from ((place, item) for item in items)

    def items(self, wrong: WrongRow = refuse) -> Iterator[Item]:
        """Read the file and yield its items, as `placed_items` does."""
        return (item for _, item in self.placed_items(wrong))

    def rows(self, kind: type[T], wrong: WrongRow = refuse) -> Iterator[T]:
        """Read the file and yield its items of a *kind*, such as Prompt. Raises InvalidInput as `items` does."""
        return (item for item in self.items(wrong) if isinstance(item, kind))

    def labels(self, wrong: WrongRow = refuse) -> Iterator[SourcedLabel]:
        """Read the file and yield its labels, each with its source. Raises InvalidInput as `items` does."""
        for item in self.items(wrong):
            if isinstance(item, SourcedLabel):
                yield item
            elif isinstance(item, Label):
                yield SourcedLabel(self.name, item)


@dataclass(frozen=True)
class LeftOut:
    """A file that is not imported, and why. If it holds nothing that an import could lose, nothing is lost."""

    name: str
    why: str
    loses: bool = True


@dataclass(frozen=True)
class NeedsReference:
    """Rows that do not name what their contestant was compared with, so that the import has to."""

    name: str
    given: Callable[[str], Format | LeftOut]
    """Makes the format with the name of that contestant."""


KEPT_WRONG = 5
"""How many wrong rows of a file are named."""


@dataclass(frozen=True)
class FileCounts:
    """What is in a file: items by kind, wrong rows, of which the first are kept, and the names that its rows use."""

    items: Counter[str]
    n_wrong: int
    wrong: tuple[InvalidInput, ...]
    names: NamesUsed
    notes: Counter[str] = field(default_factory=Counter)
    """How many rows have each note."""


@dataclass(frozen=True)
class Import:
    """The files to import, in their order, and those that are left out."""

    files: tuple[ImportedFile, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def rows(self, kind: type[T], wrong: WrongRow = refuse) -> Iterator[T]:
        """Read the files and yield all items of a *kind*, such as Prompt."""
        for file in self.files:
            yield from file.rows(kind, wrong)

    def labels(self, wrong: WrongRow = refuse) -> Iterator[SourcedLabel]:
        """Read the files and yield all labels, each with its source."""
        for file in self.files:
            yield from file.labels(wrong)


def count(file: ImportedFile) -> FileCounts:
    """Read a file and count what is in it. Raises InvalidInput if it cannot be read to its end."""
    wrong: list[InvalidInput] = []
    n_wrong = 0

    def note(error: InvalidInput) -> None:
        nonlocal n_wrong
        n_wrong += 1
        if len(wrong) < KEPT_WRONG:
            wrong.append(error)

    by_type: Counter[type] = Counter()
    notes: Counter[str] = Counter()
    names = NamesUsed()
    for item in file.items(note):
        if isinstance(item, RowNote):
            notes[item.text] += 1
            continue
        plain = item.label if isinstance(item, SourcedLabel) else item
        by_type[type(plain)] += 1
        names.add(plain)
    return FileCounts(
        items=Counter({name: by_type[kind] for name, kind in KINDS.items() if by_type[kind]}),
        n_wrong=n_wrong,
        wrong=tuple(wrong),
        names=names,
        notes=notes,
    )


def parsed_row(
    path: Path, place: str, parse: Callable[[int, Row], Iterable[R]], number: int, row: Row | InvalidInput
) -> tuple[R, ...]:
    """Return the items of a row. Raises InvalidInput with the file and the *place* if the row is wrong."""
    if isinstance(row, InvalidInput):
        raise row
    try:
        return tuple(parse(number, row))
    except InvalidInput as error:
        raise InvalidInput(error.field, f"{path} {place}: {error.message}", reason=error.reason) from None
    except KeyError as missing:
        has = ", ".join(map(str, row)) or "none"
        message = f"{path} {place} has no field {missing.args[0]}. It has the fields {has:.300}"
        raise InvalidInput(path.name, message, reason="INVALID_ROW") from None
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise InvalidInput(path.name, f"{path} {place} {error}", reason="INVALID_ROW") from None


def text_id(*texts: str) -> str:
    """Return the id of a prompt that has none of its own: the hash of its texts.

    >>> text_id("Why is the sky blue?") == text_id("Why is the sky", " blue?"), len(text_id(""))
    (False, 20)
    """
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:20]


def text_sample(*texts: str) -> int:
    """Return the sample number of an output that has none, from its texts: it is the same in every file.

    >>> text_sample("So.") == text_sample("So."), text_sample("So.") == text_sample("S", "o."), text_sample("") < 2**31
    (True, False, True)
    """
    return int(text_id(*texts)[:8], 16) >> 1


class LabelIds:
    """Ids of the labels of one file that have none of their own, so that equal content has an equal id.

    The id of a label is made of its prompt, turn, sides and annotator, and of how many labels before it in the file
    have the same. Which side is called left does not count.

    >>> ids = LabelIds()
    >>> first, second = (ids.next("q1", 1, ("m", "n"), "ann") for _ in range(2))
    >>> second == first + "-2", ids.next("q1", 1, ("n", "m"), "ann") == first + "-3"
    (True, True)
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def next(self, prompt_id: str, turn: int, sides: tuple[object, object], annotator: str) -> str:
        """Return the id of the next label with this content."""
        content = "\0".join((prompt_id, str(turn), *sorted(map(str, sides)), annotator))
        key = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:20]
        self._seen[key] += 1
        return key if self._seen[key] == 1 else f"{key}-{self._seen[key]}"
