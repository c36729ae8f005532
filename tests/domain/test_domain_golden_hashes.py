"""The hashes that stored verdicts, runs and batches depend on never change, even if names in the code do.

The values in golden_hashes.json were written by the code of schema 0003. Never regenerate that file. If a hash differs,
every verdict stored under the old one would be paid for again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from judge.api.v1 import run_service_pb2
from judge.app.judges import ConfiguredJudges
from judge.config.settings import load
from judge.domain.judge import JudgeDefinition
from judge.domain.verdict import CallKey, Shown, digest, prompt_digest, recorded_digest, shown_digest
from judge.execution.batch_runner import custom_id
from judge.execution.judge_call import Work
from judge.prompts.render import render
from judge.prompts.rubrics import RUBRICS
from judge.rpc import decode, encode
from support.clocks import StillClock

GOLDEN: dict[str, str] = json.loads(Path(__file__).with_name("golden_hashes.json").read_text("utf-8"))
CONFIG = """
[judges.openai]
backend = "openai"
model = "gpt-4o"
[judges.openai-everything]
backend = "openai"
model = "gpt-4o-mini"
rubric = "choice"
temperature = 0.25
seed = 7
max_output_tokens = 99
[judges.openai-thinking]
backend = "openai"
model = "o4-mini"
effort = "high"
[judges.anthropic]
backend = "anthropic"
model = "claude-sonnet-4-5"
rubric = "likert-8"
[judges.vllm]
backend = "vllm"
model = "judge"
base_url = "http://127.0.0.1:8000/v1"
rubric = "brackets"
[judges.vllm-engine]
backend = "vllm_engine"
model = "org/model"
rubric = "likert-5"
[judges.by-category]
backend = "openai"
model = "gpt-4o"
rubric = "by-category"
[judges.longest]
backend = "longest"
rubric = "brackets"
[judges.first]
backend = "first"
rubric = "brackets"
[judges.random]
backend = "random"
rubric = "brackets"
[judges.matches-reference]
backend = "matches-reference"
rubric = "brackets"
"""
BY_CATEGORY = """
form = "brackets"
criteria = ["Right: the answer is right."]
[[variants]]
categories = ["code"]
criteria = ["It runs: the code runs."]
[[variants]]
name = "summaries"
categories = ["summaries"]
turns = "any"
reference = false
system = "Compare."
user = "{{ question }} A: {{ answer_a }} B: {{ answer_b }}"
"""
SHOWN = {
    "one-turn": Shown(prompt=("What is 17 x 23?",), first=("391.",), second=("400.",), category="maths"),
    "two-turns": Shown(prompt=("Hi", "Élodie?"), first=("a", "b"), second=("c", "\ud800 d"), category="code"),
    "reference": Shown(prompt=("What is 2 + 2?",), first=("4",), second=("5",), category="summaries", reference=("4",)),
}
RUN_SPECS = {
    "plain": run_service_pb2.RunSpec(dataset="datasets/demo", judges=["judges/longest"]),
    "adaptive": run_service_pb2.RunSpec(
        dataset="datasets/demo",
        judges=["judges/a", "judges/b"],
        pairing=run_service_pb2.Pairing(
            policy=run_service_pb2.PAIR_POLICY_ADAPTIVE, count=100, round_size=20, top=2, precision=5.0, separated=True
        ),
        budget=run_service_pb2.Budget(cost_micros=5_000_000, calls=70),
    ),
}
AGAIN = b"\x08\x03\x18\x28\x6a\x05again"
"""The wire form of a Pairing: RANDOM, a count of 40, and the string in field 13."""


def judges(folder: Path) -> dict[str, JudgeDefinition]:
    (folder / "rubrics").mkdir(exist_ok=True)
    (folder / "rubrics" / "by-category.toml").write_text(BY_CATEGORY, "utf-8")
    (folder / "judge.toml").write_text(CONFIG, "utf-8")
    cards = ConfiguredJudges(load(folder / "judge.toml"), StillClock()).cards()
    by_name = {name: cards[name].definition for name in cards if name in CONFIG}
    by_name["vllm-with-weights"] = replace(by_name["vllm"], weights="org/model@abc")
    by_name["recorded"] = JudgeDefinition(
        name="gpt-4", backend="recorded", rubric=RUBRICS["brackets"], parser="brackets/1", scope="mt"
    )
    return by_name


def hashes(folder: Path) -> dict[str, str]:
    """Return every hash that a store, a bundle or a provider keeps, under a unique name."""
    by_name = {f"rubric/{name}": rubric.hash for name, rubric in RUBRICS.items()}
    for name, judge in judges(folder).items():
        by_name[f"fingerprint/{name}"] = judge.fingerprint
        for shown_name, shown in SHOWN.items():
            call = judge.call_fingerprint(shown)
            by_name[f"call/{name}/{shown_name}"] = call
            again = shown.key_digest(call, uses_reference=True, cache_tag="again", repeat=2)
            by_name[f"key/{name}/{shown_name}"] = shown.key_digest(call, uses_reference=False).hex()
            by_name[f"key-again/{name}/{shown_name}"] = again.hex()
            if judge.rubric.variant(shown) is not None:
                prompt = render(judge.rubric, shown, call, judge.sampling, cache_tag="again", repeat=2)
                by_name[f"nonce/{name}/{shown_name}"] = prompt.nonce
                key = CallKey(1, 2, shown.turn, 3, 4, "again", 2)
                by_name[f"custom-id/{name}/{shown_name}"] = custom_id(judge, Work(key, shown))
                text = "\0".join(f"{message.role}\0{message.content}" for message in prompt.messages)
                by_name[f"messages/{name}/{shown_name}"] = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    for name, shown in SHOWN.items():
        by_name[f"prompt/{name}"] = prompt_digest(shown.prompt, shown.reference).hex()
        by_name[f"output/{name}"] = shown_digest(shown.first).hex()
    by_name["recorded-output"] = recorded_digest("model-a", 3).hex()
    by_name["digest"] = digest("a", "", "é" * 100).hex()
    for name, spec in RUN_SPECS.items():
        by_name[f"body/{name}"] = body_hash(spec)
    again_spec = run_service_pb2.RunSpec(dataset="datasets/demo", judges=["judges/longest"])
    again_spec.pairing.ParseFromString(AGAIN)
    by_name["body/again"] = body_hash(again_spec)
    return by_name


def body_hash(spec: run_service_pb2.RunSpec) -> str:
    """Return the hash that CreateRun stores for a requested run."""
    return hashlib.sha256(encode.run_spec(decode.run_spec(spec)).SerializeToString(deterministic=True)).hexdigest()


@pytest.mark.parametrize("kind", sorted({name.partition("/")[0] for name in GOLDEN}))
def test_hashes_are_what_they_have_always_been(tmp_path: Path, kind: str) -> None:
    """Fingerprints of all backends, rubrics, keys, nonces, messages and request bodies have their original hashes."""
    now = {name: value for name, value in hashes(tmp_path).items() if name.partition("/")[0] == kind}

    assert {name: value for name, value in GOLDEN.items() if name.partition("/")[0] == kind} == now
