"""Calls that were lost when a process was killed: every command counts them, at most at what they can cost."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click import UsageError
from click.testing import CliRunner, Result

from judge.app.lock import held
from judge.cli import main
from judge.cli.group import cli
from judge.domain.run import INTERRUPTED, RunState
from judge.ports.clock import SystemClock
from judge.store.sql_store import SqlStore
from judge_client import JudgeClient, JudgeClientError
from support.service_process import Endpoint, configure, environment, listening, serving, start_run

main._commands()
WIDTH = 4
ANSWERED = 6
PRICE = "price = { input = 2.0, output = 8.0 }\nmax_output_tokens = 64\n"


@pytest.fixture
async def killed(tmp_path: Path) -> str:
    """A run whose process was killed with WIDTH calls in flight."""
    endpoint = Endpoint(held_after=ANSWERED)
    async with listening(endpoint) as url:
        with (configure(tmp_path, url, concurrency=WIDTH) / "judge.toml").open("a") as config:
            config.write(PRICE)
        async with serving(tmp_path) as process, JudgeClient(process.address) as client:
            name = await start_run(client, 10, "far")
            await endpoint.wait_until_holding(WIDTH)
            in_flight = (await client.get_run(name)).open
            await process.kill()
    assert (in_flight.calls, in_flight.batched) == (WIDTH, 0)
    return name


async def judge(home: Path, *arguments: str) -> Result:
    """Run a command in this process on the store in *home*."""
    variables = environment(home)
    return await asyncio.to_thread(
        lambda: CliRunner().invoke(cli, arguments, standalone_mode=False, env=variables, catch_exceptions=False)
    )


async def test_every_command_counts_the_calls_that_a_killed_process_lost(killed: str, tmp_path: Path) -> None:
    """In words and in JSON, until they are booked; nothing was lost by calls that were answered."""
    row = json.loads((await judge(tmp_path, "show", killed, "--json")).stdout)
    texts = {
        command: " ".join((result := await judge(tmp_path, *command.split())).stdout.split() + result.stderr.split())
        for command in (f"show {killed}", "runs", "status", f"watch {killed}")
    }

    lost = int(row["open"]["cost_micros"])
    assert (row["counts"]["calls"], row["open"]["calls"], row["open"]["batched"]) == (ANSWERED, WIDTH, 0)
    assert lost > 0
    words = f"{WIDTH} calls were lost with the process; they cost at most ${lost / 1e6:.4f} more."
    end = f"Continue with: judge resume {killed.removeprefix('runs/')}"
    assert {command: words in text.partition(end)[0] for command, text in texts.items()} == dict.fromkeys(texts, True)


async def test_cancelling_a_killed_run_books_what_it_lost(killed: str, tmp_path: Path) -> None:
    """As much as was said before, as uncounted calls. Then its provider's own total can be entered."""
    before = json.loads((await judge(tmp_path, "show", killed, "--json")).stdout)

    cancelled = json.loads((await judge(tmp_path, "cancel", killed, "--json")).stdout)
    settled = await judge(tmp_path, "settle", killed, "--cost-usd", "0.000012")

    assert (cancelled["state"], cancelled["counts"]["calls"]) == ("RUN_STATE_CANCELLED", ANSWERED + WIDTH)
    assert int(cancelled["cost_micros"]) == int(before["cost_micros"]) + int(before["open"]["cost_micros"])
    assert cancelled["open"]["calls"] == 0
    assert "$0.000012 ($0.000012 entered at 20" in settled.stdout
    assert "lost" not in settled.stdout


async def test_a_run_that_was_interrupted_and_killed_can_be_settled(killed: str, tmp_path: Path) -> None:
    """After a second Ctrl-C a run is paused, and calls were lost. The total that is entered includes them."""
    store = SqlStore.open(f"sqlite:///{tmp_path / 'judge.db'}", clock=SystemClock())
    run = await store.run("default", killed.removeprefix("runs/"))
    await store.move_run(run.row, RunState.PAUSED, reason=INTERRUPTED)
    await store.close()

    settled = await judge(tmp_path, "settle", killed, "--cost-usd", "0.5", "--yes")

    assert f"{ANSWERED + WIDTH} calls, $0.5000 ($0.5000 entered at 20" in settled.stdout


async def test_resuming_a_killed_run_takes_the_new_budget(killed: str, tmp_path: Path) -> None:
    """A limit of calls that is reached already ends the run before another call."""
    resumed = await judge(tmp_path, "resume", killed, "--budget-calls", str(ANSWERED))

    after = json.loads((await judge(tmp_path, "show", killed, "--json")).stdout)
    assert (int(after["budget"]["calls"]), after["counts"]["calls"]) == (ANSWERED, ANSWERED + WIDTH)
    assert after["state_reason"] == "BUDGET_STOPPED"
    assert resumed.return_value == 3


async def test_a_run_whose_process_was_killed_can_be_settled_before_it_is_resumed(killed: str, tmp_path: Path) -> None:
    """No process executes it, so its lost calls are booked. More than its calls can cost is entered on demand only."""
    with pytest.raises(UsageError, match=r"The calls cost at most \$0\.\d+ by .* Enter \$0\.5000\? Add --yes"):
        await judge(tmp_path, "settle", killed, "--cost-usd", "0.5")

    settled = await judge(tmp_path, "settle", killed, "--cost-usd", "0.000012")
    shown = json.loads((await judge(tmp_path, "show", killed, "--json")).stdout)

    assert f"{ANSWERED + WIDTH} calls, $0.000012 (" in settled.stdout
    assert (shown["state"], shown["open"]["calls"]) == ("RUN_STATE_RUNNING", 0)


async def test_a_run_says_that_its_cost_was_entered(killed: str, tmp_path: Path) -> None:
    """With the time, and what had been counted until then: in words, in a list of runs, and in JSON."""
    cancelled = json.loads((await judge(tmp_path, "cancel", killed, "--json")).stdout)
    await judge(tmp_path, "settle", killed, "--cost-usd", "0.000012")

    entered = json.loads((await judge(tmp_path, "show", killed, "--json")).stdout)["spending"][0]["entered"]
    texts = [" ".join((await judge(tmp_path, *command)).stdout.split()) for command in (("show", killed), ("runs",))]

    counted = int(cancelled["cost_micros"])
    assert (int(entered["cost_micros"]), int(entered["counted_micros"])) == (12, counted)
    minute = entered["enter_time"][:16].replace("T", " ")
    words = f"$0.000012 entered at {minute} UTC instead of ${counted / 1e6:.4f} counted"
    assert [words in text for text in texts] == [True, True]
    assert "(entered)" in texts[1]


async def test_a_run_that_a_process_executes_is_not_settled(killed: str, tmp_path: Path) -> None:
    """The refusal names the command that ends the run."""
    with (
        held(tmp_path / "judge.db"),
        pytest.raises(JudgeClientError, match=f"cancel it first with `judge cancel {killed[5:]}`"),
    ):
        await judge(tmp_path, "settle", killed, "--cost-usd", "0.000012")
