"""Stored verdicts: paged, as columns, and read again by another parser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from judge.domain.verdict import ParsedVerdict, Verdict
from judge.ports.records import (
    StoredAnswer,
    VerdictQuery,
)
from judge.ports.verdict_columns import VerdictColumns


class VerdictStore(Protocol):
    """Verdicts and their parsed verdicts."""

    async def run_answers(self, row: int, after: int, limit: int) -> list[tuple[int, int, StoredAnswer]]:
        """A page of a run's replies after position *after*: position, judge's place, answer."""
        ...

    async def add_parsed_verdicts(self, tenant: str, parsed_verdicts: Sequence[tuple[int, ParsedVerdict]]) -> None:
        """Add readings of answers; one that is there stays as it is."""
        ...

    async def verdicts(
        self, row: int, query: VerdictQuery, *, after: int, limit: int, by_revision: bool = False
    ) -> list[Verdict]:
        """A page of verdicts after position *after* (-1 to begin), by position.

        With *by_revision*: after revision *after*, whole revisions only (so more than *limit* if one is larger).
        """
        ...

    async def judge_verdicts(self, tenant: str, dataset: str, judge: str) -> list[Verdict]:
        """All verdicts of a judge over a dataset, one per answer and showing: imported ones as uploaded, then by run.

        Within a run they stand by their place in the plan, never by arrival, so that order-dependent methods repeat.

        Where runs hold several versions of the judge, only those of the newest. Raises NotFound if there is none.
        """
        ...

    async def run_columns(self, row: int, judge: int) -> VerdictColumns | None:
        """The verdicts of a run's judge, by its place, in the order of the plan, by the reading that counts.

        None where there are none yet, or the reading that counts is not of the judge's own parser: `verdicts` has them.
        """
        ...

    async def judge_columns(self, tenant: str, dataset: str, judge: str) -> VerdictColumns | None:
        """What `judge_verdicts` gives, as columns; None, as above, where only that has them."""
        ...
