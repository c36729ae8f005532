"""Uploads: batches of prompts, outputs, labels, imported verdicts and listed comparisons."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, fields

from sqlalchemy import Connection, Table, select

from judge.domain.dataset import BatchResult, ImportedVerdict, Label, ListedComparison, Output, Prompt
from judge.domain.messages import images_in, turn_body
from judge.domain.verdict import ParsedVerdict, prompt_digest, shown_digest
from judge.ports.clock import Clock
from judge.store import schema as s
from judge.store.batches import Added, NewRow, add_batch
from judge.store.connections import Connections
from judge.store.imports import imported_identity, imported_meaning, store_answers
from judge.store.interning import intern
from judge.store.revisions import Row, chunks, dataset_row, valid_now

_LABEL = tuple(field.name for field in fields(Label))


class Uploads:
    """The part of DatasetStore that adds rows."""

    _db: Connections
    _clock: Clock

    async def add_prompts(self, tenant: str, name: str, rows: Sequence[Prompt], *, replace: bool) -> BatchResult:
        """Add a batch of prompts."""

        def new(c: Connection, row: Row) -> list[NewRow]:
            digests = [
                [prompt_digest(p.turns[:t], ref[:t]) for t in range(1, len(p.turns) + 1)]
                for p in rows
                for ref in ((), p.reference)
            ]
            ids = intern(c, row["tenant_id"], [d for group in digests for d in group])
            return [
                NewRow(
                    (p.prompt_id,),
                    {
                        "prompt_id": p.prompt_id,
                        "category": p.category,
                        "tags": list(p.tags),
                        "turns": [turn_body(turn) for turn in p.turns],
                        "images": images_in(p.turns),
                        "reference": list(p.reference),
                        "plain": [ids[d] for d in digests[2 * i]],
                        "referenced": [ids[d] for d in digests[2 * i + 1]],
                    },
                )
                for i, p in enumerate(rows)
            ]

        return await self._add(tenant, name, s.prompt, new, replace=replace)

    async def add_outputs(self, tenant: str, name: str, rows: Sequence[Output], *, replace: bool) -> BatchResult:
        """Add a batch of outputs."""

        def new(c: Connection, row: Row) -> list[NewRow]:
            turns = _turns(c, row["id"], {o.prompt_id for o in rows})
            digests = [[shown_digest(o.turns[:t]) for t in range(1, len(o.turns) + 1)] for o in rows]
            ids = intern(c, row["tenant_id"], [d for group in digests for d in group])
            return [
                NewRow(
                    (o.prompt_id, o.contestant, o.sample),
                    {
                        "prompt_id": o.prompt_id,
                        "contestant": o.contestant,
                        "sample": o.sample,
                        "turns": [turn_body(turn) for turn in o.turns],
                        "images": images_in(o.turns),
                        "shown": [ids[d] for d in group],
                    },
                    _problem(o.prompt_id, len(o.turns), turns, required=True),
                )
                for o, group in zip(rows, digests, strict=True)
            ]

        return await self._add(tenant, name, s.output, new, replace=replace)

    async def add_labels(
        self, tenant: str, name: str, rows: Sequence[Label], *, source: str, replace: bool
    ) -> BatchResult:
        """Add a batch of labels."""

        def new(c: Connection, row: Row) -> list[NewRow]:
            turns = _turns(c, row["id"], {r.prompt_id for r in rows})
            return [
                NewRow(
                    (source, r.label_id),
                    {
                        "source": source,
                        "label_id": r.label_id,
                        "annotator": r.annotator,
                        "kind": r.kind.value,
                        # dataclasses.asdict copies each value and takes ten times as long.
                        "body": {name: getattr(r, name) for name in _LABEL},
                    },
                    _problem(r.prompt_id, r.turn, turns, required=False),
                )
                for r in rows
            ]

        return await self._add(tenant, name, s.label, new, replace=replace)

    async def add_verdicts(
        self, tenant: str, name: str, rows: Sequence[tuple[ImportedVerdict, ParsedVerdict | None]], *, replace: bool
    ) -> BatchResult:
        """Add a batch of verdicts made elsewhere, as answers of recorded judges."""
        now = self._clock.now()

        def work(c: Connection) -> BatchResult:
            dataset = dataset_row(c, tenant, name, "alone")
            turns = _turns(c, dataset["id"], {verdict.prompt_id for verdict, _ in rows})
            new, own = [], {}
            for verdict, parsed_verdict in rows:
                identity = imported_identity(verdict)
                values = {**dict(zip(s.IDENTITY["recorded"], identity, strict=True)), "body": asdict(verdict)}
                new.append(NewRow(identity, values, _problem(verdict.prompt_id, verdict.turn, turns, required=False)))
                own[id(values)] = (verdict, parsed_verdict)

            def complete(added: Added) -> None:
                kept = [own[id(values)] for values in added.values()]
                for values, answer in zip(added.values(), store_answers(c, dataset, kept, now), strict=True):
                    values["answer_id"] = answer

            return add_batch(c, dataset, s.recorded, new, replace=replace, meaning=imported_meaning, complete=complete)

        return await self._db.write(work)

    async def add_comparisons(
        self, tenant: str, name: str, rows: Sequence[ListedComparison], *, replace: bool
    ) -> BatchResult:
        """Add a batch of listed comparisons."""

        def new(c: Connection, row: Row) -> list[NewRow]:
            prompts = {r.prompt_id for r in rows}
            turns = _turns(c, row["id"], prompts)
            known = {
                (o.prompt_id, o.contestant, o.sample)
                for chunk in chunks(sorted(prompts))
                for o in c.execute(
                    select(s.output).where(valid_now(s.output, row["id"]), s.output.c.prompt_id.in_(chunk))
                )
            }
            new_rows = []
            for r in rows:
                refused = _problem(r.prompt_id, r.turn, turns, required=True)
                for field, contestant, sample in (("left", r.left, r.left_sample), ("right", r.right, r.right_sample)):
                    if refused is None and (r.prompt_id, contestant, sample) not in known:
                        message = f"contestant {contestant!r} has no output {sample} to prompt {r.prompt_id!r}"
                        refused = (field, "UNKNOWN_OUTPUT", message)
                values = {"comparison_id": r.comparison_id, "body": asdict(r)}
                new_rows.append(NewRow((r.comparison_id,), values, refused))
            return new_rows

        return await self._add(tenant, name, s.comparison, new, replace=replace)

    async def _add(
        self,
        tenant: str,
        name: str,
        table: Table,
        new: Callable[[Connection, Row], list[NewRow]],
        *,
        replace: bool,
    ) -> BatchResult:
        def work(c: Connection) -> BatchResult:
            row = dataset_row(c, tenant, name, "alone")
            return add_batch(c, row, table, new(c, row), replace=replace)

        return await self._db.write(work)


def _turns(c: Connection, dataset: int, prompts: Collection[str]) -> dict[str, int]:
    p = s.prompt.c
    return {
        r.prompt_id: len(r.plain)
        for chunk in chunks(sorted(prompts))
        for r in c.execute(select(p.prompt_id, p.plain).where(valid_now(s.prompt, dataset), p.prompt_id.in_(chunk)))
    }


def _problem(prompt: str, turn: int, turns: Mapping[str, int], *, required: bool) -> tuple[str, str, str] | None:
    if prompt not in turns:
        return ("prompt_id", "UNKNOWN_PROMPT", f"there is no prompt {prompt!r}") if required else None
    if turn > turns[prompt]:
        return "turn", "EXTRA_TURN", f"prompt {prompt!r} has {turns[prompt]} turns, so there is no turn {turn}"
    return None
