"""What a bundle holds, from its members to the nouns."""

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


class Contents:
    """What stands in a *bundle*, decoded when it is asked for. Raises InvalidInput naming the member that is wrong."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    @cached_property
    def run_message(self) -> RunMessage:
        """The run as the wire has it."""
        return self._of_manifest("run", partial(spelling.message_of, RunMessage), self._said(dict, "run"))

    @cached_property
    def run(self) -> Run:
        """The run."""
        return self._of_manifest("run", restore.run, self.run_message)

    @cached_property
    def plan(self) -> Sequence[PlanEntry]:
        """The plan's showings."""
        return self._rows(PLAN, PlannedPresentation, restore.plan_entry)

    @cached_property
    def round_messages(self) -> Sequence[PlannedRound]:
        """The rounds of an adaptive run, as the wire has them; of another one, none."""
        if self.run.spec.pairing.policy is not PairPolicy.ADAPTIVE:
            return ()
        return self._rows(ROUNDS, PlannedRound, lambda message: message)

    @cached_property
    def rounds(self) -> Rounds | None:
        """The plan of an adaptive run, as its rows have it."""
        run = self.run
        if run.spec.pairing.policy is not PairPolicy.ADAPTIVE:
            return None
        messages, index = self.round_messages, self.planning.index
        try:
            found = Rounds(index, run.spec.pairing, len(run.judges))
        except JudgeError as error:
            raise damaged(PLAN, f"it cannot be rebuilt: {error.message}") from None
        for number, message in enumerate(messages, 1):
            _named(ROUNDS, number, found.restore, message.row)
        return found

    @cached_property
    def answer_messages(self) -> Sequence[VerdictMessage]:
        """The answers with their readings, as the wire has them."""
        return self._rows(ANSWERS, VerdictMessage, lambda message: message)

    @cached_property
    def answers(self) -> Sequence[Verdict]:
        """The answers with the readings that are made of them now."""
        return [_named(ANSWERS, number, _read, message) for number, message in enumerate(self.answer_messages, 1)]

    @cached_property
    def planning(self) -> Planning:
        """What the plan was made from."""
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
        """The prompts as they were ranked, with their categories and tags."""
        return prompts_of(self._rows(self._part("ranked", "prompts"), PromptMessage, decode.prompt))

    @cached_property
    def turns(self) -> Mapping[tuple[str, str, int], Sequence[str]]:
        """The outputs as they were ranked: their turns by prompt, contestant and sample."""
        rows = self._rows(self._part("ranked", "outputs"), OutputMessage, decode.output)
        return {(output.prompt_id, output.contestant, output.sample): output.turns for output in rows}

    def labels(self, when: str) -> Sequence[Label]:
        """The labels as they were when the run was `planned` or `ranked`; none where none were needed."""
        return self._rows(self._part(when, "labels"), LabelMessage, decode.label) if self._has(when, "labels") else ()

    def requests(self) -> Sequence[tuple[str, GetLeaderboardRequest]]:
        """The members that hold leaderboards, each with what was asked for."""
        found = []
        for one in self._said(list, "leaderboards"):
            if not isinstance(one, dict) or not {"member", "request"} <= one.keys():
                raise damaged(MANIFEST, "a leaderboard has no member or no request")
            message = self._of_manifest(
                "leaderboards", partial(spelling.message_of, GetLeaderboardRequest), one["request"]
            )
            found.append((str(one["member"]), message))
        return found

    def hashes(self) -> Sequence[tuple[str, str, object]]:
        """Each part of the dataset that a member has: which part, which member, and the SHA-256 of its rows."""
        return [
            (f"dataset.{when}.{part}", str(told["member"]), told.get("sha256"))
            for when in ("planned", "ranked")
            for part, told in sorted(self._said(dict, "dataset", when).items())
            if isinstance(told, dict) and "member" in told
        ]

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions of what computed the leaderboards."""
        return self._said(dict, "versions")

    @property
    def texts(self) -> bool:
        """Whether prompts and outputs have their texts."""
        return self._said(bool, "dataset", "texts")

    def _said(self, kind: type[T], *path: str) -> T:
        """What the manifest says at *path*; InvalidInput if that is nothing of this *kind*."""
        found: object = self._bundle.manifest
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if not isinstance(found, kind):
            raise damaged(MANIFEST, f"{'.'.join(path)} is no {kind.__name__}")
        return found

    def _part(self, when: str, part: str) -> str:
        return self._said(str, "dataset", when, part, "member")

    def _has(self, when: str, part: str) -> bool:
        return "member" in self._said(dict, "dataset", when, part)

    def _of_manifest(self, what: str, made: Callable[[A], T], body: A) -> T:
        try:
            return made(body)
        except InvalidInput as error:
            raise damaged(MANIFEST, f"{what}: {error.message}") from None

    def _rows(self, member: str, kind: type[M], made: Callable[[M], T]) -> list[T]:
        def row(line: bytes) -> T:
            body = spelling.body_of(line)
            # Of a label: where it comes from, which is no part of the message.
            body.pop("source", None)
            return made(spelling.message_of(kind, body))

        return [_named(member, number, row, line) for number, line in enumerate(self._bundle.lines(member), 1)]


def _read(message: VerdictMessage) -> Verdict:
    return read_again(restore.verdict(message))


def _named(member: str, number: int, made: Callable[[A], T], line: A) -> T:
    """What is *made* of a line; what is wrong with it is told by its place."""
    try:
        return made(line)
    except InvalidInput as error:
        raise damaged(member, f"line {number}: {error.message}") from None
