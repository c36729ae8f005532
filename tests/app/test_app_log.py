"""What the log leaves out."""

from __future__ import annotations

from stamina.instrumentation import get_on_retry_hooks, set_on_retry_hooks

from judge.log.events import configure


def test_retries_are_not_logged_one_by_one() -> None:
    """A run that waits says why, so lines about each retry would only hide that."""
    try:
        configure("warning")
        hooks = get_on_retry_hooks()
    finally:
        set_on_retry_hooks(None)

    assert hooks == ()
