"""The error classes, and when each is raised.

    JudgeError
    |-- InvalidInput            a request or a row is wrong; names the field
    |-- NotFound                the named resource does not exist
    |-- AlreadyExists           the name is taken
    |   `-- RequestIdReused     the request id was already used with different settings; names the run
    |-- Precondition            the request is valid, but not in the current state
    |   |-- Incomparable        the contestants cannot be ranked on one scale; names the groups
    |   |-- StoreHeld           another process executes runs on this store; names the process
    |   `-- PriceUnknown        a budget in money for a judge whose price is unknown
    |-- Unauthenticated         no token, or one that is wrong, expired or revoked
    |-- NotPermitted            the token does not permit this method; names the scope
    |-- Busy                    a bounded queue is full; the request may be retried
    |-- DeadlinePassed          the call exceeded its time limit
    |-- Draining                the server is stopping; the request may be retried
    |-- StoreFailed             the store could not write or read
    |   |-- StoreFull           the disk is full; the write may be retried when there is space
    |   `-- StoreAway           the database does not answer; the request may be retried
    `-- CallFailed              a judge gave no reply; gives the state of the presentation
        |-- TransportFailed     no reply, or 408, 409, 429, 5xx; the call may be retried
        |-- CallRejected        the provider refused this request (4xx)
        |-- PromptTooLong       the prompt does not fit the judge's context
        |-- ReplyTooLarge       the reply is larger than any verdict; it is not read to its end
        |-- NotRecorded         a recorded judge has no verdict on this presentation
        `-- JudgeUnusable       credential, model or endpoint is wrong, so no call of this judge can succeed

Each carries a *reason* in UPPER_SNAKE for programs and a sentence for people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge.domain.outcome import ItemState

if TYPE_CHECKING:
    from judge.domain.verdict import Usage


class JudgeError(Exception):
    """The root: a *reason* for programs, a sentence for people, and the *fields* that the error is about."""

    reason = "INTERNAL"

    def __init__(self, message: str, *, reason: str = "", **fields: str) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or type(self).reason
        self.fields = fields


NO_ANSWER = "the endpoint gave no answer: "
"""How the failure of a connection begins, before its cause."""
UNSTORABLE = "UNSTORABLE_VALUE"
"""The reason of an InvalidInput for a value that a database cannot keep."""


class InvalidInput(JudgeError):
    """Raised when a request or a row is wrong. *field* names the part that is."""

    reason = "INVALID"

    def __init__(self, field: str, message: str, *, reason: str = "") -> None:
        super().__init__(message, reason=reason, field=field)
        self.field = field


class NotFound(JudgeError):
    """Raised when the named resource does not exist."""

    reason = "NOT_FOUND"


class AlreadyExists(JudgeError):
    """Raised when the name is taken."""

    reason = "ALREADY_EXISTS"


class RequestIdReused(AlreadyExists):
    """Raised when a request id was already used for a run with different settings."""

    reason = "REQUEST_ID_REUSED"


class Precondition(JudgeError):
    """Raised when a request is valid, but not in the current state."""

    reason = "PRECONDITION"


class Incomparable(Precondition):
    """Raised when contestants cannot be ranked on one scale.

    Either no comparison connects some groups of them, or one of them won or lost every comparison.
    """

    reason = "NOT_COMPARABLE"

    def __init__(self, message: str, components: tuple[tuple[str, ...], ...] = ()) -> None:
        super().__init__(message, components="; ".join(", ".join(part) for part in components))
        self.components = components


class StoreHeld(Precondition):
    """Raised when another process executes runs on this store."""

    reason = "STORE_HELD"


class PriceUnknown(Precondition):
    """Raised when a budget in money includes a judge that has no price in the configuration."""

    reason = "PRICE_UNKNOWN"


class Unauthenticated(JudgeError):
    """Raised when a call has no access token, or one that is wrong, expired or revoked."""

    reason = "TOKEN_MISSING"


class NotPermitted(JudgeError):
    """Raised when the caller's access token does not permit the method."""

    reason = "SCOPE_MISSING"


class Busy(JudgeError):
    """Raised when a bounded queue is full. The same request may succeed later."""

    reason = "BUSY"


class DeadlinePassed(JudgeError):
    """Raised when a call exceeded its time limit, or a stream made no progress."""

    reason = "DEADLINE_PASSED"


class Draining(JudgeError):
    """Raised when the server is stopping. The same request may succeed on the next one."""

    reason = "DRAINING"


class StoreFailed(JudgeError):
    """Raised when the store could not write or read."""

    reason = "STORE_FAILED"


class StoreFull(StoreFailed):
    """Raised when the disk is full. The write changed nothing, and may succeed when there is space."""

    reason = "STORE_FULL"


class StoreAway(StoreFailed):
    """Raised when the database does not answer, or has a schema that this release does not know (SCHEMA_UNKNOWN).

    It is unknown whether a write was made. The write may be retried.
    """

    reason = "STORE_AWAY"


class CallFailed(JudgeError):
    """Raised when a judge gave no reply. *state* is the resulting state of the presentation.

    *maybe_paid* says that the request was sent and the provider may charge for it, *unsent* that it was not sent, so
    that it counts as no call. *usage* is what the provider says that the call used, if it says so.
    """

    reason = "CALL_FAILED"
    state = ItemState.FAILED

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        maybe_paid: bool = False,
        unsent: bool = False,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message, reason=reason)
        self.maybe_paid, self.unsent, self.usage = maybe_paid, unsent, usage


class TransportFailed(CallFailed):
    """Raised when there was no reply, or the status was 408, 409, 429 or 5xx. The call may be retried.

    *retry_after* is how many seconds the provider asked us to wait, if it did. *throttled* says that the provider
    reported too many requests, so the account must slow down; *daily* that a daily quota is used up.
    """

    reason = "TRANSPORT_ERROR"
    state = ItemState.TRANSPORT_ERROR

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        maybe_paid: bool = False,
        unsent: bool = False,
        throttled: bool = False,
        daily: bool = False,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message, maybe_paid=maybe_paid, unsent=unsent, usage=usage)
        self.retry_after, self.throttled, self.daily = retry_after, throttled, daily


class CallRejected(CallFailed):
    """Raised when the provider refused this request (4xx). A retry would not help."""

    reason = "CALL_REJECTED"
    state = ItemState.REJECTED


class PromptTooLong(CallFailed):
    """Raised when the prompt does not fit the judge's context."""

    reason = "PROMPT_TOO_LONG"
    state = ItemState.TOO_LONG


class ReplyTooLarge(CallFailed):
    """Raised when a reply is larger than any verdict. It is not read to its end, and may have to be paid."""

    reason = "REPLY_TOO_LARGE"
    state = ItemState.REPLY_TOO_LARGE

    def __init__(self, message: str) -> None:
        super().__init__(message, maybe_paid=True)


class NotRecorded(CallFailed):
    """Raised when a recorded judge has no verdict on this presentation."""

    reason = "NOT_RECORDED"
    state = ItemState.NOT_RECORDED


class JudgeUnusable(CallFailed):
    """Raised when credential, model or endpoint is wrong. No call of this judge can succeed until that is corrected."""

    reason = "JUDGE_UNUSABLE"
