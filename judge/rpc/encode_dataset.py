"""Encode a dataset's summary as a message of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from judge.api.v1 import dataset_service_pb2
from judge.domain.dataset import DatasetSummary
from judge.domain.outcome import AnnotatorKind
from judge.rpc.timestamps import timestamp

LISTED_NAMES = 10_000
"""How many contestants, categories, annotators and judges of a dataset are listed, so that it fits into a message."""
N = TypeVar("N", str, tuple[str, AnnotatorKind])


def dataset(summary: DatasetSummary, tenant: str) -> dataset_service_pb2.Dataset:
    """Encode a dataset."""
    return dataset_service_pb2.Dataset(
        name=f"datasets/{summary.name}",
        revision=summary.revision,
        create_time=timestamp(summary.create_time),
        prompts=summary.prompts,
        outputs=summary.outputs,
        labels=summary.labels,
        verdicts=summary.verdicts,
        comparisons=summary.comparisons,
        contestants=[
            dataset_service_pb2.ContestantCount(contestant=name, outputs=n) for name, n in _first(summary.contestants)
        ],
        categories=[
            dataset_service_pb2.CategoryCount(category=name, prompts=n) for name, n in _first(summary.categories)
        ],
        annotators=[
            dataset_service_pb2.AnnotatorCount(
                annotator=name,
                kind=kind.value,  # type: ignore[arg-type]  # the wire has the same numbers
                labels=n,
            )
            for (name, kind), n in _first(summary.annotators)
        ],
        recorded_judges=[
            dataset_service_pb2.RecordedJudgeCount(judge=name, verdicts=n)
            for name, n in _first(summary.recorded_judges)
        ],
        tenant=tenant,
        unlisted=sum(
            max(len(names) - LISTED_NAMES, 0)
            for names in (summary.contestants, summary.categories, summary.annotators, summary.recorded_judges)
        ),
    )


def _first(by_name: Mapping[N, int]) -> list[tuple[N, int]]:
    """Return the first LISTED_NAMES of *by_name*, sorted."""
    return sorted(by_name.items())[:LISTED_NAMES]
