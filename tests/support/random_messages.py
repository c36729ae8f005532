"""Random prompts and outputs whose turns are messages, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from judge.domain.dataset import Output, Prompt
from judge.domain.messages import (
    MEDIA_TYPES,
    ChatMessage,
    ChatTurn,
    Document,
    Image,
    Part,
    Role,
    TextPart,
    ToolCall,
    ToolResult,
)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
_texts = st.builds(TextPart, texts)
_calls = st.builds(ToolCall, name=texts, arguments=texts, call_id=texts)
_results = st.builds(ToolResult, text=texts, call_id=texts, name=texts)
_images = st.builds(Image, data=st.binary(min_size=1, max_size=20), media_type=st.sampled_from(MEDIA_TYPES))
_anywhere: st.SearchStrategy[Part] = st.one_of(
    _texts, _images, st.builds(Document, text=texts, title=texts, source=texts)
)


def _message(role: Role) -> st.SearchStrategy[ChatMessage]:
    further: st.SearchStrategy[Part] = {Role.ASSISTANT: _calls, Role.TOOL: _results}.get(role, _texts)  # type: ignore[assignment]  # mypy joins to object
    parts = st.lists(st.one_of(_anywhere, further), min_size=1, max_size=4)
    if role is Role.TOOL:
        parts = st.tuples(parts, _results).map(lambda both: [*both[0], both[1]])
    return parts.map(lambda listed: ChatMessage(role, tuple(listed)))


chat_turns = st.lists(st.one_of([_message(role) for role in Role]), min_size=1, max_size=4).map(
    lambda messages: ChatTurn(tuple(messages))
)
_turns = st.lists(st.one_of(texts, chat_turns), min_size=1, max_size=3).map(tuple)
prompts = st.builds(Prompt, prompt_id=st.just("p"), turns=_turns)
outputs = st.builds(Output, prompt_id=st.just("p"), contestant=st.just("m"), turns=_turns)
