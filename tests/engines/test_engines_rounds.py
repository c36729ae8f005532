"""Adaptive runs on an engine: rounds in turn, the same after any interruption, ended by what was asked for."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from judge.backends.scripted import Line
from judge.domain.errors import Precondition
from judge.domain.judge import RenderedPrompt
from judge.domain.outcome import ItemState
from judge.domain.run import Budget, Pairing, PairPolicy, Run, RunSpec, RunState
from judge.runs.adaptive import planned_round
from judge.runs.rounds import Ending, RoundRow, build_rounds
from test_engines_contract import CONCURRENCY, TENANT, House, house

COUNT, ROUND = 24, 6
ADAPTIVE = Pairing(policy=PairPolicy.ADAPTIVE, count=COUNT, round_size=ROUND, seed=5)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'judge.db'}"


def by_name(prompt: RenderedPrompt) -> Line:
    """For the earlier name on most prompts, whichever is shown first."""
    ends = [text[0] for (text,) in (prompt.shown.first, prompt.shown.second)]
    luck = hashlib.sha256("".join([*sorted(ends), *prompt.shown.prompt]).encode()).digest()[0]
    return "[[A]]" if (ends[0] == min(ends)) == (luck >= 50) else "[[B]]"


async def begun(h: House, pairing: Pairing = ADAPTIVE, budget: Budget = Budget(), request: str = "") -> Run:  # noqa: B008  # frozen
    return await h.runs.create(TENANT, RunSpec("d", ("j",), pairing, budget), request, request.encode())


async def rows(h: House, run: Run) -> list[bytes]:
    return await h.store.rounds(run.row, 0)


async def test_an_adaptive_run_goes_on_to_its_count(url: str) -> None:
    """Rounds of the size asked for, each showing judged once, and a row after them that says why it ended."""
    async with house(url, by_name) as h:
        await h.fill()
        made = await begun(h)

        ended = await h.ended(made)

        told = [RoundRow.of(body) for body in await rows(h, ended)]
    assert (made.counts.planned, made.counts.pending) == (2 * ROUND, 2 * ROUND)
    assert (ended.state, ended.counts.by_status, ended.counts.pending) == (RunState.DONE, {"ok": 2 * COUNT}, 0)
    assert (ended.counts.planned, ended.round, h.backend.calls) == (2 * COUNT, 4, 2 * COUNT)
    assert [ROUND] * 4 + [0] == [row.drawn.pairs.n for row in told]
    assert [None] * 4 + [Ending.COUNT] == [row.ending for row in told]
    assert [2 * ROUND * n for n in range(5)] == [row.offset for row in told]
    assert h.backend.max_in_flight <= CONCURRENCY
