"""The contents of a bundle, decoded from its members into domain objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TypeVar

from google.protobuf.message import Message

from judge.api.v1.dataset_service_pb2 import Label as LabelMessage
from judge.api.v1.dataset_service_pb2 import ListedComparison as ListedMessage
from judge.api.v1.dataset_service_pb2 import Output as OutputMessage
from judge.api.v1.dataset_service_pb2 import Prompt as PromptMessage
from judge.api.v1.ranking_service_pb2 import GetLeaderboardRequest
from judge.api.v1.run_service_pb2 import PlannedPresentation, PlannedRound
from judge.api.v1.run_service_pb2 import Run as RunMessage
from judge.api.v1.verdict_pb2 import Verdict as VerdictMessage
from judge.bundles.archive import ANSWERS, MANIFEST, PLAN, ROUNDS, Bundle, damaged
from judge.bundles.plan_checks import Planning, read_again
from judge.domain.dataset import Label
from judge.domain.errors import InvalidInput, JudgeError
from judge.domain.run import PairPolicy, Run
from judge.domain.verdict import Verdict
from judge.planning.named_plan import PlanEntry, index_of, prompts_of
from judge.planning.rounds import Rounds
from judge.ports.dataset_index import PromptIndex
from judge.rpc import bundle_json as spelling
from judge.rpc import decode
from judge.rpc import decode_bundle as restore

A = TypeVar("A")
M = TypeVar("M", bound=Message)
T = TypeVar("T")
_JSON_KINDS = {bool: "true or false", dict: "an object", list: "an array", str: "a string"}


class Contents:
    """The contents of a *bundle*, each decoded at its first use. Raises InvalidInput with the member that is wrong."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    @cached_property
    def run_message(self) -> RunMessage:
        """The run as a message."""
        return self._of_manifest("run", partial(spelling.message_of, RunMessage), self._manifest_value(dict, "run"))

    @cached_property
    def run(self) -> Run:
        """The run."""
        return self._of_manifest("run", restore.run, self.run_message)

    @cached_property
    def plan(self) -> Sequence[PlanEntry]:
        """The presentations of the plan, in order."""
        return self._rows(PLAN, PlannedPresentation, restore.plan_entry)

    @cached_property
    def round_messages(self) -> Sequence[PlannedRound]:
        """The rounds of an adaptive run as messages. Other runs have none."""
        if self.run.spec.pairing.policy is not PairPolicy.ADAPTIVE:
            return ()
        return self._rows(ROUNDS, PlannedRound, lambda message: message)

    @cached_property
    def rounds(self) -> Rounds | None:
        """The plan of an adaptive run, restored from its rounds. None for other runs."""
        run = self.run
        if run.spec.pairing.policy is not PairPolicy.ADAPTIVE:
            return None
        messages, index = self.round_messages, self.planning.index
        try:
            rounds = Rounds(index, run.spec.pairing, len(run.judges))
        except JudgeError as error:
            raise damaged(PLAN, f"it cannot be rebuilt: {error.message}") from None
        for number, message in enumerate(messages, 1):
            _decode_line(ROUNDS, number, rounds.restore, message.row)
        return rounds

    @cached_property
    def answer_messages(self) -> Sequence[VerdictMessage]:
        """The verdicts as messages, with what was parsed from their replies when the bundle was made."""
        return self._rows(ANSWERS, VerdictMessage, lambda message: message)

    @cached_property
    def answers(self) -> Sequence[Verdict]:
        """The verdicts, with what this release parses from their replies."""
        return [
            _decode_line(ANSWERS, number, _decode_verdict, message)
            for number, message in enumerate(self.answer_messages, 1)
        ]

    @cached_property
    def planning(self) -> Planning:
        """The data from which the plan was made."""
        prompts = self._rows(self._part("planned", "prompts"), PromptMessage, decode.prompt)
        outputs = self._rows(self._part("planned", "outputs"), OutputMessage, decode.output)
        listed = (
            self._rows(self._part("planned", "comparisons"), ListedMessage, decode.listed)
            if self._has("planned", "comparisons")
            else []
        )
        return Planning(index_of(self.run.dataset_revision, prompts, outputs), self.labels("planned"), listed)

    @cached_property
    def ranked_prompts(self) -> PromptIndex:
        """The prompts with the categories and tags that they had when the run was ranked."""
        return prompts_of(self._rows(self._part("ranked", "prompts"), PromptMessage, decode.prompt))

    @cached_property
    def turns(self) -> Mapping[tuple[str, str, int], Sequence[str]]:
        """The turns of the outputs when the run was ranked, by prompt, contestant and sample."""
        rows = self._rows(self._part("ranked", "outputs"), OutputMessage, decode.output)
        return {(output.prompt_id, output.contestant, output.sample): output.texts for output in rows}

    def labels(self, when: str) -> Sequence[Label]:
        """Return the labels at the time *when* the run was `planned` or `ranked`. Empty if no labels were needed."""
        return self._rows(self._part(when, "labels"), LabelMessage, decode.label) if self._has(when, "labels") else ()

    def requests(self) -> Sequence[tuple[str, GetLeaderboardRequest]]:
        """Return each member that holds a leaderboard, with the request that the leaderboard answers."""
        requests = []
        for entry in self._manifest_value(list, "leaderboards"):
            if not isinstance(entry, dict) or not {"member", "request"} <= entry.keys():
                raise damaged(MANIFEST, "an entry of leaderboards has no member or no request")
            message = self._of_manifest(
                "leaderboards", partial(spelling.message_of, GetLeaderboardRequest), entry["request"]
            )
            requests.append((str(entry["member"]), message))
        return requests

    def hashes(self) -> Sequence[tuple[str, str, object]]:
        """Return the parts of the dataset that have a member: the part, its member, and the SHA-256 of its rows."""
        return [
            (f"dataset.{when}.{part}", str(entry["member"]), entry.get("sha256"))
            for when in ("planned", "ranked")
            for part, entry in sorted(self._manifest_value(dict, "dataset", when).items())
            if isinstance(entry, dict) and "member" in entry
        ]

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions of the software that computed the leaderboards."""
        return self._manifest_value(dict, "versions")

    @property
    def texts(self) -> bool:
        """Whether the bundle has the texts of prompts and outputs."""
        return self._manifest_value(bool, "dataset", "texts")

    def _manifest_value(self, kind: type[T], *path: str) -> T:
        """Return the value at *path* in the manifest. Raises InvalidInput unless it is of this *kind*."""
        value: object = self._bundle.manifest
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if not isinstance(value, kind):
            raise damaged(MANIFEST, f"{'.'.join(path)} must be {_JSON_KINDS[kind]}")
        return value

    def _part(self, when: str, part: str) -> str:
        return self._manifest_value(str, "dataset", when, part, "member")

    def _has(self, when: str, part: str) -> bool:
        return "member" in self._manifest_value(dict, "dataset", when, part)

    def _of_manifest(self, field: str, decode_body: Callable[[A], T], body: A) -> T:
        try:
            return decode_body(body)
        except InvalidInput as error:
            raise damaged(MANIFEST, f"{field}: {error.message}") from None

    def _rows(self, member: str, kind: type[M], decode_message: Callable[[M], T]) -> list[T]:
        def row(line: bytes) -> T:
            body = spelling.body_of(line)
            # Labels also have their source, which is not a field of the message.
            body.pop("source", None)
            return decode_message(spelling.message_of(kind, body))

        return [_decode_line(member, number, row, line) for number, line in enumerate(self._bundle.lines(member), 1)]


def _decode_verdict(message: VerdictMessage) -> Verdict:
    return read_again(restore.verdict(message))


def _decode_line(member: str, number: int, decode_line: Callable[[A], T], line: A) -> T:
    """Decode a line of a member. Raises InvalidInput with the number of the line if it is wrong."""
    try:
        return decode_line(line)
    except InvalidInput as error:
        raise damaged(member, f"line {number}: {error.message}") from None
