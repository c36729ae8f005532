"""Run a judge model that is far too small to judge through the whole service, to a report that shows it.

usage: small_judge.py PYTHON, where PYTHON is the interpreter that runs small_server.py.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from judge.api.v1 import outcome_pb2, run_service_pb2
from judge.app.local import running
from judge.cli.agreement_tables import summary
from judge.cli.data import upload
from judge.cli.demo import BUNDLED, GOLD
from judge.config.settings import JudgeSettings, Settings
from judge.formats import detect
from judge_client import JudgeClient

MODEL = "SmolLM2-135M-Instruct"
PROMPTS = 20
ENDS = ("concise", "subtle")
SHORT = '''form = "choice"
[[variants]]
system = "You compare two answers to the same question, and reply with one letter."
user = """
Question: {{ question }}

Answer A: {{ answer_a }}

Answer B: {{ answer_b }}

Which answer is better, A or B?"""
'''
"""A short rubric, because a small model cannot follow a long one."""


@contextmanager
def served(python: str) -> Iterator[str]:
    """Run the small model's server in a process of its own and yield its base URL."""
    server = Path(__file__).with_name("small_server.py")
    pipe = subprocess.PIPE
    process = subprocess.Popen([python, str(server)], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    try:
        address = process.stdout.readline().strip() if process.stdout else ""
        if not address:
            raise SystemExit("the small model's server did not start")
        yield f"{address}/v1"
    finally:
        process.kill()
        process.wait()


async def judge_pairs(url: str, folder: Path) -> int:
    """Judge twenty easy pairs in both orders and print the agreement report."""
    (folder / "short.toml").write_text(SHORT, "utf-8")
    small = JudgeSettings(
        backend="openai", model=MODEL, base_url=url, rubric="short", max_output_tokens=2, concurrency=2
    )
    look = JudgeSettings(backend="matches-reference", rubric="brackets")
    settings = Settings(judges={"smollm2": small, "matches-reference": look}, rubrics=folder, log_level="warning")
    async with (
        running(settings, store_url=f"sqlite:///{folder / 'judge.db'}", listen=None) as address,
        JudgeClient(address) as client,
    ):
        await upload(client, "demo", detect.read(BUNDLED))
        pairing = run_service_pb2.Pairing(prompts=PROMPTS, contestants=ENDS)
        names = ("smollm2", "matches-reference")
        spec = run_service_pb2.RunSpec(
            dataset="datasets/demo", judges=[f"judges/{name}" for name in names], pairing=pairing
        )
        run = await client.wait_run((await client.create_run(spec)).name)
        counts_by_letter: Counter[str] = Counter()
        async for verdict in client.list_verdicts(run.name):
            if verdict.judge == "judges/smollm2":
                counts_by_letter[_letter(verdict.outcome, verdict.presentation.order)] += 1
        run_id = run.name.removeprefix("runs/")
        reports = [(name, await client.agreement("demo", f"run:{run_id}/{name}", GOLD)) for name in names]
        summary(reports, "the gold labels")
    counts = ", ".join(f"{name} {n}" for name, n in counts_by_letter.most_common())
    print(f"{MODEL} on {PROMPTS} easy pairs in both orders: {counts}.")
    first = counts_by_letter["A"] / max(1, sum(counts_by_letter.values()))
    print(
        f"It says A in {first:.0%}. Each pair was shown in both orders, so a judge that compares answers says A in 50%."
    )
    return 0 if sum(counts_by_letter.values()) == PROMPTS * 2 else 1


def _letter(outcome: int, order: int) -> str:
    """Return the letter with which the judge replied, "tie", or "nothing readable"."""
    if outcome == outcome_pb2.OUTCOME_TIE:
        return "tie"
    if outcome not in (outcome_pb2.OUTCOME_LEFT, outcome_pb2.OUTCOME_RIGHT):
        return "nothing readable"
    return "A" if (outcome == outcome_pb2.OUTCOME_LEFT) == (order == outcome_pb2.ORDER_LEFT_FIRST) else "B"


def main(python: str) -> int:
    """Serve the model, judge the pairs and return the exit code."""
    with served(python) as url, tempfile.TemporaryDirectory(prefix="judge-small-") as folder:
        return asyncio.run(judge_pairs(url, Path(folder)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
