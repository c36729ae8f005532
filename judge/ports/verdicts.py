"""Stored verdicts: in pages, as columns, and parsed again by another parser."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from judge.domain.verdict import ParsedVerdict, Verdict
from judge.ports.records import (
    StoredAnswer,
    VerdictQuery,
)
from judge.ports.verdict_columns import VerdictColumns


class VerdictStore(Protocol):
    """Verdicts of runs, judges and datasets, and the parsed verdicts of their replies."""

    async def run_answers(self, row: int, after: int, limit: int) -> list[tuple[int, int, StoredAnswer]]:
        """Return a page of a run's replies after position *after*: position, place of the judge, and answer.

        It has fewer than *limit* if they are large, and is empty only if there are no more.
        """
        ...

    async def add_parsed_verdicts(self, tenant: str, parsed_verdicts: Sequence[tuple[int, ParsedVerdict]]) -> None:
        """Add pairs of an answer's id and a parsed verdict of it. Those that exist stay as they are."""
        ...

    async def verdicts(self, row: int, query: VerdictQuery, *, after: int, limit: int) -> list[Verdict]:
        """Return a page of verdicts after position *after* (-1 to begin), sorted by position.

        It has fewer than *limit* if their replies are large or *query* asks for outcomes. It is empty only if there
        are no more.
        """
        ...

    async def verdicts_by_revision(
        self, row: int, query: VerdictQuery, *, after: tuple[int, int], limit: int
    ) -> list[Verdict]:
        """Return a page like that of `verdicts`, sorted by revision and position, after a revision and a position."""
        ...

    async def judge_verdicts(
        self, tenant: str, dataset: str, judge: str, *, prompt_ids: Collection[str] | None = None
    ) -> list[Verdict]:
        """Return all verdicts of a judge over a dataset, one per answer and presentation, without texts.

        With *prompt_ids*, return only those on these prompts, with the texts of replies and their reasons: all of them
        are in memory together.

        Imported verdicts come first, as uploaded, then those of runs. The verdicts of a run are sorted by their place
        in the plan, never by arrival, so that methods that depend on the order are reproducible. If runs have several
        versions of the judge, only the newest version counts. Raises NotFound if the judge has no verdict, unless
        *prompt_ids* are given.
        """
        ...

    async def run_columns(self, row: int, judge: int) -> VerdictColumns:
        """Return the verdicts of a run's judge, by its place, in the order of the plan.

        Each has the parsed verdict that counts. The columns are empty if there are no verdicts yet.
        """
        ...

    async def judge_columns(self, tenant: str, dataset: str, judge: str) -> VerdictColumns:
        """Return the verdicts of `judge_verdicts` as columns. Raises NotFound if there is no verdict."""
        ...
