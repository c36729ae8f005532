"""The tokens that a reply used, in every provider's words. What cannot be read never costs a reply its place.

| meaning | words |
| --- | --- |
| input | prompt_tokens, input_tokens, prompt_eval_count, promptTokenCount, inputTokens, prompt_n, tokens_evaluated |
| output | completion_tokens, output_tokens, eval_count, candidatesTokenCount, outputTokens, predicted_n |
| total | total_tokens, totalTokenCount, totalTokens |

What the total has beyond input and output is output too: some providers count reasoning separately.
A count that is negative, no whole number, or larger than a store can hold counts as missing, and so does a 0 where some
tokens must have been used. The input counts as missing, too, if a part of it cannot be: if more was read from a cache
and written to it than was sent, or if such a count cannot be read. A reply with a missing count is charged at the most
that its call can cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from judge.backends.stated_cost import cost_in_usage
from judge.domain.usage import Usage

_PLACES: Final = ("usage", "usageMetadata", "usage_metadata", "x_groq", "timings", "meta_info")
INPUT: Final = (
    *("prompt_tokens", "input_tokens", "prompt_eval_count", "promptTokenCount", "inputTokens", "inputTokenCount"),
    *("prompt_n", "tokens_evaluated"),
)
_BESIDE_CACHE: Final = frozenset({"input_tokens", "inputTokens"})
"""Words for input that exclude what was read from a cache or written to it, if that is counted at all."""
OUTPUT: Final = (
    *("completion_tokens", "output_tokens", "eval_count", "candidatesTokenCount", "outputTokens", "outputTokenCount"),
    *("predicted_n", "tokens_predicted"),
)
TOTAL: Final = ("total_tokens", "totalTokenCount", "totalTokens")
_REASONING: Final = ("reasoning_tokens",)
BESIDE_OUTPUT: Final = ("thoughtsTokenCount",)
_CACHED: Final = ("cached_tokens", "prompt_cache_hit_tokens", "cachedContentTokenCount")
_READ: Final = ("cache_read_input_tokens", "cacheReadInputTokens")
_WRITTEN: Final = ("cache_creation_input_tokens", "cacheWriteInputTokens")
_WRITTEN_PARTS: Final = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
_WRITTEN_DETAIL: Final = ("cache_write_tokens", "cache_creation_tokens")
_INPUT_DETAILS: Final = ("prompt_tokens_details", "input_tokens_details")
_OUTPUT_DETAILS: Final = ("completion_tokens_details", "output_tokens_details")
_MOST: Final = 2**31 - 1
"""The largest count that a store can hold."""


def read_usage(answer: Mapping[str, Any], elapsed_ms: int, *, has_text: bool, stated_micros: int = 0) -> Usage:
    """Return what an *answer* of any provider says that it used, in tokens, with *elapsed_ms* as its latency.

    *has_text* says whether the reply has a text, so that it cannot have used no output. `counted` is false if the
    provider did not count the input or the output; the counts that are missing are 0. *stated_micros* is what the
    answer's headers say that it costs; the usage has the largest cost that is stated anywhere.

    >>> read_usage({"usage": {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 135}}, 0, has_text=True)[:3]
    (100, 0, 35)
    >>> read_usage({}, 0, has_text=True).counted
    False
    """
    candidates = list(_candidates(answer))
    stated = max(stated_micros, *map(cost_in_usage, candidates))
    for counts in candidates:
        usage = _usage(counts, elapsed_ms, has_text=has_text)
        if usage is not None:
            return usage._replace(stated_micros=stated)
    return Usage(latency_ms=elapsed_ms, counted=False, stated_micros=stated)


def _candidates(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the places of *answer* that may have counts, the likeliest first."""
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, Sequence) and choices else None
    for holder in (answer, first):
        if not isinstance(holder, Mapping):
            continue
        for place in _PLACES:
            counts = holder.get(place)
            if isinstance(counts, Mapping):
                yield counts
                if isinstance(counts.get("usage"), Mapping):
                    yield counts["usage"]
    yield answer


def _usage(counts: Mapping[str, Any], elapsed_ms: int, *, has_text: bool) -> Usage | None:
    """Return the usage in *counts*, or None if they count nothing."""
    input_word, sent = _first(counts, INPUT)
    _, answered = _first(counts, OUTPUT)
    _, total = _first(counts, TOTAL)
    if sent is None and answered is None and total is None:
        return None
    written = read = 0
    if input_word in _BESIDE_CACHE and sent is not None:
        read, written = _first(counts, _READ)[1] or 0, _written(counts)
        sent = min(sent + read + written, _MOST)
    written = written or _detail(counts, _INPUT_DETAILS, _WRITTEN_DETAIL)
    output = _output(counts, sent, answered, total)
    if not sent and total is not None and answered is not None:
        sent = max(total - answered, 0)
    input_tokens = sent or 0
    cached = max(read, _first(counts, _CACHED)[1] or 0, _detail(counts, _INPUT_DETAILS, _CACHED))
    if not read and input_word not in _BESIDE_CACHE:
        cached, written = max(cached, _first(counts, _READ)[1] or 0), max(written, _written(counts))
    if cached + written > input_tokens or (input_word in _BESIDE_CACHE and _unreadable(counts, (*_READ, *_WRITTEN))):
        # Which of the counts is wrong is not known.
        input_tokens = cached = written = 0
    return Usage(
        input_tokens=input_tokens,
        cached_input_tokens=cached,
        output_tokens=output or 0,
        latency_ms=elapsed_ms,
        written_input_tokens=written,
        counted=bool(input_tokens) and output is not None and (output > 0 or not has_text),
    )


def _written(counts: Mapping[str, Any]) -> int:
    """Return the tokens of input that were written to a cache; if their parts are more, the sum of these."""
    parts = counts.get("cache_creation")
    by_lifetime = sum(_count(parts.get(word)) or 0 for word in _WRITTEN_PARTS) if isinstance(parts, Mapping) else 0
    return max(_first(counts, _WRITTEN)[1] or 0, by_lifetime)


def _output(counts: Mapping[str, Any], sent: int | None, answered: int | None, total: int | None) -> int | None:
    """Return the tokens of the output with the reasoning, or None if nothing says how many there are."""
    reasoning = max(_first(counts, _REASONING)[1] or 0, _detail(counts, _OUTPUT_DETAILS, _REASONING))
    beside = _first(counts, BESIDE_OUTPUT)[1] or 0
    if _unreadable(counts, BESIDE_OUTPUT):
        return None
    candidates = []
    if answered is not None:
        # Reasoning that is more than the whole completion cannot be a part of it.
        candidates.append(answered + beside + (reasoning if reasoning > answered else 0))
    if total is not None and sent:
        candidates.append(total - sent)
    return min(max(candidates), _MOST) if candidates and max(candidates) >= 0 else None


def _first(counts: Mapping[str, Any], words: Sequence[str]) -> tuple[str, int | None]:
    """Return the first of *words* that has a count, and the count."""
    for word in words:
        count = _count(counts.get(word))
        if count is not None:
            return word, count
    return "", None


def _unreadable(counts: Mapping[str, Any], words: Sequence[str]) -> bool:
    """Whether one of *words* has a value that is no count, so that tokens which are billed may be missing."""
    return any(counts.get(word) is not None and _count(counts[word]) is None for word in words)


def _detail(counts: Mapping[str, Any], places: Sequence[str], words: Sequence[str]) -> int:
    """Return a count in one of the *places* with details, or 0."""
    details = (counts.get(place) for place in places)
    return max((_first(each, words)[1] or 0 for each in details if isinstance(each, Mapping)), default=0)


def _count(value: object) -> int | None:
    """Return *value* as a count, or None if it is none."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value.strip()[:20])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        return None
    return value
