"""Messages as JSON, each in one spelling only, as a bundle's members hold them. It needs nothing but the messages."""

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
    """*message* under its fields' own names, without those that say nothing."""
    body: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return body


def row(body: dict[str, Any]) -> str:
    """*body* as a line."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"


def page(body: dict[str, Any]) -> str:
    """*body* as lines for people."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, indent=1) + "\n"


def leaderboard_json(leaderboard: Leaderboard) -> str:
    """A leaderboard as lines for people: what is the same has the same bytes."""
    return page(plain(leaderboard))


def refusal(reason: str, message: str) -> str:
    """What stands in place of a leaderboard that there is not."""
    return page({"refused": {"reason": reason, "message": message}})


def seeds(run: Run, options: RankingOptions) -> dict[str, Any]:
    """The seeds of a *run*'s plan, of a ranking's draws, and of the judges that take one."""
    judges = {
        one.name.removeprefix("judges/"): one.sampling.seed for one in run.definitions if one.sampling.HasField("seed")
    }
    return {"plan": run.pairing.seed, "ranking": options.seed, "judges": judges}


def body_of(line: bytes | str) -> dict[str, Any]:
    """The object that a line holds; InvalidInput if it holds none."""
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise InvalidInput("row", "it is not a JSON object", reason="BUNDLE_DAMAGED")
    return body


def message_of(kind: type[M], body: dict[str, Any]) -> M:
    """The message that *body* spells; InvalidInput if it spells none."""
    try:
        return ParseDict(body, kind())
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        told = str(error) or type(error).__name__
        raise InvalidInput("row", f"it is no {kind.DESCRIPTOR.name}: {told}", reason="BUNDLE_DAMAGED") from None
