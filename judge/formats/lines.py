"""JSON lines, one object each; `.gz` too."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from judge.domain.dataset import ImportedVerdict, Label, Output, Prompt
from judge.domain.errors import InvalidInput

T = TypeVar("T")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Import:
    """What a path holds. Labels are by source; whatever is large is read while it is walked."""

    prompts: Callable[[], Iterator[Prompt]] = lambda: iter(())
    outputs: Callable[[], Iterator[Output]] = lambda: iter(())
    labels: Mapping[str, Callable[[], Iterator[Label]]] = field(default_factory=dict)
    verdicts: Callable[[], Iterator[ImportedVerdict]] = lambda: iter(())


def read_rows(path: Path, made: Callable[[int, Row], T]) -> Iterator[T]:
    """What *made* makes of each line's number and object; InvalidInput naming file and line where it cannot."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            where = f"{path} line {number}"
            try:
                row = json.loads(line.decode("utf-8"))
            except UnicodeDecodeError:
                raise InvalidInput(path.name, f"{where} is not UTF-8", reason="NOT_UTF8") from None
            except json.JSONDecodeError as error:
                raise InvalidInput(path.name, f"{where} is not JSON: {error.msg}", reason="NOT_JSON") from None
            if not isinstance(row, dict):
                raise InvalidInput(path.name, f"{where} is not a JSON object", reason="NOT_JSON")
            try:
                yield made(number, row)
            except InvalidInput as error:
                raise InvalidInput(error.field, f"{where}: {error.message}", reason=error.reason) from None
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                told = f"lacks {error}" if isinstance(error, KeyError) else str(error)
                raise InvalidInput(path.name, f"{where} {told}", reason="INVALID_ROW") from None
