"""A disk that is full: the run says so, waits, and goes on alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from judge.api.v1 import run_service_pb2 as pb
from support.call_journal import faked
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, LocalService, standing
from support.watched_run import Watched, begun, present, verdicts

SIZE = "8m"
FULL_SECONDS = 3.0
QUIET_SECONDS = 1.0
"""Seconds after it said that it is paused in which a call may still begin, under a permit from before."""
BLOCK = 4096


async def _run(*command: str) -> None:
    child = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, told = await child.communicate()
    assert child.returncode == 0, f"{' '.join(command)} failed, and a full disk needs it (as root): {told.decode()}"


@contextlib.asynccontextmanager
async def small_disk(at: Path) -> AsyncIterator[Path]:
    """A file system of SIZE mounted at *at*."""
    at.mkdir()  # noqa: ASYNC240  # one folder, and nobody waits
    await _run("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(at))
    try:
        yield at
    finally:
        await _run("umount", str(at))


def fill(ballast: Path) -> None:
    """Take every block that is free."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(BLOCK))
    assert os.statvfs(ballast).f_bavail == 0


@pytest.mark.parametrize("journal", ["grows", "is used again"])
async def test_a_full_disk_pauses_a_run_which_goes_on_alone_when_there_is_space(
    folder: Path, say: Say, journal: str
) -> None:
    """8 MiB, full in the middle: PAUSED, STORE_FULL, no call; with room it goes on alone; 0 lost, 0 repeated.

    Once while the store's journal would have to grow, once when it has room of its own that is written over.
    """
    calls = 1_000
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder) as fake,
        small_disk(folder / "disk") as disk,
        standing(LocalService(folder, JudgeConfig(fake.url), store=disk / "judge.db")) as service,
    ):
        run = await begun(service.address, calls)
        store = disk / "judge.db"
        before = store.stat().st_size
        await fake.reached(30)
        while journal == "is used again" and store.stat().st_size == before:
            await asyncio.sleep(0.01)
        fill(disk / "ballast")
        grown = store.stat().st_size > before
        while (paused := await present(service.address, run)).state == pb.RUN_STATE_RUNNING:
            await asyncio.sleep(0.05)
        told = time.monotonic()
        await asyncio.sleep(FULL_SECONDS)
        still = await present(service.address, run)
        late = fake.read().begun_after(told + QUIET_SECONDS)
        (disk / "ballast").unlink()
        ended = await Watched().watch(service.address, run)
        kept = await verdicts(service.address, run)

    lost, reason = calls - len(kept), paused.state_reason
    say(f"lost {lost} repeated {fake.read().repeated} (at most 0), {reason}, {late} calls while it was paused")
    assert grown is (journal == "is used again")
    assert [(one.state, one.state_reason) for one in (paused, still)] == [(pb.RUN_STATE_PAUSED, "STORE_FULL")] * 2
    assert late == 0
    assert (ended.state, dict(ended.counts.by_status)) == (pb.RUN_STATE_DONE, {"ok": calls})
    assert (lost, fake.repeated, ended.counts.repeated) == (0, 0, 0)
