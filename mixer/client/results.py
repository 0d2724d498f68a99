"""What a client answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

from google.protobuf.duration_pb2 import Duration

from mixer.wire import mixer_v1_pb2 as pb

OK = 0
"""Codes are those of gRPC, as numbers: an answer's are not only those that gRPC knows."""
CANCELLED = 1
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
RESOURCE_EXHAUSTED = 8
ABORTED = 10
INTERNAL = 13
UNAVAILABLE = 14


MOST_AMOUNT = (1 << 63) - 1
"""That can be asked of a quota."""


class HeaderAction(IntEnum):
    """What is done to a header."""

    REPLACE = 0
    REMOVE = 1
    APPEND = 2


@dataclass(frozen=True, slots=True)
class HeaderOperation:
    """A change of one header.

    Attributes:
        name: Of the header.
        value: What to replace it with, or to append.
        action: Which of them.
    """

    name: str
    value: str
    action: HeaderAction


@dataclass(frozen=True, slots=True)
class RouteDirective:
    """What the caller is to do to the request and its response.

    Attributes:
        request_operations: On the request's headers, in their order.
        response_operations: On the response's.
        direct_response_code: The HTTP status to answer instead of the upstream, or 0.
        direct_response_body: And the body.
    """

    request_operations: tuple[HeaderOperation, ...] = ()
    response_operations: tuple[HeaderOperation, ...] = ()
    direct_response_code: int = 0
    direct_response_body: str = ""


NO_DIRECTIVE = RouteDirective()


@dataclass(frozen=True, slots=True)
class Quota:
    """What is asked of a quota.

    Attributes:
        amount: 1 to 2**63 - 1.
        best_effort: Whether less is welcome where there is not as much.

    Raises:
        TypeError: The amount is no whole number, or `best_effort` neither True nor False.
        ValueError: The amount is out of its bounds.
    """

    amount: int = 1
    best_effort: bool = False

    def __post_init__(self) -> None:
        if type(self.amount) is not int:
            kind = type(self.amount).__name__
            raise TypeError(f"the amount of a quota must be a whole number, not {kind}")
        if self.best_effort not in (True, False):
            raise TypeError("best_effort of a quota must be True or False")
        if not 1 <= self.amount <= MOST_AMOUNT:
            raise ValueError(f"the amount of a quota must be 1 to 2**63 - 1, not {self.amount!r}")


@dataclass(frozen=True, slots=True)
class QuotaResult:
    """What was granted of a quota.

    Attributes:
        granted: The amount; 0, or all that was asked for, unless less was welcome.
        code: The gRPC code of why not, or 0.
        message: And in words.
        from_cache: Whether it was granted to this client before the request.
        valid_duration: Nanoseconds that the server said the grant holds; 0 from the cache.
    """

    granted: int
    code: int = OK
    message: str = ""
    from_cache: bool = False
    valid_duration: int = 0


_NO_QUOTAS: Mapping[str, QuotaResult] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The answer to a check.

    Attributes:
        code: The gRPC code: 0, or why the request is refused.
        message: And in words.
        from_cache: Whether the server was not asked for this one.
        valid_duration: Nanoseconds that the server said the answer holds, from when it was given.
        valid_use_count: How often it may be used again, from when it was given; negative: always.
        route_directive: What the caller is to do to the request and its response.
        quotas: By name; of those that were asked for, unless the check itself was refused.
        failure: Why the server gave no answer; then `code` follows from the network fail policy.
    """

    code: int
    message: str = ""
    from_cache: bool = False
    valid_duration: int = 0
    valid_use_count: int = 0
    route_directive: RouteDirective = NO_DIRECTIVE
    quotas: Mapping[str, QuotaResult] = field(default_factory=lambda: _NO_QUOTAS)
    failure: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the request may go on."""
        return self.code == OK


def nanoseconds(duration: Duration) -> int:
    """As one number."""
    return duration.seconds * 1_000_000_000 + duration.nanos


def precondition_result(response: pb.CheckResponse) -> CheckResult:
    """What the server says of the check itself.

    Raises:
        ValueError: It allows the request with a change that is of no known kind.
    """
    if not response.HasField("precondition"):
        return CheckResult(INVALID_ARGUMENT, "the answer to the check has no precondition")
    said = response.precondition
    return CheckResult(
        code=said.status.code,
        message=said.status.message,
        valid_duration=nanoseconds(said.valid_duration),
        valid_use_count=said.valid_use_count,
        route_directive=_directive_of(said),
    )


def _directive_of(said: pb.CheckResponse.PreconditionResult) -> RouteDirective:
    if not said.HasField("route_directive"):
        return NO_DIRECTIVE
    try:
        return _directive(said.route_directive)
    except ValueError:
        if said.status.code == OK:
            raise
        return NO_DIRECTIVE  # a refusal is one, whatever else makes no sense


def _directive(said: pb.RouteDirective) -> RouteDirective:
    return RouteDirective(
        tuple(map(_operation, said.request_header_operations)),
        tuple(map(_operation, said.response_header_operations)),
        said.direct_response_code,
        said.direct_response_body,
    )


def _operation(said: pb.HeaderOperation) -> HeaderOperation:
    return HeaderOperation(said.name, said.value, HeaderAction(said.operation))
