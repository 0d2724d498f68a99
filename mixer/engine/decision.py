"""What the engine answers."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from mixer.attributes import HeaderChange, Pair
from mixer.engine.validity import Validity

if TYPE_CHECKING:
    from mixer.engine.story.story import Story

FAILURE_STATUS = 503
"""What Envoy answers for a Wasm filter that failed closed."""


class Verdict(StrEnum):
    """Whether the request may go on."""

    ALLOW = "allow"
    DENY = "deny"
    ERROR = "error"
    """An adapter failed and its failStrategy is FAIL_CLOSE: the request may not go on."""


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to the downstream instead of the upstream's.

    Attributes:
        status: HTTP status.
        headers: Response headers.
        body: Response body.
        grpc_status: What a gRPC client is to get; None leaves that to the proxy.
    """

    status: int
    headers: tuple[Pair, ...] = ()
    body: bytes = b""
    grpc_status: int | None = None


@dataclass(frozen=True, slots=True)
class QuotaStanding:
    """How a quota stands after what was granted of it; None for what no adapter said.

    Attributes:
        limit: Amount that there is in one window; None where it is not limited.
        remaining: What is left in this window.
        reset: Seconds until it ends, rounded up.
        window: Nanoseconds of a window.
        policy: What the limit is called.
    """

    limit: int | None = None
    remaining: int | None = None
    reset: int | None = None
    window: int | None = None
    policy: str = ""


class Operation(StrEnum):
    """What becomes of a header."""

    REPLACE = "REPLACE"
    REMOVE = "REMOVE"
    APPEND = "APPEND"


@dataclass(frozen=True, slots=True)
class HeaderOperation:
    """A change of one header, as it was said.

    Attributes:
        name: Lower-case header name.
        value: The new or the further value; empty with REMOVE.
        operation: Whether the value takes the place of all that the header has, or joins them.
    """

    name: bytes
    value: bytes = b""
    operation: Operation = Operation.REPLACE


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, what to change, and why.

    Attributes:
        verdict: The outcome.
        adapters: Names of the adapters that ran, in order.
        adapter: The one that decided: the first that denied or failed, else the last that ran.
        rule: The rule that configured it; empty where its WasmPlugin did.
        reason: A short word for logs, as the adapter gave it; empty where it gave none.
        response: The answer to send; None exactly when the verdict is ALLOW.
        request_headers: Changes to the request's headers, by adapters and by rules; empty unless
            allowed.
        request_operations: What the rules said of the request's headers, in order; it is part of
            `request_headers` already.
        response_operations: What becomes of the headers of the upstream's response, in order.
        body: The new request body where an adapter changed it, else None.
        failed_open: Adapters that failed and were passed over.
        validity: How long and how often the caller may use it again for requests alike; None where
            an adapter that ran did not say.
        code: gRPC code that the adapter gave its denial; None where it gave none.
        granted: Amount of a quota; None where none was asked for, or no adapter said one.
        quota: How that quota stands; None where no adapter said.
        story: How it was made; None where nobody wanted to know.
    """

    verdict: Verdict
    adapters: tuple[str, ...] = ()
    adapter: str = ""
    reason: str = ""
    response: Response | None = None
    request_headers: tuple[HeaderChange, ...] = ()
    request_operations: tuple[HeaderOperation, ...] = ()
    response_operations: tuple[HeaderOperation, ...] = ()
    body: bytes | None = field(default=None, repr=False)
    failed_open: tuple[str, ...] = ()
    validity: Validity | None = field(default=None, compare=False)
    code: int | None = None
    granted: int | None = None
    quota: QuotaStanding | None = None
    rule: str = ""
    story: "Story | None" = field(default=None, compare=False, repr=False)
