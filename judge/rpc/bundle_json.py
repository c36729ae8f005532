"""Messages as canonical JSON, as in a bundle. Clients use this too, so it imports only the API."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message

from judge.api.v1.leaderboard_pb2 import Leaderboard
from judge.api.v1.ranking_service_pb2 import RankingOptions
from judge.api.v1.run_service_pb2 import Run
from judge.domain.errors import InvalidInput

M = TypeVar("M", bound=Message)


def plain(message: Message) -> dict[str, Any]:
    """Return *message* as a dict with the proto field names, without default values."""
    body: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return body


def row(body: dict[str, Any]) -> str:
    """Return *body* as one line."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"


def page(body: dict[str, Any]) -> str:
    """Return *body* as indented lines."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, indent=1) + "\n"


def leaderboard_json(leaderboard: Leaderboard) -> str:
    """Return a leaderboard as indented lines; equal leaderboards have equal bytes."""
    return page(plain(leaderboard))


def refusal(reason: str, message: str) -> str:
    """Return what replaces a leaderboard that could not be computed."""
    return page({"refused": {"reason": reason, "message": message}})


def seeds(run: Run, options: RankingOptions) -> dict[str, Any]:
    """Return the seeds of a *run*'s plan, of the ranking, and of the judges that use one."""
    judges = {
        judge.name.removeprefix("judges/"): judge.sampling.seed
        for judge in run.definitions
        if judge.sampling.HasField("seed")
    }
    return {"plan": run.pairing.seed, "ranking": options.seed, "judges": judges}


def body_of(line: bytes | str) -> dict[str, Any]:
    """Parse a line as a JSON object. Raises InvalidInput if it is something else."""
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise InvalidInput("row", "it is not a JSON object", reason="BUNDLE_DAMAGED")
    return body


def message_of(kind: type[M], body: dict[str, Any]) -> M:
    """Parse *body* as a message of *kind*. Raises InvalidInput if it is something else."""
    try:
        return ParseDict(body, kind())
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        error_text = str(error) or type(error).__name__
        raise InvalidInput(
            "row", f"it is not a {kind.DESCRIPTOR.name}: {error_text}", reason="BUNDLE_DAMAGED"
        ) from None
