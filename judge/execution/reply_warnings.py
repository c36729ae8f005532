"""What a provider sends that is kept or left out without an error, but that its user should know of."""

from __future__ import annotations

from collections.abc import Iterator

from judge.domain.model_names import is_same_model
from judge.domain.verdict import Reply
from judge.log.events import logger

log = logger("calls")


def reply_warnings(model: str, reply: Reply) -> Iterator[tuple[str, str]]:
    """Yield the event and a sentence for each thing to know about a *reply* of the judge that asks for *model*.

    >>> [event for event, _ in reply_warnings("gpt-5", Reply("[[A]]", model="gpt-5-nano", further_choices=1))]
    ['model.differs', 'choices.dropped']
    """
    if model and reply.model and not is_same_model(model, reply.model):
        yield "model.differs", f"asked for the model {model!r}, the endpoint answered with {reply.model[:100]!r}"
    if reply.further_choices:
        yield "choices.dropped", f"the endpoint sent {reply.further_choices + 1} choices for one; the first is used"


class WarnOnce:
    """Logs each kind of warning about the replies of one judge once in a process."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def note(self, judge: str, model: str, reply: Reply) -> None:
        """Log what to know about a *reply* of *judge*, unless its kind was logged before."""
        for event, message in reply_warnings(model, reply):
            if event not in self._logged:
                self._logged.add(event)
                log.warning(event, judge=judge, message=message)
