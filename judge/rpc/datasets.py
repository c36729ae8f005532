"""DatasetService."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from typing import Any, Protocol, TypeVar

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import dataset_service_pb2_grpc
from judge.domain.dataset import (
    BATCH_BYTES,
    BATCH_ROWS,
    LISTED_REJECTIONS,
    BatchResult,
    ImportedVerdict,
    Label,
    Rejection,
    checked_size,
)
from judge.domain.errors import InvalidInput
from judge.domain.names import checked_id, checked_name, resource_id
from judge.domain.verdict import ParsedVerdict, Reply
from judge.execution.detached import DetachedTasks
from judge.ports.store import Store
from judge.prompts.parse import own_parser, parse
from judge.prompts.rubrics import RUBRICS
from judge.rpc import decode, rows
from judge.rpc.encode_dataset import dataset
from judge.rpc.labels import label_columns
from judge.rpc.pages import batches, first_page
from judge.rpc.turns import row_bytes

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)
TENANT = "default"
READ_ROWS = 200
"""The most rows in a message of ReadDataset."""


class _Add(Protocol[R_contra]):
    """Stores a batch of rows: one of the store's methods."""

    async def __call__(self, tenant: str, name: str, rows: Sequence[R_contra], /, *, replace: bool) -> BatchResult: ...


@dataclass
class _Upload:
    """The result of an upload so far."""

    dataset: str
    replace: bool
    accepted: int = 0
    duplicates: int = 0
    replaced: int = 0
    revision: int = 0
    rejections: list[Rejection] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    batch: int = 0

    def reject(self, rejection: Rejection) -> None:
        self.reasons[rejection.reason] += 1
        if len(self.rejections) < LISTED_REJECTIONS:
            self.rejections.append(replace(rejection, batch=self.batch))

    def add(self, result: BatchResult, rows: Sequence[int]) -> None:
        """Add a batch's *result*; *rows* are the positions of its rows in the message."""
        self.accepted += result.accepted
        self.duplicates += result.duplicates
        self.replaced += result.replaced
        self.revision = result.revision
        for rejection in result.rejections:
            self.reject(replace(rejection, row=rows[rejection.row]))

    @property
    def summary(self) -> pb.UploadSummary:
        return pb.UploadSummary(
            accepted=self.accepted,
            duplicates=self.duplicates,
            replaced=self.replaced,
            rejected=self.reasons.total(),
            rejections=[
                pb.Rejection(batch=r.batch, row=r.row, field=r.field, reason=r.reason, message=r.message)
                for r in sorted(self.rejections, key=lambda r: (r.batch, r.row))
            ],
            rejected_by_reason=dict(self.reasons),
            revision=self.revision,
        )


class DatasetServicer(dataset_service_pb2_grpc.DatasetServiceServicer):
    """Implements DatasetService."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._deletions = DetachedTasks()

    async def close(self) -> None:
        """Cancel deletions in progress; they continue when the store is next opened."""
        await self._deletions.close(cancel=True)

    async def CreateDataset(self, request: pb.CreateDatasetRequest, context: Any) -> pb.CreateDatasetResponse:
        """Create an empty dataset."""
        created = await self._store.create_dataset(TENANT, checked_id("dataset_id", request.dataset_id))
        return pb.CreateDatasetResponse(dataset=dataset(created, TENANT))

    async def GetDataset(self, request: pb.GetDatasetRequest, context: Any) -> pb.GetDatasetResponse:
        """Return a dataset."""
        summary = await self._store.dataset(TENANT, _name(request.name))
        return pb.GetDatasetResponse(dataset=dataset(summary, TENANT))

    async def ListDatasets(self, request: pb.ListDatasetsRequest, context: Any) -> pb.ListDatasetsResponse:
        """List datasets by name."""
        size = decode.page_size(request.page_size)
        summaries = await self._store.datasets(TENANT, request.page_token, size + 1)
        page = first_page(dataset(summary, TENANT) for summary in summaries[:size])
        more = summaries[len(page) - 1].name if len(summaries) > len(page) else ""
        return pb.ListDatasetsResponse(datasets=page, next_page_token=more)

    async def DeleteDataset(self, request: pb.DeleteDatasetRequest, context: Any) -> pb.DeleteDatasetResponse:
        """Delete a dataset with its runs, or only count them. The deletion continues if the caller goes away."""
        name = _name(request.name)
        if request.validate_only:
            deleted = await self._store.count_deletion(TENANT, name)
        else:
            deleted = await self._deletions.run(self._store.delete_dataset(TENANT, name))
        return pb.DeleteDatasetResponse(**asdict(deleted))

    async def DeleteLabels(self, request: pb.DeleteLabelsRequest, context: Any) -> pb.DeleteLabelsResponse:
        """Delete an annotator's labels from a dataset."""
        pattern = checked_name("annotators", request.annotators)
        return pb.DeleteLabelsResponse(deleted=await self._store.delete_labels(TENANT, _name(request.dataset), pattern))

    async def UploadPrompts(
        self,
        request_iterator: AsyncIterator[pb.UploadPromptsRequest],
        context: Any,
    ) -> pb.UploadPromptsResponse:
        upload = await self._upload(request_iterator, lambda m: m.prompts, decode.prompt, self._store.add_prompts)
        return pb.UploadPromptsResponse(summary=upload.summary)

    async def UploadOutputs(
        self,
        request_iterator: AsyncIterator[pb.UploadOutputsRequest],
        context: Any,
    ) -> pb.UploadOutputsResponse:
        upload = await self._upload(request_iterator, lambda m: m.outputs, decode.output, self._store.add_outputs)
        return pb.UploadOutputsResponse(summary=upload.summary)

    async def UploadLabels(
        self,
        request_iterator: AsyncIterator[pb.UploadLabelsRequest],
        context: Any,
    ) -> pb.UploadLabelsResponse:
        sources: list[str] = []

        def rows_of(message: pb.UploadLabelsRequest) -> Sequence[pb.Label]:
            if not sources:
                sources.append(checked_name("source", message.source))
            return [*message.labels, *label_columns(message.columns)]

        async def add(tenant: str, dataset: str, rows: Sequence[Label], *, replace: bool) -> BatchResult:
            return await self._store.add_labels(tenant, dataset, rows, source=sources[0], replace=replace)

        upload = await self._upload(request_iterator, rows_of, decode.label, add)
        return pb.UploadLabelsResponse(summary=upload.summary)

    async def UploadVerdicts(
        self,
        request_iterator: AsyncIterator[pb.UploadVerdictsRequest],
        context: Any,
    ) -> pb.UploadVerdictsResponse:
        rubrics: list[str] = []

        def rows_of(message: pb.UploadVerdictsRequest) -> Sequence[pb.ImportedVerdict]:
            if not rubrics:
                rubrics.append(message.rubric or "brackets")
                if rubrics[0] not in RUBRICS:
                    raise InvalidInput(
                        "rubric", f"rubric {rubrics[0]!r} does not exist; there are {', '.join(sorted(RUBRICS))}"
                    )
            return message.verdicts

        def decode_verdict(row: pb.ImportedVerdict) -> tuple[ImportedVerdict, ParsedVerdict | None]:
            verdict = decode.imported_verdict(row)
            return verdict, None if verdict.raw is None else parse(own_parser(RUBRICS[rubrics[0]]), Reply(verdict.raw))

        upload = await self._upload(request_iterator, rows_of, decode_verdict, self._store.add_verdicts)
        return pb.UploadVerdictsResponse(summary=upload.summary)

    async def UploadComparisons(
        self,
        request_iterator: AsyncIterator[pb.UploadComparisonsRequest],
        context: Any,
    ) -> pb.UploadComparisonsResponse:
        upload = await self._upload(
            request_iterator, lambda m: m.comparisons, decode.listed, self._store.add_comparisons
        )
        return pb.UploadComparisonsResponse(summary=upload.summary)

    async def _upload(
        self,
        messages: AsyncIterator[Any],
        rows_of: Callable[[Any], Sequence[Any]],
        decode_row: Callable[[Any], R],
        add: _Add[R],
    ) -> _Upload:
        upload: _Upload | None = None
        async for message in messages:
            if upload is None:
                upload = _Upload(_name(message.dataset, "dataset"), message.replace)
                upload.revision = await self._store.revision(TENANT, upload.dataset)
            rows = rows_of(message)
            if len(rows) - _in_columns(message) > BATCH_ROWS:
                raise InvalidInput(
                    "batch",
                    f"batch {upload.batch} has {len(rows):,} rows; the maximum is {BATCH_ROWS:,}",
                    reason="BATCH_TOO_LARGE",
                )
            for begin in range(0, len(rows), BATCH_ROWS):
                await self._batch(upload, rows[begin : begin + BATCH_ROWS], begin, decode_row, add)
            upload.batch += 1
        if upload is None:
            raise InvalidInput(
                "dataset", "the stream is empty; its first message names the dataset", reason="EMPTY_STREAM"
            )
        return upload

    async def _batch(
        self,
        upload: _Upload,
        rows: Sequence[Any],
        begin: int,
        decode_row: Callable[[Any], R],
        add: _Add[R],
    ) -> None:
        decoded: list[R] = []
        places: list[int] = []
        size = 0
        for number, row in enumerate(rows, begin):
            try:
                decoded_row = decode_row(row)
                checked_size(row_bytes(row))
            except InvalidInput as error:
                upload.reject(Rejection(row=number, field=error.field, reason=error.reason, message=error.message))
            else:
                decoded.append(decoded_row)
                places.append(number)
                size += row_bytes(row)
        if size > BATCH_BYTES:
            raise InvalidInput(
                "batch",
                f"batch {upload.batch} has {size:,} bytes; the maximum is {BATCH_BYTES:,}",
                reason="BATCH_TOO_LARGE",
            )
        if decoded:
            upload.add(await add(TENANT, upload.dataset, decoded, replace=upload.replace), places)

    async def ReadDataset(
        self,
        request: pb.ReadDatasetRequest,
        context: Any,
    ) -> AsyncIterator[pb.ReadDatasetResponse]:
        name = _name(request.name)
        present = await self._store.revision(TENANT, name)
        revision = request.revision or present
        if not 0 <= revision <= present:
            raise InvalidInput("revision", f"dataset {name!r} has the revisions 0 to {present}, not {revision}")
        wanted = set(request.parts) - {pb.DATASET_PART_UNSPECIFIED}
        if unknown := wanted.difference(pb.DatasetPart.values()):
            raise InvalidInput("parts", f"parts has the unknown number {min(unknown)}", reason="INVALID_ENUM")
        readers: list[tuple[int, Any, Any, str]] = [
            (pb.DATASET_PART_PROMPTS, self._store.read_prompts, rows.prompt, "prompts"),
            (pb.DATASET_PART_OUTPUTS, self._store.read_outputs, rows.output, "outputs"),
            (pb.DATASET_PART_VERDICTS, self._store.read_verdicts, rows.imported_verdict, "verdicts"),
            (pb.DATASET_PART_COMPARISONS, self._store.read_comparisons, rows.listed, "comparisons"),
        ]
        for part, reader, encoder, place in readers:
            if wanted and part not in wanted:
                continue
            after = 0
            while page := await reader(TENANT, name, revision, after, READ_ROWS):
                after = page[-1][0]
                for batch in batches(encoder(row) for _, row in page):
                    reply = pb.ReadDatasetResponse(revision=revision)
                    getattr(reply, place).extend(batch)
                    yield reply
        if not wanted or pb.DATASET_PART_LABELS in wanted:
            async for reply in self._labels(name, revision):
                yield reply

    async def _labels(self, name: str, revision: int) -> AsyncIterator[pb.ReadDatasetResponse]:
        after = 0
        while page := await self._store.read_labels(TENANT, name, revision, after, READ_ROWS):
            after = page[-1][0]
            for source, group in groupby(page, itemgetter(1)):
                for batch in batches(rows.label(label) for _, _, label in group):
                    yield pb.ReadDatasetResponse(revision=revision, label_source=source, labels=batch)


def _in_columns(message: Any) -> int:
    """Return the number of rows sent as columns, for which there is no row limit."""
    return len(message.columns.outcome) if isinstance(message, pb.UploadLabelsRequest) else 0


def _name(name: str, field_name: str = "name") -> str:
    return resource_id("datasets", field_name, name)
