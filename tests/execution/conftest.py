"""Fixtures of the tests of execution."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina

from judge.execution.cost import ATTEMPTS


@pytest.fixture
def quick_retries() -> Iterator[None]:
    """Retries follow at once, and there are as many as in production."""
    stamina.set_testing(True, attempts=ATTEMPTS)
    yield
    stamina.set_testing(False)
