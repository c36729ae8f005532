"""Encode the rows of a dataset. Clients use this too, so it imports only the nouns and the API."""

from __future__ import annotations

from judge.api.v1 import dataset_service_pb2
from judge.domain.dataset import ImportedVerdict, Label, ListedComparison, Output, Prompt
from judge.domain.messages import Role
from judge.rpc.turns import encode_messages


def prompt(row: Prompt) -> dataset_service_pb2.Prompt:
    """Encode a prompt."""
    return dataset_service_pb2.Prompt(
        prompt_id=row.prompt_id,
        category=row.category,
        tags=row.tags,
        turns=row.texts,
        reference=row.reference,
        messages=encode_messages(row.turns, Role.USER),
    )


def output(row: Output) -> dataset_service_pb2.Output:
    """Encode an output."""
    return dataset_service_pb2.Output(
        prompt_id=row.prompt_id,
        contestant=row.contestant,
        sample=row.sample,
        turns=row.texts,
        messages=encode_messages(row.turns, Role.ASSISTANT),
    )


def label(row: Label) -> dataset_service_pb2.Label:
    """Encode a label."""
    return dataset_service_pb2.Label(
        label_id=row.label_id,
        prompt_id=row.prompt_id,
        turn=row.turn,
        left=row.left,
        right=row.right,
        outcome=row.outcome.value,  # type: ignore[arg-type]  # the wire has the same numbers
        annotator=row.annotator,
        kind=row.kind.value,  # type: ignore[arg-type]  # as above
        probability=row.probability,
        strength=row.strength,
        tie_kind=row.tie_kind.value if row.tie_kind else 0,  # type: ignore[arg-type]  # as above
        note=row.note,
        selection=row.selection.value if row.selection else 0,  # type: ignore[arg-type]  # as above
        selection_probability=row.selection_probability,
        left_sample=row.left_sample,
        right_sample=row.right_sample,
    )


def imported_verdict(row: ImportedVerdict) -> dataset_service_pb2.ImportedVerdict:
    """Encode a verdict made elsewhere."""
    return dataset_service_pb2.ImportedVerdict(
        prompt_id=row.prompt_id,
        turn=row.turn,
        left=row.left,
        right=row.right,
        order=row.order.value,  # type: ignore[arg-type]  # the wire has the same numbers
        judge=row.judge,
        raw=row.raw,
        outcome=row.outcome.value if row.outcome else 0,  # type: ignore[arg-type]  # as above
        status=row.status.value if row.status else 0,  # type: ignore[arg-type]  # as above
        reason=row.reason,
        repeat=row.repeat,
        left_sample=row.left_sample,
        right_sample=row.right_sample,
        strength=row.strength,
    )


def listed(row: ListedComparison) -> dataset_service_pb2.ListedComparison:
    """Encode an explicit comparison."""
    return dataset_service_pb2.ListedComparison(
        comparison_id=row.comparison_id,
        prompt_id=row.prompt_id,
        turn=row.turn,
        left=row.left,
        right=row.right,
        left_sample=row.left_sample,
        right_sample=row.right_sample,
    )
