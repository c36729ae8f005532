"""Labels as columns, uploaded or streamed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from judge.api.v1 import agreement_service_pb2 as pb
from judge.api.v1 import dataset_service_pb2 as ds
from judge.columns.arrays import Codes
from judge.domain.errors import InvalidInput, NotFound
from judge.domain.outcome import AnnotatorKind
from judge.domain.source import Source, SourceKind
from judge.rpc import decode
from judge.stats.battles import FLIPPED
from judge.votes.comparisons import ComparisonIndex, ComparisonKey
from judge.votes.shared_codes import merge_votes
from judge.votes.sources import oriented_key
from judge.votes.vote_table import Numbers, VoteTable
from judge.votes.votes import Part, SourceVotes

_Index = npt.NDArray[np.int64]


def label_columns(columns: ds.LabelColumns) -> Iterator[ds.Label]:
    """Yield columns of labels as rows, numbered from *first_row*."""
    for row in range(_rows(columns)):
        yield _row(columns, row)


def _rows(columns: ds.LabelColumns) -> int:
    """Return the number of rows. Raises InvalidInput if columns differ in length or a code is out of range."""
    n = len(columns.outcome)
    pointing = (columns.left, columns.right, columns.prompt, columns.annotator)
    for name, column in zip(("left", "right", "prompt", "annotator"), pointing, strict=True):
        if len(column) != n:
            raise InvalidInput(f"columns.{name}", f"columns.{name} is not as long as columns.outcome")
    if columns.turn and len(columns.turn) != n:
        raise InvalidInput("columns.turn", "columns.turn is not as long as columns.outcome")
    codes = np.array(pointing, dtype=np.int64)
    outside = ((codes < 0) | (codes >= len(columns.names))).any(axis=0)
    if outside.any():
        raise InvalidInput(
            "columns.names", f"row {outside.argmax()} of columns has a code that is not an index of names"
        )
    return n


def _row(columns: ds.LabelColumns, row: int) -> ds.Label:
    """Return one row of *columns*."""
    names = columns.names
    return ds.Label(
        label_id=str(columns.first_row + row),
        prompt_id=names[columns.prompt[row]],
        left=names[columns.left[row]],
        right=names[columns.right[row]],
        outcome=columns.outcome[row],
        annotator=names[columns.annotator[row]],
        kind=columns.kind,
        turn=columns.turn[row] if columns.turn else 1,
    )


class Labels:
    """The labels streamed so far: 18 bytes per label, and each comparison and annotator once."""

    def __init__(self) -> None:
        self._keys: Numbers[ComparisonKey] = Numbers()
        self._annotators: Numbers[str] = Numbers()
        self._parts: list[tuple[_Index, _Index, Codes, Codes]] = []

    def add(self, message: pb.MeasureAgreementRequest) -> None:
        """Add the labels of a message. Raises InvalidInput for the first invalid one."""
        if message.labels:
            self._add_rows(message.labels)
        if message.HasField("columns"):
            self._add_columns(message.columns)

    def votes(self, source: Source, part: Part) -> SourceVotes:
        """Return the votes of *source* in *part* of the data. Raises NotFound if no label matches."""
        if source.kind not in (SourceKind.PEOPLE, SourceKind.LABELS):
            raise InvalidInput("source", f"a stream of labels has no source {source}; use people or labels:PATTERN")
        item, annotator, outcome, kind = map(np.concatenate, zip(*(self._parts or [_NOTHING]), strict=True))
        keys, annotators = ComparisonIndex.of(self._keys), tuple(self._annotators)
        if source.kind is SourceKind.PEOPLE:
            taken = kind == AnnotatorKind.HUMAN
        else:
            taken = np.array([source.takes(name) for name in annotators], dtype=np.bool_)[annotator]
        if not taken.any():
            raise NotFound(f"source {source} matches no label", reason="EMPTY_SOURCE")
        taken &= part.among(keys, {}, {})[item]
        every = VoteTable(
            keys=keys,
            annotators=annotators,
            item=item.astype(np.int32),
            annotator=annotator.astype(np.int32),
            outcome=outcome,
        )
        rows = merge_votes(every.among(taken), source.merge)
        return SourceVotes(
            source=str(source),
            rows=rows,
            categories={},
            tags={},
            usable=len(rows),
            planned=len(rows),
            parser="label",
            gold=bool((kind[taken] == AnnotatorKind.GOLD).all()),
        )

    def _add_rows(self, rows: Sequence[ds.Label]) -> None:
        labels = [decode.label(row) for row in rows]
        placed = [oriented_key(label) for label in labels]
        outcome = np.array([label.outcome - 1 for label in labels], dtype=np.int8)
        self._parts.append(
            (
                self._keys.of(key for key, _ in placed).astype(np.int64),
                self._annotators.of(label.annotator for label in labels).astype(np.int64),
                np.where([flipped for _, flipped in placed], FLIPPED[outcome], outcome),
                np.array([label.kind for label in labels], dtype=np.int8),
            )
        )

    def _add_columns(self, columns: ds.LabelColumns) -> None:
        """Decode each distinct comparison, annotator, and outcome once, at its first row."""
        n = _rows(columns)
        if n == 0:
            return
        names = len(columns.names)
        prompt, left, right, annotator = (
            np.array(column, dtype=np.int64)
            for column in (columns.prompt, columns.left, columns.right, columns.annotator)
        )
        turn = np.array(columns.turn, dtype=np.int64) if columns.turn else np.ones(n, dtype=np.int64)
        outcome = np.array(columns.outcome, dtype=np.int64)
        pair = np.unique(left * names + right, return_inverse=True)[1]
        place = np.unique(pair * names + prompt, return_inverse=True)[1]
        turns, when = np.unique(turn, return_inverse=True)
        _, first, at = np.unique(place * turns.size + when, return_index=True, return_inverse=True)
        _, speaks, who = np.unique(annotator, return_index=True, return_inverse=True)
        of_outcome = np.unique(outcome, return_index=True)[1]
        labels = {row: decode.label(_row(columns, row)) for row in np.unique([*first, *speaks, *of_outcome]).tolist()}
        placed = [oriented_key(labels[row]) for row in first.tolist()]
        flipped = np.array([turned for _, turned in placed], dtype=np.bool_)[at]
        code = (outcome - 1).astype(np.int8)
        self._parts.append(
            (
                self._keys.of(key for key, _ in placed)[at].astype(np.int64),
                self._annotators.of(labels[row].annotator for row in speaks.tolist())[who].astype(np.int64),
                np.where(flipped, FLIPPED[code], code),
                np.full(n, columns.kind, dtype=np.int8),
            )
        )


_NOTHING = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int8), np.empty(0, np.int8))
