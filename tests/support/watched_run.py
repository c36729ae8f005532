"""A dataset of a given size, a run over it, and what a client sees of the run while processes die."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise

import grpc

from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import run_service_pb2 as pb
from judge.api.v1 import verdict_pb2
from judge_client import JudgeClient, JudgeClientError
from judge_client.runs import ENDED

FULL = verdict_pb2.VERDICT_VIEW_FULL
CONTESTANTS = "abcde"
PER_PROMPT = len(CONTESTANTS) * (len(CONTESTANTS) - 1)
"""Calls per prompt: every pair of contestants in both orders."""
AGAIN_SECONDS = 0.1


def spec(dataset: str = "d", judge: str = "far", **fields: object) -> pb.RunSpec:
    """Return the spec of a run of *judge* over all of *dataset*."""
    return pb.RunSpec(dataset=f"datasets/{dataset}", judges=[f"judges/{judge}"], **fields)  # type: ignore[arg-type]  # protobuf's own names


async def upload(client: JudgeClient, calls: int, dataset: str = "d") -> None:
    """Upload a dataset whose run needs *calls* calls, a multiple of PER_PROMPT."""
    assert calls % PER_PROMPT == 0
    numbers = range(calls // PER_PROMPT)
    await client.create_dataset(dataset)
    prompts = [ds.Prompt(prompt_id=f"p{n}", turns=[f"question {n} of {dataset}"]) for n in numbers]
    outputs = [
        ds.Output(prompt_id=f"p{n}", contestant=who, turns=[f"{who} on {n} of {dataset}"])
        for n in numbers
        for who in CONTESTANTS
    ]
    await client.upload_prompts(dataset, prompts)
    await client.upload_outputs(dataset, outputs)


async def start_run(address: str, calls: int, dataset: str = "d", judge: str = "far", **fields: object) -> str:
    """Start a run of *calls* calls and return its name."""
    async with JudgeClient(address) as client:
        await upload(client, calls, dataset)
        return (await client.create_run(spec(dataset, judge, **fields))).name


async def current_run(address: str, run: str) -> pb.Run:
    """Return the run's current state, retrying while the server is unavailable."""
    async with JudgeClient(address, timeout=5.0) as client:
        while True:
            try:
                return await client.get_run(run)
            except JudgeClientError as error:
                _raise_unless_unavailable(error)
            await asyncio.sleep(AGAIN_SECONDS)


async def verdicts(address: str, run: str) -> dict[int, str]:
    """Return the raw text of each stored verdict by position."""
    async with JudgeClient(address) as client:
        return {v.position: v.raw async for v in client.list_verdicts(run, view=FULL, page_size=1000) if v.raw}


@dataclass
class RunWatcher:
    """What one client receives about a run: every snapshot and every verdict, as raw text by position."""

    snapshots: list[pb.Run] = field(default_factory=list)
    verdicts: dict[int, str] = field(default_factory=dict)
    changed: list[int] = field(default_factory=list)
    """Positions of verdicts that were received twice with different texts."""

    @property
    def last(self) -> pb.Run:
        """The newest snapshot."""
        return self.snapshots[-1]

    @property
    def backwards(self) -> int:
        """How often a snapshot was older than the one before it."""
        revisions = [snapshot.revision for snapshot in self.snapshots]
        return sum(after < before for before, after in pairwise(revisions))

    async def watch(self, address: str, run: str) -> pb.Run:
        """Watch the run to its end, reconnecting whenever the connection is lost, and return the terminal snapshot."""
        async with JudgeClient(address) as client:
            while not (self.snapshots and self.last.state in ENDED):
                after = self.last.revision if self.snapshots else 0
                try:
                    async for snapshot in client.watch_run(run, after_revision=after):
                        self.snapshots.append(snapshot)
                except JudgeClientError as error:
                    _raise_unless_unavailable(error)
                await asyncio.sleep(AGAIN_SECONDS)
        return self.last

    async def follow(self, address: str, run: str) -> None:
        """Follow the run's verdicts to its end, resuming after the last batch whenever the connection is lost."""
        token, over = "", False
        async with JudgeClient(address) as client:
            while not over:
                try:
                    async for batch in client.stream_verdicts(run, view=FULL, follow=True, page_token=token):
                        token = batch.page_token or token
                        self._take(batch.verdicts)
                    over = True
                except JudgeClientError as error:
                    _raise_unless_unavailable(error)
                    await asyncio.sleep(AGAIN_SECONDS)

    def _take(self, verdicts: object) -> None:
        for verdict in verdicts:  # type: ignore[attr-defined]  # protobuf's own container
            if verdict.raw and self.verdicts.setdefault(verdict.position, verdict.raw) != verdict.raw:
                self.changed.append(verdict.position)

    def lost(self, kept: dict[int, str], planned: int) -> int:
        """Count presentations without a verdict in *kept*, and received verdicts that differ from those stored now."""
        return planned - len(kept) + len(self.changed) + sum(kept.get(at) != raw for at, raw in self.verdicts.items())


def _raise_unless_unavailable(error: JudgeClientError) -> None:
    """Raise *error* unless it means that the server is unavailable."""
    if error.code not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        raise error
