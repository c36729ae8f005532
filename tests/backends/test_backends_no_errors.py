"""A reply beside a field that says that nothing failed is a reply, and one beside an error is none."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from judge.domain.errors import CallFailed
from support.provider_replies import MAKE, body_of, reply_to

NOTHING_FAILED: tuple[Mapping[str, object], ...] = (
    {"code": 0, "msg": "ok"},
    {"code": 200},
    {"code": "200", "message": "success"},
    {"status": 200, "message": "OK"},
    {"success": True, "message": "done"},
    {"success": True, "errors": [], "messages": []},
    {"error": None},
    {"error": False},
    {"error": ""},
    {"error": {}},
    {"error": []},
    {"error": 0},
    {"error": "none"},
    {"error": "Success."},
    {"error": "No error"},
    {"error": {"code": 0, "message": "success"}},
    {"error": {"code": "0", "message": ""}},
    {"error": {"code": 200, "message": "OK", "type": "none"}},
    {"error": {"code": "success", "message": "请求成功"}},
    {"error": {"code": 0, "message": "the operation was carried out"}},
    {"error": {"message": None, "type": None, "param": None, "code": None}, "message": "finished"},
    {"errors": []},
    {"errors": [{}]},
    {"errors": ["Warning: max_tokens is deprecated"]},
    {"errors": [{"level": "warning", "message": "seed is ignored"}]},
    {"error": {"type": "warning", "message": "the request limit is near"}},
    {"base_resp": {"status_code": 0, "status_msg": "success"}},
    {"error_code": 0, "error_msg": ""},
)
FAILED: tuple[Mapping[str, object], ...] = (
    {"error": True},
    {"error": "upstream died"},
    {"error": {"code": 0, "type": "server_error", "message": "upstream died"}},
    {"error": {"code": 500, "message": "success"}},
    {"error": {"message": "upstream died"}},
    {"error": {"code": 0, "error": {"code": 502, "message": "upstream died"}}},
    {"errors": ["upstream died"]},
    {"errors": ["Warning: slow", "upstream died"]},
    {"success": False, "error": {"code": 0, "message": "success"}},
    {"code": 429, "message": "too many requests"},
    {"status": 503},
    {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
)


@pytest.mark.parametrize("vendor", MAKE)
@pytest.mark.parametrize("fields", NOTHING_FAILED, ids=str)
async def test_what_says_that_nothing_failed_is_no_error(vendor: str, fields: Mapping[str, object]) -> None:
    """Gateways add their own fields to a reply."""
    assert (await reply_to(vendor, body_of(vendor, "[[A]]", **fields))).raw == "[[A]]"


@pytest.mark.parametrize("vendor", MAKE)
@pytest.mark.parametrize("fields", FAILED, ids=str)
async def test_a_reply_beside_an_error_is_none(vendor: str, fields: Mapping[str, object]) -> None:
    """What a gateway has received of a reply before its provider failed is no verdict."""
    with pytest.raises(CallFailed):
        await reply_to(vendor, body_of(vendor, "[[A]]", **fields))


@pytest.mark.parametrize("vendor", [vendor for vendor in MAKE if vendor != "anthropic"])
@pytest.mark.parametrize("error", [None, {}, "", False, {"code": 0, "message": "success"}, {"code": None}])
async def test_a_choice_without_an_error_is_a_reply(vendor: str, error: object) -> None:
    """The same holds for the error of a choice."""
    body = body_of(vendor, "[[A]]")
    body["choices"][0]["error"] = error

    assert (await reply_to(vendor, body)).raw == "[[A]]"
