"""How a reply ended: one table of the words that servers use for it, for all backends.

The words are those of OpenAI, Azure, OpenRouter, vLLM, SGLang, llama.cpp, Ollama, LiteLLM, TGI, Anthropic, Bedrock,
Gemini, Vertex AI, Mistral, Cohere, DeepSeek, Together, GLM, watsonx and their compatible endpoints. Case, dashes and
underscores do not matter, and neither does what some of them write around a word, as in `FinishReason.STOP` or
`content_filter: SAFETY`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from judge.domain.outcome import VerdictStatus


class Finish(StrEnum):
    """How a reply ended."""

    COMPLETE = "complete"
    """The model ended it."""
    TRUNCATED = "truncated"
    """It was cut off at the output budget or at the end of the context."""
    FILTERED = "filtered"
    """The provider's content filter ended it."""
    REFUSED = "refused"
    """The model refused to answer."""
    BROKEN = "broken"
    """It broke off. It is no answer: the call is made again, and what it used is booked."""


WORDS: Final[Mapping[Finish, tuple[str, ...]]] = MappingProxyType(
    {
        Finish.COMPLETE: (
            *("stop", "end_turn", "stop_sequence", "eos", "eos_token", "endoftext", "complete", "completed", "end"),
            *("tool_calls", "tool_call", "tool_use", "function_call", "word", "matched_stop", "normal"),
            *("stopped", "done", "finish", "finished", "success", "eos_token_found"),
        ),
        Finish.TRUNCATED: (
            *("length", "max_tokens", "max_output_tokens", "max_completion_tokens", "max_length", "model_length"),
            *("model_context_window_exceeded", "context_length", "limit", "repetition"),
            *("max_new_tokens", "max_output", "token_limit", "stop_limit", "length_capped"),
        ),
        Finish.FILTERED: (
            *("content_filter", "content_filtered", "safety", "recitation", "blocklist", "prohibited_content", "spii"),
            *("language", "image_safety", "model_armor", "guardrail_intervened", "guardrails", "error_toxic"),
            *("sensitive", "jailbreak", "moderation", "content_policy"),
        ),
        Finish.REFUSED: ("refusal", "refused"),
        Finish.BROKEN: (
            *("error", "abort", "aborted", "cancelled", "canceled", "cancel", "timeout", "user_cancel", "error_limit"),
            *("insufficient_system_resource", "network_error", "pause_turn", "incomplete", "failed", "load", "unload"),
            *("malformed_function_call", "malformed_response", "malformed_model_output", "unexpected_tool_call"),
            *("too_many_tool_calls", "other", "finish_reason_unspecified", "unspecified", "unknown"),
        ),
    }
)
"""The words for each way to end. Any other word means that the reply broke off."""
STATUSES: Final[Mapping[Finish, VerdictStatus]] = MappingProxyType(
    {
        Finish.COMPLETE: VerdictStatus.OK,
        Finish.TRUNCATED: VerdictStatus.TRUNCATED,
        Finish.FILTERED: VerdictStatus.FILTERED,
        Finish.REFUSED: VerdictStatus.REFUSED,
    }
)
"""The status of a reply. One that broke off has none."""
_FINISHES = {word.replace("_", ""): finish for finish, words in WORDS.items() for word in words}


def read_finish(word: object) -> Finish:
    """Return what the *word* of a server means. No word (None or "") means that the reply is complete.

    >>> read_finish("stop"), read_finish("MAX_TOKENS"), read_finish("content_filter: OTHER")
    (<Finish.COMPLETE: 'complete'>, <Finish.TRUNCATED: 'truncated'>, <Finish.FILTERED: 'filtered'>)
    >>> read_finish("error"), read_finish("a word that nobody knows"), read_finish(None)
    (<Finish.BROKEN: 'broken'>, <Finish.BROKEN: 'broken'>, <Finish.COMPLETE: 'complete'>)
    """
    if isinstance(word, Mapping):
        # SGLang's own API: {"type": "length", "length": 16}.
        word = word.get("type")
    if word is None or word == "":
        return Finish.COMPLETE
    if not isinstance(word, str):
        return Finish.BROKEN
    plain = re.sub(r"[-_\s]", "", word.partition(":")[0].rpartition(".")[2].lower())
    return _FINISHES.get(plain, Finish.BROKEN)
