"""Write a run as a bundle, from what its server returns. Nothing is computed here."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from urllib.parse import quote

import click
from google.protobuf.message import Message

from judge.api.v1 import dataset_service_pb2, run_service_pb2, verdict_pb2
from judge.api.v1.ranking_service_pb2 import GetLeaderboardRequest, RankingOptions
from judge.bundles.archive import ANSWERS, PLAN, ROUNDS, BundleWriter
from judge.rpc import bundle_json as spelling
from judge_client import JudgeClient, JudgeClientError
from judge_client.runs import ENDED

PARTS = ("prompts", "outputs", "labels", "verdicts", "comparisons")
REFUSED = "FAILED_PRECONDITION"
"""The code of an error that says that contestants cannot be ranked."""
NEEDED = {
    run_service_pb2.PAIR_POLICY_LABELED: {"labels"},
    run_service_pb2.PAIR_POLICY_LISTED: {"comparisons"},
}
"""What a plan is made from, in addition to prompts and outputs."""


@dataclass(frozen=True)
class BundleRequest:
    """Which run a bundle holds, the *options* of its leaderboards, and whether it holds the *texts*."""

    run: str
    options: RankingOptions
    texts: bool = True


class Bundling:
    """Writes a run that *client* reads into *writer*."""

    def __init__(self, client: JudgeClient, writer: BundleWriter, request: BundleRequest) -> None:
        self._client, self._writer, self._request = client, writer, request
        self._versions: dict[str, str] = {}
        self.answers = 0
        """How many verdicts were written."""

    async def write(self) -> str:
        """Write the whole bundle and return the SHA-256 of its manifest.

        Raises UsageError if the run has not ended, or if the run or its dataset changes meanwhile.
        """
        run = await self._client.get_run(self._request.run, run_service_pb2.RUN_VIEW_FULL)
        if run.state not in ENDED:
            raise click.UsageError(
                f"{run.name} has not ended yet: wait for it with `judge watch {run.name}`, then export it"
            )
        if not run.definitions:
            raise click.UsageError(
                "this server is too old for bundles: it does not return the definitions of a run's judges"
            )
        present = (await self._client.get_dataset(run.dataset)).revision
        dataset = await self._dataset(run, present)
        plan = await self._plan(run)
        await self._answers(run)
        leaderboards = [await self._leaderboard(run, judge) for judge in run.judges]
        now = await self._client.get_run(run.name)
        if (now.revision, (await self._client.get_dataset(run.dataset)).revision) != (run.revision, present):
            raise click.UsageError(f"{run.name} or its dataset changed during the export: export it again")
        return self._writer.finish(
            {
                "run": spelling.plain(run),
                "seeds": spelling.seeds(run, self._request.options),
                "dataset": {"name": run.dataset, "texts": self._request.texts, **dataset},
                "plan": plan,
                "leaderboards": leaderboards,
                "versions": self._versions,
            }
        )

    async def _dataset(self, run: run_service_pb2.Run, present: int) -> dict[str, Any]:
        """Write the dataset as it was planned and as it is ranked. A part that is equal in both is written once."""
        options = self._request.options
        needed = {"prompts", "outputs", *NEEDED.get(run.pairing.policy, ())}
        ranked = (
            {"prompts"} | ({"outputs"} if options.style else set()) | ({"labels"} if options.anchored_to else set())
        )
        written: dict[tuple[str, str], str] = {}
        return {
            "planned": await self._revision(run.dataset, run.dataset_revision, needed, "planned", written),
            "ranked": await self._revision(run.dataset, present, ranked, "ranked", written),
        }

    async def _revision(
        self, dataset: str, revision: int, needed: set[str], when: str, written: dict[tuple[str, str], str]
    ) -> dict[str, Any]:
        """Count and hash the rows of each part of a *revision*, and write the parts that are *needed*."""
        parts: dict[str, Any] = {"revision": revision}
        for part in PARTS:
            state, n_rows = hashlib.sha256(), 0
            async for row in self._part(dataset, part, revision):
                state.update(spelling.row(row).encode())
                n_rows += 1
            parts[part] = {"rows": n_rows, "sha256": state.hexdigest()}
            if part not in needed:
                continue
            same = (part, state.hexdigest())
            if same not in written:
                written[same] = f"dataset/{when}/{part}.jsonl"
                with self._writer.member(written[same]) as write:
                    async for row in self._part(dataset, part, revision):
                        write(spelling.row(row if self._request.texts else _hash_texts(row)))
            parts[part]["member"] = written[same]
        return parts

    async def _part(self, dataset: str, part: str, revision: int) -> AsyncIterator[dict[str, Any]]:
        wanted = dataset_service_pb2.DatasetPart.Value(f"DATASET_PART_{part.upper()}")
        if not revision:
            return
        async for batch in self._client.read_dataset(dataset, [wanted], revision):
            source = {"source": batch.label_source} if part == "labels" else {}
            rows: list[Message] = list(getattr(batch, part))
            for row in rows:
                yield spelling.plain(row) | source

    async def _plan(self, run: run_service_pb2.Run) -> dict[str, Any]:
        n_presentations, pieces = 0, list[run_service_pb2.PlannedRound]()
        with self._writer.member(PLAN) as write:
            async for batch in self._client.read_plan(run.name):
                n_presentations += len(batch.presentations)
                pieces.extend(batch.rounds)
                write("".join(spelling.row(spelling.plain(presentation)) for presentation in batch.presentations))
        plan = {"hash": run.plan_hash, "member": PLAN, "presentations": n_presentations}
        if run.pairing.policy != run_service_pb2.PAIR_POLICY_ADAPTIVE:
            return plan
        n_rounds = 0
        with self._writer.member(ROUNDS) as write:
            for planned_round in join_pieces(pieces):
                n_rounds += 1
                write(spelling.row(spelling.plain(planned_round)))
        return plan | {"rounds": {"member": ROUNDS, "rows": n_rounds}}

    async def _answers(self, run: run_service_pb2.Run) -> None:
        with self._writer.member(ANSWERS) as write:
            async for verdict in self._client.list_verdicts(
                run.name, view=verdict_pb2.VERDICT_VIEW_FULL, page_size=1000
            ):
                self.answers += 1
                write(spelling.row(spelling.plain(verdict)))

    async def _leaderboard(self, run: run_service_pb2.Run, judge: str) -> dict[str, Any]:
        name = judge.removeprefix("judges/")
        source = f"run:{run.name.removeprefix('runs/')}/{name}"
        request = GetLeaderboardRequest(source=source, options=self._request.options)
        try:
            reply = await self._client.leaderboard_reply(request)
        except JudgeClientError as error:
            if error.code.name != REFUSED:
                raise
            text = spelling.refusal(error.reason, error.message)
        else:
            text = spelling.leaderboard_json(reply.leaderboard)
            self._versions.update(reply.versions)
        member = f"leaderboards/{_file_name(name)}.json"
        with self._writer.member(member) as write:
            write(text)
        return {"member": member, "request": spelling.plain(request)}


def _file_name(name: str) -> str:
    r"""Return *name* as the name of a file.

    >>> _file_name("../a b%")
    '..%2Fa b%25'
    """
    return "".join(mark if mark.isprintable() and mark not in "/\\:%" else quote(mark, safe="") for mark in name)


def join_pieces(pieces: Iterable[run_service_pb2.PlannedRound]) -> Iterator[run_service_pb2.PlannedRound]:
    """Join *pieces* of rounds to whole rounds. The pieces of a round follow one another."""
    for _, group in groupby(pieces, lambda piece: piece.number):
        first, *others = group
        first.row = b"".join((first.row, *(piece.row for piece in others)))
        yield first


def _hash_texts(row: dict[str, Any]) -> dict[str, Any]:
    """Replace each text of a row by its hash, and leave out messages. The number of turns stays the same."""
    return {
        name: [hashlib.sha256(text.encode()).hexdigest() for text in value] if name in ("turns", "reference") else value
        for name, value in row.items()
        if name != "messages"
    }
