"""Calls of DatasetService."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import dataset_service_pb2_grpc
from judge_client.batches import batches
from judge_client.calls import pages, stream, unary, upload
from judge_client.connection import Connection
from judge_client.names import dataset_name

M = TypeVar("M", bound=Message)
Q = TypeVar("Q", bound=Message)


class DatasetCalls(Connection):
    """Creates, fills, reads, and deletes datasets."""

    @property
    def datasets(self) -> dataset_service_pb2_grpc.DatasetServiceAsyncStub:
        """The service's own stub."""
        return dataset_service_pb2_grpc.DatasetServiceStub(self.channel)

    async def create_dataset(self, dataset: str) -> pb.Dataset:
        """Create an empty dataset. Raises JudgeClientError (ALREADY_EXISTS) if the name is taken."""
        request = pb.CreateDatasetRequest(dataset_id=dataset.removeprefix("datasets/"))
        return (await unary(self.datasets.CreateDataset, request, self.timeout)).dataset

    async def get_dataset(self, dataset: str) -> pb.Dataset:
        """Return the dataset with its contestants, categories, and annotators."""
        request = pb.GetDatasetRequest(name=dataset_name(dataset))
        return (await unary(self.datasets.GetDataset, request, self.timeout)).dataset

    async def list_datasets(self, page_size: int = 0) -> AsyncIterator[pb.Dataset]:
        """Yield all datasets, sorted by name. Pages are read lazily."""
        request = pb.ListDatasetsRequest(page_size=page_size)
        async for page in pages(self.datasets.ListDatasets, request, self.timeout):
            for dataset in page.datasets:
                yield dataset

    async def delete_dataset(self, dataset: str, *, validate_only: bool = False) -> pb.DeleteDatasetResponse:
        """Delete the dataset. It is unreadable at once. Returns how many runs it had, and what they cost.

        With *validate_only*, nothing is deleted: returns what would be.
        """
        request = pb.DeleteDatasetRequest(name=dataset_name(dataset), validate_only=validate_only)
        return await unary(self.datasets.DeleteDataset, request, self.timeout)

    async def delete_labels(self, dataset: str, annotators: str) -> int:
        """Delete the labels of *annotators*, where `*` matches anything. Returns the number of deleted labels."""
        request = pb.DeleteLabelsRequest(dataset=dataset_name(dataset), annotators=annotators)
        return (await unary(self.datasets.DeleteLabels, request, self.timeout)).deleted

    async def upload_prompts(
        self, dataset: str, rows: Iterable[pb.Prompt] | AsyncIterable[pb.Prompt], *, replace: bool = False
    ) -> pb.UploadSummary:
        """Add prompts. With *replace*, a row replaces a stored one of the same identity."""
        messages = _messages(pb.UploadPromptsRequest, "prompts", rows, dataset, replace=replace)
        return (await upload(self.datasets.UploadPrompts, messages)).summary

    async def upload_outputs(
        self, dataset: str, rows: Iterable[pb.Output] | AsyncIterable[pb.Output], *, replace: bool = False
    ) -> pb.UploadSummary:
        """Add outputs. With *replace*, a row replaces a stored one of the same identity."""
        messages = _messages(pb.UploadOutputsRequest, "outputs", rows, dataset, replace=replace)
        return (await upload(self.datasets.UploadOutputs, messages)).summary

    async def upload_labels(
        self, dataset: str, rows: Iterable[pb.Label] | AsyncIterable[pb.Label], *, source: str, replace: bool = False
    ) -> pb.UploadSummary:
        """Add labels. A label is identified by *source*, which says where it comes from, and its own id."""
        messages = _messages(pb.UploadLabelsRequest, "labels", rows, dataset, replace=replace, source=source)
        return (await upload(self.datasets.UploadLabels, messages)).summary

    async def upload_verdicts(
        self,
        dataset: str,
        rows: Iterable[pb.ImportedVerdict] | AsyncIterable[pb.ImportedVerdict],
        *,
        replace: bool = False,
        rubric: str = "",
    ) -> pb.UploadSummary:
        """Add verdicts from elsewhere. Their raw texts are parsed as replies to *rubric*, by default `brackets`."""
        messages = _messages(pb.UploadVerdictsRequest, "verdicts", rows, dataset, replace=replace, rubric=rubric)
        return (await upload(self.datasets.UploadVerdicts, messages)).summary

    async def upload_comparisons(
        self,
        dataset: str,
        rows: Iterable[pb.ListedComparison] | AsyncIterable[pb.ListedComparison],
        *,
        replace: bool = False,
    ) -> pb.UploadSummary:
        """Add comparisons with ids of the caller's own, for runs over listed pairs."""
        messages = _messages(pb.UploadComparisonsRequest, "comparisons", rows, dataset, replace=replace)
        return (await upload(self.datasets.UploadComparisons, messages)).summary

    async def read_dataset(
        self, dataset: str, parts: Sequence[pb.DatasetPart.ValueType] = (), revision: int = 0
    ) -> AsyncIterator[pb.ReadDatasetResponse]:
        """Yield the rows as they were uploaded, in batches of one part each.

        No *parts* means all of them. *revision* 0 means the present one.
        """
        request = pb.ReadDatasetRequest(name=dataset_name(dataset), parts=parts, revision=revision)
        async for batch in stream(self.datasets.ReadDataset, request):
            yield batch


async def _messages(
    kind: type[Q],
    field: str,
    rows: Iterable[M] | AsyncIterable[M],
    dataset: str,
    **first: Any,  # noqa: ANN401  # a field of the first message
) -> AsyncIterator[Q]:
    """Yield batches as messages of *kind*. There is at least one message, and the first names the *dataset*."""
    head: dict[str, Any] = {"dataset": dataset_name(dataset), **first}
    async for batch in batches(rows):
        yield kind(**head, **{field: batch})
        head = {}
    if head:
        yield kind(**head)
