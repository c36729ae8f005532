"""A process that executes no runs: it makes no call, and works next to one that executes them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from judge.backends.scripted import Scripted
from judge.domain.errors import Precondition, StoreHeld
from judge.domain.run import INTERRUPTED, RunState
from judge.engines.idle import IdleEngine
from judge.engines.local import LocalEngine
from judge.ports.clock import SystemClock
from judge.runs.lifecycle import RunLifecycle
from judge.store.sql_store import SqlStore
from support.clocks import QuickClock, StillClock
from support.engine_service import TENANT, EngineService, OneJudge
from support.scene import Scene


@contextlib.contextmanager
def executed_elsewhere() -> Iterator[None]:
    """The lock of a store that another process holds."""
    raise StoreHeld("held", pid="1")
    yield


@pytest.mark.parametrize(
    ("state", "reason", "elsewhere", "expected"),
    [
        (RunState.RUNNING, "", True, RunState.CANCELLING),
        (RunState.RUNNING, "", False, RunState.CANCELLED),
        (RunState.PAUSED, INTERRUPTED, True, RunState.CANCELLED),
        (RunState.QUEUED, "", True, RunState.CANCELLED),
    ],
)
async def test_a_run_is_cancelled_by_whoever_can_end_it(
    state: RunState, reason: str, *, elsewhere: bool, expected: RunState
) -> None:
    """The process that executes a run ends it itself, once it sees that it is CANCELLING."""
    backend = Scripted([])
    known = OneJudge(backend)
    store = SqlStore.open("sqlite://", clock=SystemClock())
    executing = LocalEngine(store, known, QuickClock())
    service = EngineService(store=store, backend=backend, engine=executing, judges=known)
    await service.fill()
    await executing.close()
    run = await service.begin()
    await store.move_run(run.row, state, reason=reason)

    idle = IdleEngine(store, executed_elsewhere if elsewhere else contextlib.nullcontext)
    cancelled = await RunLifecycle(store, idle, known).cancel(TENANT, run.run_id)
    with pytest.raises(Precondition, match="judge resume"):
        await idle.submit(TENANT, run.run_id)
    await store.close()

    assert (cancelled.state, backend.calls) == (expected, 0)


@pytest.mark.parametrize("elsewhere", [True, False])
async def test_lost_calls_are_booked_only_while_no_process_makes_them(*, elsewhere: bool) -> None:
    """A process that executes runs of the store may still get the answer of a call that is live."""
    store = SqlStore.open("sqlite://", clock=SystemClock())
    scene = await Scene(store, StillClock()).fill()
    run = await scene.run()
    keys = await scene.keys(2)
    await scene.permit(keys, run, worst=10)

    idle = IdleEngine(store, executed_elsewhere if elsewhere else contextlib.nullcontext)
    none_executes = await idle.book_lost_calls()
    after = await store.run(TENANT, run.run_id)
    await store.close()

    assert none_executes is not elsewhere
    assert (after.open.calls, after.cost_micros) == ((2, 0) if elsewhere else (0, 20))
