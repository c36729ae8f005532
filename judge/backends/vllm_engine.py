"""vLLM's engine in this process, for offline runs on a machine with its own GPU (needs the extra `[vllm]`).

The first call loads the weights in a thread. After that, the engine batches all calls. A choice is one constrained
token with its probabilities, and a reasoned answer is constrained to its JSON schema. Weights in a folder are part of
the call's fingerprint. If others take their place during a run, the judge stops.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from judge.backends.chat import TOP_LOGPROBS, broken
from judge.backends.finish import STATUSES, Finish, read_finish
from judge.backends.http import encodable, storable
from judge.backends.weights import CHECK_SECONDS, WeightFolder, check_weights
from judge.domain.errors import CallRejected, JudgeUnusable, PromptTooLong, TransportFailed
from judge.domain.judge import Capabilities, RenderedPrompt
from judge.domain.usage import Usage
from judge.domain.verdict import Reply


def capabilities(model: str) -> Capabilities:  # noqa: ARG001  # the same for all models
    """Return what vLLM supports for every model."""
    return Capabilities(temperature=True, seed=True, logprobs=True, json_schema=True, choice=True)


class VllmEngine:
    """An engine with the weights of *model*, a folder or a name that vLLM knows, at *revision*.

    *weights* are those that the run began with; others are refused. *engine* holds further arguments of vLLM's engine.
    *monotonic* is the clock, in seconds.
    """

    def __init__(
        self,
        model: str,
        *,
        revision: str = "",
        weights: str = "",
        engine: dict[str, Any] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model, self._revision, self._weights = model, revision, weights
        self._folder, self._hashing = WeightFolder(model), asyncio.Lock()
        self._monotonic, self._trusted_until = monotonic, -math.inf
        self._arguments = {"enable_prefix_caching": True, **(engine or {})}
        self._loading: asyncio.Task[Any] | None = None
        self._tokenizer: Any = None

    @property
    def capabilities(self) -> Capabilities:
        """What the engine supports."""
        return capabilities(self._model)

    async def weights(self) -> str:
        """Return the folder from which the weights are loaded, with its digest, or their name.

        Raises JudgeUnusable if the folder cannot be read.
        """
        async with self._hashing:
            return await asyncio.to_thread(self._folder.name)

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """Return the model's reply to *prompt*. Raises a CallFailed."""
        await self._check()
        engine = await self._engine()
        await self._check()
        started = time.perf_counter()
        text = self._apply_template(prompt)
        from vllm.exceptions import VLLMValidationError  # noqa: PLC0415  # an extra

        final = None
        try:
            async for output in engine.generate(text, _parameters(prompt), request_id=uuid.uuid4().hex):
                final = output
        except (ValueError, VLLMValidationError):
            # The prompt is the only argument that does not come from our own code, and too long if it is refused.
            raise PromptTooLong("the engine refused the prompt: it does not fit into the model's context") from None
        if final is None or not final.outputs:
            raise TransportFailed("the engine returned no output")
        return _reply(final, self._model, prompt, round((time.perf_counter() - started) * 1000))

    async def close(self) -> None:
        """Stop the engine and release the weights."""
        loading, self._loading = self._loading, None
        if loading is None:
            return
        loaded = await asyncio.gather(loading, return_exceptions=True)
        if not isinstance(loaded[0], BaseException):
            loaded[0].shutdown()

    async def _check(self) -> None:
        """Check from time to time, and when they have been loaded, that the weights are those of the run."""
        if not self._weights or self._monotonic() < self._trusted_until:
            return
        until = self._monotonic() + CHECK_SECONDS
        check_weights(self._model, frozen=self._weights, now=await self.weights())
        self._trusted_until = until

    def _apply_template(self, prompt: RenderedPrompt) -> str:
        if any(message.parts for message in prompt.messages):
            raise CallRejected("the engine takes no images. Serve the model, and use the backend vllm")
        messages = [{"role": message.role, "content": encodable(message.content)} for message in prompt.messages]
        templated: str = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return templated

    async def _engine(self) -> Any:  # noqa: ANN401  # vllm is no dependency of the server
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
        return await asyncio.shield(self._loading)

    async def _load(self) -> Any:  # noqa: ANN401  # as above
        try:
            from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: PLC0415  # an extra that takes minutes to import
            from vllm.v1.engine.async_llm import AsyncLLM  # noqa: PLC0415  # as above
        except ImportError:
            raise JudgeUnusable("the package vllm is not installed. Install judge-service[vllm]") from None
        arguments = AsyncEngineArgs(model=self._model, revision=self._revision or None, **self._arguments)
        engine = await asyncio.to_thread(AsyncLLM.from_engine_args, arguments)
        tokenizer = engine.get_tokenizer()
        # In some releases of vLLM, get_tokenizer is a coroutine.
        self._tokenizer = await tokenizer if inspect.isawaitable(tokenizer) else tokenizer
        self._trusted_until = -math.inf
        return engine


def _parameters(prompt: RenderedPrompt) -> Any:  # noqa: ANN401  # vllm is no dependency of the server
    from vllm import SamplingParams  # noqa: PLC0415  # an extra
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams  # noqa: PLC0415  # an extra

    constraint = None
    if prompt.choices:
        constraint = StructuredOutputsParams(choice=list(prompt.choices))
    elif prompt.json_schema:
        constraint = StructuredOutputsParams(json=json.loads(prompt.json_schema))
    sampling = prompt.sampling
    return SamplingParams(
        max_tokens=sampling.max_output_tokens,
        temperature=0.0 if sampling.temperature is None else sampling.temperature,
        seed=sampling.seed,
        logprobs=TOP_LOGPROBS if prompt.choices else None,
        structured_outputs=constraint,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _reply(output: Any, model: str, prompt: RenderedPrompt, elapsed_ms: int) -> Reply:  # noqa: ANN401  # vllm's own
    completion = output.outputs[0]
    usage = Usage(
        input_tokens=len(output.prompt_token_ids or ()),
        cached_input_tokens=output.num_cached_tokens or 0,
        output_tokens=len(completion.token_ids),
        latency_ms=elapsed_ms,
    )
    finish = read_finish(completion.finish_reason)
    if finish is Finish.BROKEN:
        raise broken(completion.finish_reason, None, usage)
    return Reply(
        raw=storable(completion.text),
        status=STATUSES[finish],
        usage=usage,
        model=model,
        logprobs=_deciding(completion, prompt.choices),
    )


def _deciding(completion: Any, choices: Sequence[str]) -> tuple[tuple[str, float], ...]:  # noqa: ANN401  # vllm's own
    """Return the alternatives of the last token that is one of *choices*; thinking may come before it."""
    pairs = list(zip(completion.token_ids, completion.logprobs or (), strict=False))
    for token, alternatives in reversed(pairs):
        if (alternatives[token].decoded_token or "").strip() in choices:
            return tuple((storable(each.decoded_token or ""), each.logprob) for each in alternatives.values())
    return ()
