"""A full disk: the run reports it, pauses, and resumes by itself when there is space again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from judge.api.v1 import run_service_pb2 as pb
from support.call_journal import fake_provider
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, LocalService, running_service
from support.watched_run import RunWatcher, current_run, start_run, verdicts

SIZE = "8m"
FULL_SECONDS = 3.0
QUIET_SECONDS = 1.0
"""Seconds after the pause in which a call may still begin under an earlier permit."""
BLOCK = 4096


async def _run(*command: str) -> None:
    child = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, errors = await child.communicate()
    assert child.returncode == 0, (
        f"{' '.join(command)} failed; this test needs it to mount a small disk, as root: {errors.decode()}"
    )


@contextlib.asynccontextmanager
async def small_disk(at: Path) -> AsyncIterator[Path]:
    """Mount a file system of SIZE at *at*, and unmount it on exit."""
    at.mkdir()  # noqa: ASYNC240  # one folder, and no other task waits
    await _run("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(at))
    try:
        yield at
    finally:
        await _run("umount", str(at))


def fill(ballast: Path) -> None:
    """Write to the file *ballast* until the disk is full."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(BLOCK))
    assert os.statvfs(ballast).f_bavail == 0


@pytest.mark.parametrize("journal", ["grows", "is used again"])
async def test_a_full_disk_pauses_a_run_which_goes_on_alone_when_there_is_space(
    folder: Path, say: Say, journal: str
) -> None:
    """A run on a full disk pauses as STORE_FULL without calls, and resumes with nothing lost or repeated.

    The 8 MiB disk fills up once while the store's journal has to grow, and once while it overwrites old content.
    """
    calls = 1_000
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder) as fake,
        small_disk(folder / "disk") as disk,
        running_service(LocalService(folder, JudgeConfig(fake.url), store=disk / "judge.db")) as service,
    ):
        run = await start_run(service.address, calls)
        store = disk / "judge.db"
        before = store.stat().st_size
        await fake.wait_for_calls(30)
        while journal == "is used again" and store.stat().st_size == before:
            await asyncio.sleep(0.01)
        fill(disk / "ballast")
        grown = store.stat().st_size > before
        while (paused := await current_run(service.address, run)).state == pb.RUN_STATE_RUNNING:
            await asyncio.sleep(0.05)
        paused_at = time.monotonic()
        await asyncio.sleep(FULL_SECONDS)
        still = await current_run(service.address, run)
        late = fake.read().begun_after(paused_at + QUIET_SECONDS)
        (disk / "ballast").unlink()
        ended = await RunWatcher().watch(service.address, run)
        kept = await verdicts(service.address, run)

    lost, reason = calls - len(kept), paused.state_reason
    say(f"lost {lost} repeated {fake.read().repeated} (at most 0), {reason}, {late} calls while it was paused")
    assert grown is (journal == "is used again")
    assert [(snapshot.state, snapshot.state_reason) for snapshot in (paused, still)] == [
        (pb.RUN_STATE_PAUSED, "STORE_FULL")
    ] * 2
    assert late == 0
    assert (ended.state, dict(ended.counts.by_status)) == (pb.RUN_STATE_DONE, {"ok": calls})
    assert (lost, fake.repeated, ended.counts.repeated) == (0, 0, 0)
