"""Rows going into a dataset, in batches that are taken whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from judge.domain.dataset import BatchResult, ImportedVerdict, Label, ListedComparison, Output, Prompt
from judge.domain.verdict import ParsedVerdict


class UploadStore(Protocol):
    """UploadStore of rows. Every method raises NotFound for a dataset that does not exist."""

    async def add_prompts(self, tenant: str, name: str, rows: Sequence[Prompt], *, replace: bool) -> BatchResult:
        """Add a batch; equal rows are duplicates; other content under the same prompt_id is rejected or replaces."""
        ...

    async def add_outputs(self, tenant: str, name: str, rows: Sequence[Output], *, replace: bool) -> BatchResult:
        """Add a batch; rejects UNKNOWN_PROMPT, EXTRA_TURN, and (without *replace*) OUTPUT_DIFFERS."""
        ...

    async def add_labels(
        self, tenant: str, name: str, rows: Sequence[Label], *, source: str, replace: bool
    ) -> BatchResult:
        """Add a batch; a label's identity is *source* and its label_id. Prompt and outputs may be absent."""
        ...

    async def delete_labels(self, tenant: str, name: str, annotators: str) -> int:
        """Take out the labels of *annotators*, a name in which `*` stands for anything; how many they were.

        They are gone from the next revision on: whoever pinned an older one still reads them.
        """
        ...

    async def add_verdicts(
        self, tenant: str, name: str, rows: Sequence[tuple[ImportedVerdict, ParsedVerdict | None]], *, replace: bool
    ) -> BatchResult:
        """Add a batch of verdicts made elsewhere, each with our own reading of its raw text, if it has one.

        They are answers of the recorded judge, keyed by their contestants.
        """
        ...

    async def add_comparisons(
        self, tenant: str, name: str, rows: Sequence[ListedComparison], *, replace: bool
    ) -> BatchResult:
        """Add a batch; rejects UNKNOWN_PROMPT and UNKNOWN_OUTPUT."""
        ...
