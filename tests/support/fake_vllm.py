"""A fake of the package vllm: it loads nothing and gives one answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import ModuleType, SimpleNamespace
from typing import Any


class FakeTokenizer:
    def apply_chat_template(self, messages: list[dict[str, str]], **_: object) -> str:
        return "\n".join(message["content"] for message in messages)


class FakeEngine:
    """Answers every prompt with A."""

    @classmethod
    def from_engine_args(cls, _: object) -> FakeEngine:
        return cls()

    def get_tokenizer(self) -> FakeTokenizer:
        return FakeTokenizer()

    async def generate(self, *_: object, **__: object) -> AsyncIterator[SimpleNamespace]:
        completion = SimpleNamespace(text="[[A]]", token_ids=[1, 2], finish_reason="stop", logprobs=None)
        yield SimpleNamespace(outputs=[completion], prompt_token_ids=[1, 2, 3], num_cached_tokens=0)

    def shutdown(self) -> None:
        """Stop nothing."""


def _module(name: str, **members: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module


def fake_vllm() -> dict[str, ModuleType]:
    """Return the modules of the package that the backend imports, by name."""

    def keep(**settings: Any) -> SimpleNamespace:  # noqa: ANN401  # whatever the package takes
        return SimpleNamespace(**settings)

    names = SimpleNamespace(FINAL_ONLY=2)
    return {
        "vllm": _module("vllm", SamplingParams=keep),
        "vllm.engine": _module("vllm.engine"),
        "vllm.engine.arg_utils": _module("vllm.engine.arg_utils", AsyncEngineArgs=keep),
        "vllm.v1": _module("vllm.v1"),
        "vllm.v1.engine": _module("vllm.v1.engine"),
        "vllm.v1.engine.async_llm": _module("vllm.v1.engine.async_llm", AsyncLLM=FakeEngine),
        "vllm.exceptions": _module(
            "vllm.exceptions", VLLMValidationError=type("VLLMValidationError", (Exception,), {})
        ),
        "vllm.sampling_params": _module("vllm.sampling_params", RequestOutputKind=names, StructuredOutputsParams=keep),
    }
