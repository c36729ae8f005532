"""Thinking in a reply: a model's reasoning before its answer, which is not part of the answer.

    reply    = { thinking } answer [ end ]
    thinking = OPEN ... CLOSE             at the beginning of what is left of the reply, or within it
             | ... CLOSE                  if the model's own prompt has opened the tag, as some chat templates do
    end      = a token that ends a turn, if a server lets it through

A tag that is opened and never closed leaves no answer. A reply that begins like JSON has no thinking whose tag was
opened in the prompt, so that a tag which a critique quotes changes nothing.
"""

from __future__ import annotations

import re
from typing import Final

_TAGS: Final = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("<seed:think>", "</seed:think>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel>thought", "<channel|>"),
    ("[think]", "[/think]"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    ("<|start|>assistant<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    ("analysis", "assistantfinal"),
)
"""The opening and closing tags of thinking, in lower case; case does not matter."""
_OPENED_IN_PROMPT: Final = (*(close for _, close in _TAGS[:6]), "[/think]")
"""Closing tags that may come without an opening one."""
_ENDS: Final = re.compile(
    r"(?:\s*(?:<\|(?:im_end|end|eot_id|endoftext|return|end_of_text|eot|assistant)\|>|</s>|<end_of_turn>|<eos>))+\s*\Z",
    re.ASCII,
)
_JSON_STARTS: Final = ("{", "[{", "```")


def without_thinking(raw: str) -> str:
    """Return the answer in the reply *raw*, without thinking and without white space at its ends.

    >>> without_thinking("<think>A or B?</think> It is A. [[A]]")
    'It is A. [[A]]'
    >>> without_thinking("<think>It must be [[A]]")
    ''
    >>> without_thinking("[[B]] <think>Wait, no.</think> [[A]]")
    '[[B]]  [[A]]'
    """
    answer = raw.strip().lstrip("\ufeff").lstrip()
    while True:
        rest = _after_thinking(answer)
        if rest is None:
            return _ENDS.sub("", answer)
        answer = rest.lstrip()


def _after_thinking(text: str) -> str | None:
    """Return what follows the thinking with which *text* begins, or None if it does not begin with any."""
    # The first characters decide, and a long text is not copied: str.lower may change its length.
    for opening, closing in _TAGS:
        if text[: len(opening)].lower() != opening:
            continue
        end = _find(text, closing, len(opening))
        if end < 0 and opening == "analysis":
            continue
        return "" if end < 0 else text[end + len(closing) :]
    if text.startswith(_JSON_STARTS):
        return None
    ends = [(_find(text, closing, 0), closing) for closing in _OPENED_IN_PROMPT]
    end, closing = min(((at, closing) for at, closing in ends if at >= 0), default=(-1, ""))
    if end < 0:
        return None
    opening = next(opening for opening, each in _TAGS if each == closing)
    rest = text[end + len(closing) :]
    # What comes before the model began to think again is part of the answer, if it then goes on.
    begun = [match.start() for match in re.finditer(re.escape(opening), text[:end], re.IGNORECASE | re.ASCII)]
    return text[: max(begun, default=0)] + rest if rest.strip() else ""


def _find(text: str, tag: str, start: int) -> int:
    """Return where *tag* begins in *text*, in any case, or -1."""
    match = re.compile(re.escape(tag), re.IGNORECASE | re.ASCII).search(text, start)
    return match.start() if match else -1
