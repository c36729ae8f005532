"""Uploads to a dataset, in batches that are stored completely or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from judge.domain.dataset import BatchResult, ImportedVerdict, Label, ListedComparison, Output, Prompt
from judge.domain.verdict import ParsedVerdict


class UploadStore(Protocol):
    """Adds and removes rows. Every method raises NotFound for a dataset that does not exist."""

    async def add_prompts(self, tenant: str, name: str, rows: Sequence[Prompt], *, replace: bool) -> BatchResult:
        """Add a batch. Equal rows are duplicates. Other content under a known prompt_id is rejected, or replaces."""
        ...

    async def add_outputs(self, tenant: str, name: str, rows: Sequence[Output], *, replace: bool) -> BatchResult:
        """Add a batch. Rejects rows with UNKNOWN_PROMPT, EXTRA_TURN and (without *replace*) OUTPUT_DIFFERS."""
        ...

    async def add_labels(
        self, tenant: str, name: str, rows: Sequence[Label], *, source: str, replace: bool
    ) -> BatchResult:
        """Add a batch. A label is identified by *source* and its label_id. Its prompt and outputs may be absent."""
        ...

    async def delete_labels(self, tenant: str, name: str, annotators: str) -> int:
        """Remove the labels of *annotators*, a name in which `*` stands for any text, and return how many there were.

        They are gone from the next revision on. Earlier revisions still have them.
        """
        ...

    async def add_verdicts(
        self, tenant: str, name: str, rows: Sequence[tuple[ImportedVerdict, ParsedVerdict | None]], *, replace: bool
    ) -> BatchResult:
        """Add a batch of verdicts made elsewhere, each with what our own parser made of its raw text, if it has one.

        They become answers of the recorded judge, under keys made of their contestants.
        """
        ...

    async def add_comparisons(
        self, tenant: str, name: str, rows: Sequence[ListedComparison], *, replace: bool
    ) -> BatchResult:
        """Add a batch. Rejects rows with UNKNOWN_PROMPT, UNKNOWN_OUTPUT and EXTRA_TURN."""
        ...
