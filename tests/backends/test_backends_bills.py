"""A bill in an answer that is no reply is read by every backend with a provider, whatever the status."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from aiohttp import web

from judge.domain.errors import CallFailed, CallRejected, JudgeUnusable, TransportFailed
from support.example_prompts import prompt
from support.provider_replies import MAKE, USED, answered

HEADER = "x-litellm-response-cost"
FILTERED = {"error": {"message": "content filtered", "code": "content_filter"}}
STATUSES: Mapping[int, type[CallFailed]] = {
    302: JudgeUnusable,
    400: CallRejected,
    403: JudgeUnusable,
    429: TransportFailed,
    500: TransportFailed,
}


@pytest.fixture(params=MAKE)
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def failure_of(vendor: str, body: object, status: int, *, stated: str = "") -> CallFailed:
    """Return the error for an answer with *body* and *status*, whose header states a cost in USD if it is *stated*."""

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(text=text, status=status, headers={HEADER: stated} if stated else {})

    async with answered(vendor, handler) as backend:
        with pytest.raises(CallFailed) as caught:
            await backend.reply(prompt())
    return caught.value


@pytest.mark.parametrize("status", STATUSES)
async def test_the_bill_in_an_error_body_is_read(vendor: str, status: int) -> None:
    """Its tokens and the cost that it states are those of the call that failed."""
    body = {"error": {"message": "no"}, "usage": {**USED, "cost": 0.5}}

    error = await failure_of(vendor, body, status)

    assert type(error) is STATUSES[status]
    assert error.usage is not None
    assert (error.usage.input_tokens, error.usage.output_tokens, error.usage.stated_micros) == (100, 7, 500_000)


@pytest.mark.parametrize("body", [FILTERED, [FILTERED], "<html>Bad Gateway</html>", "", "[", "null"])
@pytest.mark.parametrize("status", [200, *STATUSES])
async def test_the_bill_in_the_header_of_an_error_is_read(vendor: str, body: object, status: int) -> None:
    """Even if the body has no usage, or is not JSON."""
    error = await failure_of(vendor, body, status, stated="0.25")

    assert error.usage is not None
    assert (error.usage.stated_micros, error.usage.counted) == (250_000, False)


async def test_the_larger_of_two_bills_counts(vendor: str) -> None:
    """A header and the body of one error may state different costs."""
    errors = [
        await failure_of(vendor, {**FILTERED, "usage": {**USED, "cost": 0.5}}, 400, stated=stated)
        for stated in ("0.25", "0.75")
    ]

    assert [error.usage.stated_micros for error in errors if error.usage] == [500_000, 750_000]


@pytest.mark.parametrize("stated", ["", "0.0", "-1", "much"])
@pytest.mark.parametrize("status", STATUSES)
async def test_an_error_without_a_bill_costs_nothing(vendor: str, status: int, stated: str) -> None:
    """An amount that is none is no bill, and neither is a count of no tokens."""
    body = {**FILTERED, "usage": {"prompt_tokens": 0, "completion_tokens": 0}}

    error = await failure_of(vendor, body, status, stated=stated)

    assert (error.usage, error.maybe_paid) == (None, False)
