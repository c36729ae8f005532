"""Datasets in SQL: rows are append-only, each valid from one revision to another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, delete, func, insert, or_, select, update

from judge.domain.dataset import (
    BatchResult,
    DatasetSummary,
    ImportedVerdict,
    Label,
    ListedComparison,
    Output,
    Prompt,
    Rejection,
)
from judge.domain.errors import AlreadyExists, NotFound
from judge.domain.outcome import AnnotatorKind
from judge.domain.verdict import Reading, prompt_digest, shown_digest
from judge.ports.clock import Clock
from judge.ports.store import Board, BoardOutput, BoardPrompt, OutputText, PromptText
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.definitions import to_imported, to_label, to_listed
from judge.store.imports import stored_answer
from judge.store.interning import interned, tenant_id

CHUNK = 500
T = TypeVar("T")
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _New:
    """A row to be added: its identity, its content, and why it is refused if it is."""

    identity: tuple[Any, ...]
    values: dict[str, Any]
    refused: tuple[str, str, str] | None = None


class Datasets:
    """Everything of DatasetStore."""

    _db: Connections
    _clock: Clock

    async def create_dataset(self, tenant: str, name: str) -> DatasetSummary:
        """An empty dataset; AlreadyExists if the name is taken."""

        def work(c: Connection) -> None:
            owner = tenant_id(c, tenant)
            if c.scalar(select(s.dataset.c.id).where(s.dataset.c.tenant_id == owner, s.dataset.c.name == name)):
                raise AlreadyExists(f"dataset {name!r} exists already", dataset=name)
            row = {"tenant_id": owner, "name": name, "revision": 0, "create_time": self._clock.now()}
            c.execute(insert(s.dataset).values(row))

        await self._db.write(work)
        return await self.dataset(tenant, name)

    async def dataset(self, tenant: str, name: str) -> DatasetSummary:
        """The dataset with its contestants, categories and annotators."""
        return await self._db.read(lambda c: _summary(c, _found(c, tenant, name), whole=True))

    async def datasets(self, tenant: str, after: str, limit: int) -> list[DatasetSummary]:
        """At most *limit* datasets by name, after *after*."""

        def work(c: Connection) -> list[DatasetSummary]:
            owned = s.dataset.c.tenant_id == select(s.tenant.c.id).where(s.tenant.c.name == tenant).scalar_subquery()
            query = select(s.dataset).where(owned, s.dataset.c.name > after).order_by(s.dataset.c.name).limit(limit)
            return [_summary(c, dict(row._mapping), whole=False) for row in c.execute(query)]  # noqa: SLF001  # documented

        return await self._db.read(work)

    async def delete_dataset(self, tenant: str, name: str) -> None:
        """Remove it with its runs, and the answers that no other dataset of the tenant holds."""

        def work(c: Connection) -> None:
            row = _found(c, tenant, name)
            mine = row["id"]
            runs = select(s.run.c.id).where(s.run.c.dataset_id == mine).scalar_subquery()
            shown = _contents(c, mine)
            for table in (s.run_item, s.run_judge, s.run_shard, s.run_round):
                c.execute(delete(table).where(table.c.run_id.in_(runs)))
            recorded = [r.answer_id for r in c.execute(select(s.recorded.c.answer_id).where(_of(s.recorded, mine)))]
            c.execute(delete(s.run).where(s.run.c.dataset_id == mine))
            for table in (s.prompt, s.output, s.label, s.recorded, s.comparison):
                c.execute(delete(table).where(_of(table, mine)))
            c.execute(delete(s.dataset).where(s.dataset.c.id == mine))
            gone = shown - _contents(c, None)
            answers = [*recorded, *_answers_of(c, row["tenant_id"], gone)]
            for begin in range(0, len(answers), CHUNK):
                chunk = answers[begin : begin + CHUNK]
                c.execute(delete(s.reading).where(s.reading.c.answer_id.in_(chunk)))
                c.execute(delete(s.answer).where(s.answer.c.id.in_(chunk)))

        await self._db.write(work)

    async def add_prompts(self, tenant: str, name: str, rows: Sequence[Prompt], *, replace: bool) -> BatchResult:
        """Add a batch of prompts."""

        def new(c: Connection, row: Row) -> list[_New]:
            digests = [
                [prompt_digest(p.turns[:t], ref[:t]) for t in range(1, len(p.turns) + 1)]
                for p in rows
                for ref in ((), p.reference)
            ]
            ids = interned(c, row["tenant_id"], [d for group in digests for d in group])
            return [
                _New(
                    (p.prompt_id,),
                    {
                        "prompt_id": p.prompt_id,
                        "category": p.category,
                        "tags": list(p.tags),
                        "turns": list(p.turns),
                        "reference": list(p.reference),
                        "plain": [ids[d] for d in digests[2 * i]],
                        "referenced": [ids[d] for d in digests[2 * i + 1]],
                    },
                )
                for i, p in enumerate(rows)
            ]

        return await self._add(tenant, name, s.prompt, ("prompt_id",), new, replace=replace)

    async def add_outputs(self, tenant: str, name: str, rows: Sequence[Output], *, replace: bool) -> BatchResult:
        """Add a batch of outputs."""

        def new(c: Connection, row: Row) -> list[_New]:
            turns = _turns(c, row["id"], {o.prompt_id for o in rows})
            digests = [[shown_digest(o.turns[:t]) for t in range(1, len(o.turns) + 1)] for o in rows]
            ids = interned(c, row["tenant_id"], [d for group in digests for d in group])
            return [
                _New(
                    (o.prompt_id, o.contestant, o.sample),
                    {
                        "prompt_id": o.prompt_id,
                        "contestant": o.contestant,
                        "sample": o.sample,
                        "turns": list(o.turns),
                        "shown": [ids[d] for d in group],
                    },
                    _unfit(o.prompt_id, len(o.turns), turns, required=True),
                )
                for o, group in zip(rows, digests, strict=True)
            ]

        return await self._add(tenant, name, s.output, ("prompt_id", "contestant", "sample"), new, replace=replace)

    async def add_labels(
        self, tenant: str, name: str, rows: Sequence[Label], *, source: str, replace: bool
    ) -> BatchResult:
        """Add a batch of labels."""

        def new(c: Connection, row: Row) -> list[_New]:
            turns = _turns(c, row["id"], {r.prompt_id for r in rows})
            return [
                _New(
                    (source, r.label_id),
                    {
                        "source": source,
                        "label_id": r.label_id,
                        "annotator": r.annotator,
                        "kind": r.kind.value,
                        "body": asdict(r),
                    },
                    _unfit(r.prompt_id, r.turn, turns, required=False),
                )
                for r in rows
            ]

        return await self._add(tenant, name, s.label, ("source", "label_id"), new, replace=replace)

    async def add_verdicts(
        self, tenant: str, name: str, rows: Sequence[tuple[ImportedVerdict, Reading | None]], *, replace: bool
    ) -> BatchResult:
        """Add a batch of verdicts made elsewhere, as answers of recorded judges."""
        names = ("judge", "prompt_id", "turn", "left", "right", "order", "repeat")
        now = self._clock.now()

        def new(c: Connection, row: Row) -> list[_New]:
            turns = _turns(c, row["id"], {v.prompt_id for v, _ in rows})
            made = []
            for verdict, reading in rows:
                identity = tuple(getattr(verdict, field) for field in names)
                refused = _unfit(verdict.prompt_id, verdict.turn, turns, required=False)
                values = {**dict(zip(names, identity, strict=True)), "body": asdict(verdict)}
                if refused is None:
                    values["answer_id"] = lambda v=verdict, r=reading: stored_answer(c, row, v, r, now)
                made.append(_New(identity, values, refused))
            return made

        return await self._add(tenant, name, s.recorded, names, new, replace=replace)

    async def add_comparisons(
        self, tenant: str, name: str, rows: Sequence[ListedComparison], *, replace: bool
    ) -> BatchResult:
        """Add a batch of explicit pairs."""

        def new(c: Connection, row: Row) -> list[_New]:
            prompts = {r.prompt_id for r in rows}
            turns = _turns(c, row["id"], prompts)
            known = {
                (o.prompt_id, o.contestant, o.sample)
                for chunk in _chunks(sorted(prompts))
                for o in c.execute(select(s.output).where(_live(s.output, row["id"]), s.output.c.prompt_id.in_(chunk)))
            }
            made = []
            for r in rows:
                refused = _unfit(r.prompt_id, r.turn, turns, required=True)
                for field, who, sample in (("left", r.left, r.left_sample), ("right", r.right, r.right_sample)):
                    if refused is None and (r.prompt_id, who, sample) not in known:
                        refused = (field, "UNKNOWN_OUTPUT", f"{who!r} has no output {sample} to {r.prompt_id!r}")
                values = {"comparison_id": r.comparison_id, "body": asdict(r)}
                made.append(_New((r.comparison_id,), values, refused))
            return made

        return await self._add(tenant, name, s.comparison, ("comparison_id",), new, replace=replace)

    async def _add(
        self,
        tenant: str,
        name: str,
        table: Table,
        identity: tuple[str, ...],
        new: Callable[[Connection, Row], list[_New]],
        *,
        replace: bool,
    ) -> BatchResult:
        def work(c: Connection) -> BatchResult:
            row = _found(c, tenant, name)
            return _batch(c, row, table, identity, new(c, row), replace=replace)

        return await self._db.write(work)

    async def read_prompts(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, Prompt]]:
        """A page of prompts in upload order."""
        return [(r.id, _prompt(r)) for r in await self._page(s.prompt, tenant, name, revision, after, limit)]

    async def read_outputs(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, Output]]:
        """A page of outputs in upload order."""
        return [(r.id, _output(r)) for r in await self._page(s.output, tenant, name, revision, after, limit)]

    async def read_labels(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, str, Label]]:
        """A page of labels in upload order, each with its source."""
        page = await self._page(s.label, tenant, name, revision, after, limit)
        return [(r.id, r.source, to_label(r.body)) for r in page]

    async def read_verdicts(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, ImportedVerdict]]:
        """A page of imported verdicts in upload order."""
        page = await self._page(s.recorded, tenant, name, revision, after, limit)
        return [(r.id, to_imported(r.body)) for r in page]

    async def read_comparisons(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, ListedComparison]]:
        """A page of explicit pairs in upload order."""
        page = await self._page(s.comparison, tenant, name, revision, after, limit)
        return [(r.id, to_listed(r.body)) for r in page]

    async def _page(self, table: Table, tenant: str, name: str, revision: int, after: int, limit: int) -> Sequence[Any]:
        def work(c: Connection) -> Sequence[Any]:
            row = _found(c, tenant, name)
            at = _at(table, row["id"], revision)
            return c.execute(select(table).where(at, table.c.id > after).order_by(table.c.id).limit(limit)).all()

        return await self._db.read(work)

    async def board(self, tenant: str, name: str, revision: int) -> Board:
        """What *revision* of the dataset lets be compared."""

        def work(c: Connection) -> Board:
            mine = _found(c, tenant, name)["id"]
            p, o = s.prompt.c, s.output.c
            found = c.execute(
                select(p.id, p.prompt_id, p.category, p.tags, p.plain)
                .where(_at(s.prompt, mine, revision))
                .order_by(p.id)
            )
            prompts = tuple(BoardPrompt(r.id, r.prompt_id, r.category, tuple(r.tags), len(r.plain)) for r in found)
            rows = {prompt.prompt_id: prompt.row for prompt in prompts}
            answered = c.execute(
                select(o.id, o.prompt_id, o.contestant, o.sample, o.shown)
                .where(_at(s.output, mine, revision))
                .order_by(o.id)
            )
            outputs = tuple(
                BoardOutput(r.id, rows[r.prompt_id], r.contestant, r.sample, len(r.shown))
                for r in answered
                if r.prompt_id in rows
            )
            return Board(revision, prompts, outputs)

        return await self._db.read(work)

    async def prompt_texts(self, rows: Collection[int]) -> dict[int, PromptText]:
        """Texts by prompt row."""
        found = await self._by_id(s.prompt, rows)
        return {r.id: PromptText(_prompt(r), tuple(r.plain), tuple(r.referenced)) for r in found}

    async def output_texts(self, rows: Collection[int]) -> dict[int, OutputText]:
        """Texts by output row."""
        return {r.id: OutputText(_output(r), tuple(r.shown)) for r in await self._by_id(s.output, rows)}

    async def _by_id(self, table: Table, rows: Collection[int]) -> list[Any]:
        def work(c: Connection) -> list[Any]:
            return [
                row for chunk in _chunks(sorted(rows)) for row in c.execute(select(table).where(table.c.id.in_(chunk)))
            ]

        return await self._db.read(work)

    async def intern(self, tenant: str, digests: Sequence[bytes]) -> list[int]:
        """The id of each digest."""

        def work(c: Connection) -> list[int]:
            ids = interned(c, tenant_id(c, tenant), digests)
            return [ids[d] for d in digests]

        return await self._db.write(work)


def _chunks(values: Sequence[T]) -> list[Sequence[T]]:
    return [values[begin : begin + CHUNK] for begin in range(0, len(values), CHUNK)]


def _found(c: Connection, tenant: str, name: str) -> Row:
    query = (
        select(s.dataset)
        .join(s.tenant, s.tenant.c.id == s.dataset.c.tenant_id)
        .where(s.tenant.c.name == tenant, s.dataset.c.name == name)
    )
    row = c.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"there is no dataset {name!r}", reason="UNKNOWN_DATASET", dataset=name)
    return dict(row)


def _of(table: Table, dataset: int) -> Any:  # noqa: ANN401  # an SQL expression
    return table.c.dataset_id == dataset


def _live(table: Table, dataset: int) -> Any:  # noqa: ANN401
    return (table.c.dataset_id == dataset) & table.c.removed.is_(None)


def _at(table: Table, dataset: int, revision: int) -> Any:  # noqa: ANN401
    valid = (table.c.added <= revision) & or_(table.c.removed.is_(None), table.c.removed > revision)
    return (table.c.dataset_id == dataset) & valid


def _turns(c: Connection, dataset: int, prompts: Collection[str]) -> dict[str, int]:
    p = s.prompt.c
    return {
        r.prompt_id: len(r.plain)
        for chunk in _chunks(sorted(prompts))
        for r in c.execute(select(p.prompt_id, p.plain).where(_live(s.prompt, dataset), p.prompt_id.in_(chunk)))
    }


def _unfit(prompt: str, turn: int, turns: Mapping[str, int], *, required: bool) -> tuple[str, str, str] | None:
    if prompt not in turns:
        return ("prompt_id", "UNKNOWN_PROMPT", f"there is no prompt {prompt!r}") if required else None
    if turn > turns[prompt]:
        return "turn", "EXTRA_TURN", f"prompt {prompt!r} has {turns[prompt]} turns, not {turn}"
    return None


def _batch(
    c: Connection, row: Row, table: Table, identity: tuple[str, ...], new: list[_New], *, replace: bool
) -> BatchResult:
    sorted_out = _Sorted(table, identity, _existing(c, table, row["id"], identity, [n.identity for n in new]))
    for number, fresh in enumerate(new):
        sorted_out.take(number, fresh, replace=replace)
    rejections = tuple(sorted_out.rejections)
    if not sorted_out.added:
        return BatchResult(0, sorted_out.duplicates, 0, rejections, row["revision"])
    revision = row["revision"] + 1
    if sorted_out.closed:
        c.execute(update(table).where(table.c.id.in_(sorted_out.closed)).values(removed=revision))
    own = {"tenant_id": row["tenant_id"], "dataset_id": row["id"], "added": revision}
    rows = []
    for values in sorted_out.added.values():
        if callable(values.get("answer_id")):
            values["answer_id"] = values["answer_id"]()
        rows.append({**own, **{name: _plain(value) for name, value in values.items()}})
    c.execute(insert(table), rows)
    c.execute(update(s.dataset).where(s.dataset.c.id == row["id"]).values(revision=revision))
    return BatchResult(sorted_out.accepted, sorted_out.duplicates, sorted_out.replaced, rejections, revision)


class _Sorted:
    """A batch's rows, sorted into new, equal, replacing and refused; earlier rows of the batch count as existing."""

    def __init__(
        self, table: Table, identity: tuple[str, ...], existing: Mapping[tuple[Any, ...], dict[str, Any]]
    ) -> None:
        self._table, self._identity, self._existing = table, identity, existing
        self.added: dict[tuple[Any, ...], dict[str, Any]] = {}
        self.closed: list[int] = []
        self.rejections: list[Rejection] = []
        self.accepted = self.duplicates = self.replaced = 0

    def take(self, number: int, fresh: _New, *, replace: bool) -> None:
        """Sort the row with this *number* in the batch."""
        if fresh.refused:
            self.rejections.append(Rejection(number, *fresh.refused))
            return
        old = self.added.get(fresh.identity) or self._existing.get(fresh.identity)
        if old is None:
            self.accepted += 1
        elif all(old[key] == _plain(value) for key, value in fresh.values.items() if key != "answer_id"):
            self.duplicates += 1
            return
        elif not replace:
            self.rejections.append(self._differs(number, fresh))
            return
        else:
            self.replaced += 1
            if "id" in old:
                self.closed.append(old["id"])
        self.added[fresh.identity] = fresh.values

    def _differs(self, number: int, fresh: _New) -> Rejection:
        kind = {"recorded": "verdict"}.get(self._table.name, self._table.name)
        told = " ".join(str(part) for part in fresh.identity)
        message = f"{kind} {told} is there with other content; upload with replace to change it"
        return Rejection(number, self._identity[-1], f"{kind.upper()}_DIFFERS", message)


def _plain(value: Any) -> Any:  # noqa: ANN401  # whatever a column holds
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _existing(
    c: Connection, table: Table, dataset: int, identity: tuple[str, ...], wanted: list[tuple[Any, ...]]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    first = table.c[identity[0]]
    column = first if len({w[0] for w in wanted}) > 1 or len(identity) == 1 else table.c[identity[1]]
    at = 0 if column is first else 1
    found = {}
    for chunk in _chunks(sorted({w[at] for w in wanted})):
        for row in c.execute(select(table).where(_live(table, dataset), column.in_(chunk))).mappings():
            found[tuple(row[name] for name in identity)] = dict(row)
    return found


def _contents(c: Connection, dataset: int | None) -> set[int]:
    query = select(s.output.c.shown)
    if dataset is not None:
        query = query.where(_of(s.output, dataset))
    return {i for r in c.execute(query) for i in r.shown}


def _answers_of(c: Connection, owner: int, contents: set[int]) -> list[int]:
    a = s.answer.c
    return [
        r.id
        for chunk in _chunks(sorted(contents))
        for r in c.execute(select(a.id).where(a.tenant_id == owner, or_(a.first.in_(chunk), a.second.in_(chunk))))
    ]


def _summary(c: Connection, row: Row, *, whole: bool) -> DatasetSummary:
    mine = row["id"]

    def counted(table: Table) -> int:
        return c.scalar(select(func.count()).select_from(table).where(_live(table, mine))) or 0

    def grouped(table: Table, *columns: str) -> dict[Any, int]:
        by = [table.c[name] for name in columns]
        query = select(*by, func.count()).where(_live(table, mine)).group_by(*by)
        return {tuple(r)[:-1] if len(by) > 1 else r[0]: r[-1] for r in c.execute(query)} if whole else {}

    annotators = {(n, AnnotatorKind(k)): count for (n, k), count in grouped(s.label, "annotator", "kind").items()}
    return DatasetSummary(
        name=row["name"],
        revision=row["revision"],
        create_time=row["create_time"],
        prompts=counted(s.prompt),
        outputs=counted(s.output),
        labels=counted(s.label),
        verdicts=counted(s.recorded),
        comparisons=counted(s.comparison),
        contestants=grouped(s.output, "contestant"),
        categories=grouped(s.prompt, "category"),
        annotators=annotators,
        recorded_judges=grouped(s.recorded, "judge"),
    )


def _prompt(row: Any) -> Prompt:  # noqa: ANN401  # a row
    return Prompt(row.prompt_id, tuple(row.turns), row.category, tuple(row.tags), tuple(row.reference))


def _output(row: Any) -> Output:  # noqa: ANN401
    return Output(row.prompt_id, row.contestant, tuple(row.turns), row.sample)
