"""The tree of errors, and when each is raised.

    JudgeError
    |-- InvalidInput            a request or a row is wrong; names the field
    |-- NotFound                what was named does not exist
    |-- AlreadyExists           the name is taken
    |   `-- RequestIdReused     the request id belongs to a run with another body; names the run
    |-- Precondition            the request is right, but not in this state of things
    |   |-- Incomparable        contestants cannot be ranked on one scale; names the parts
    |   |-- StoreHeld           another process executes runs on this store; names it
    |   `-- PriceUnknown        a budget in money with a judge whose price is unknown
    |-- Busy                    a bounded queue is full; try again
    |-- DeadlinePassed          the call took longer than such a call may
    |-- Draining                the server is stopping; try again
    |-- StoreFailed             the store could not keep or read something
    |   |-- StoreFull           there is no room for a write; there may be later
    |   `-- StoreAway           the database does not answer; it may later
    `-- CallFailed              a judge gave no reply; says what becomes of the showing
        |-- TransportFailed     no reply, or 408, 409, 429, 5xx: may be tried again
        |-- CallRejected        the provider refused this request (4xx)
        |-- PromptTooLong       the prompt does not fit the judge's context
        |-- NotRecorded         a recorded judge has no verdict on this showing
        `-- JudgeUnusable       credential, model or endpoint is wrong: no call of this judge can succeed

Each carries a *reason* in UPPER_SNAKE, which is what programs read, and a sentence, which is what people read.
"""

from __future__ import annotations

from judge.domain.outcome import ItemState


class JudgeError(Exception):
    """The root: a *reason* for programs, a sentence for people, the *fields* it is about."""

    reason = "INTERNAL"

    def __init__(self, message: str, *, reason: str = "", **fields: str) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or type(self).reason
        self.fields = fields


class InvalidInput(JudgeError):
    """A request or a row is wrong; *field* says where."""

    reason = "INVALID"

    def __init__(self, field: str, message: str, *, reason: str = "") -> None:
        super().__init__(message, reason=reason, field=field)
        self.field = field


class NotFound(JudgeError):
    """What was named does not exist."""

    reason = "NOT_FOUND"


class AlreadyExists(JudgeError):
    """The name is taken."""

    reason = "ALREADY_EXISTS"


class RequestIdReused(AlreadyExists):
    """The request id belongs to a run with another body."""

    reason = "REQUEST_ID_REUSED"


class Precondition(JudgeError):
    """The request is right, but not in this state of things."""

    reason = "PRECONDITION"


class Incomparable(Precondition):
    """Contestants cannot be ranked on one scale: the board falls apart, or someone won or lost everything."""

    reason = "NOT_COMPARABLE"

    def __init__(self, message: str, components: tuple[tuple[str, ...], ...] = ()) -> None:
        super().__init__(message, components="; ".join(", ".join(part) for part in components))
        self.components = components


class StoreHeld(Precondition):
    """Another process executes runs on this store."""

    reason = "STORE_HELD"


class PriceUnknown(Precondition):
    """A budget in money with a judge whose price the config does not say."""

    reason = "PRICE_UNKNOWN"


class Busy(JudgeError):
    """A bounded queue is full; the same request may succeed later."""

    reason = "BUSY"


class DeadlinePassed(JudgeError):
    """The call took longer than such a call may, or a stream made no progress."""

    reason = "DEADLINE_PASSED"


class Draining(JudgeError):
    """The server is stopping; the same request may succeed at the next one."""

    reason = "DRAINING"


class StoreFailed(JudgeError):
    """The store could not keep or read something."""

    reason = "STORE_FAILED"


class StoreFull(StoreFailed):
    """There is no room for a write, and it changed nothing; there may be room later."""

    reason = "STORE_FULL"


class StoreAway(StoreFailed):
    """The database does not answer, or has a schema that this release does not know: SCHEMA_UNKNOWN.

    Whether a write was made is not known; it may be tried again.
    """

    reason = "STORE_AWAY"


class CallFailed(JudgeError):
    """A judge gave no reply; *state* is what becomes of the showing."""

    reason = "CALL_FAILED"
    state = ItemState.FAILED


class TransportFailed(CallFailed):
    """No reply, or 408, 409, 429, 5xx. May be tried again, after *retry_after* seconds if the provider said so.

    *maybe_paid*: the request was sent and no answer heard, so that the provider may have worked and charge for it.
    *throttled*: the provider said that it is asked too often, so that the account is to slow down.
    """

    reason = "TRANSPORT_ERROR"
    state = ItemState.TRANSPORT_ERROR

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        maybe_paid: bool = False,
        throttled: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after, self.maybe_paid, self.throttled = retry_after, maybe_paid, throttled


class CallRejected(CallFailed):
    """The provider refused this request (4xx); asking again would not help."""

    reason = "CALL_REJECTED"
    state = ItemState.REJECTED


class PromptTooLong(CallFailed):
    """The prompt does not fit the judge's context."""

    reason = "PROMPT_TOO_LONG"
    state = ItemState.TOO_LONG


class NotRecorded(CallFailed):
    """A recorded judge has no verdict on this showing."""

    reason = "NOT_RECORDED"
    state = ItemState.NOT_RECORDED


class JudgeUnusable(CallFailed):
    """Credential, model or endpoint is wrong: no call of this judge can succeed until the config is mended."""

    reason = "JUDGE_UNUSABLE"
