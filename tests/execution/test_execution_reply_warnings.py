from __future__ import annotations

from structlog.testing import capture_logs

from judge.domain.verdict import Reply
from judge.execution.reply_warnings import WarnOnce


def test_each_kind_is_logged_once_for_a_judge() -> None:
    """A local server that answers with a file's path warns once, and not with every reply."""
    warnings = WarnOnce()
    with capture_logs() as events:
        for _ in range(3):
            warnings.note("j", "gpt-5", Reply("[[A]]", model="gpt-5-2026-01-01"))
            warnings.note("j", "gpt-5", Reply("[[A]]", model="/models/x.gguf", further_choices=1))
            warnings.note("j", "gpt-5", Reply("[[A]]"))

    assert [(event["event"], event["judge"], event["log_level"]) for event in events] == [
        ("model.differs", "j", "warning"),
        ("choices.dropped", "j", "warning"),
    ]
    assert events[0]["message"] == "asked for the model 'gpt-5', the endpoint answered with '/models/x.gguf'"
    assert events[1]["message"] == "the endpoint sent 2 choices for one; the first is used"
