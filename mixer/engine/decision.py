"""What the engine answers."""

from dataclasses import dataclass, field
from enum import StrEnum

from mixer.attributes import HeaderChange, Pair


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
    """

    status: int
    headers: tuple[Pair, ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, what to change, and why.

    Attributes:
        verdict: The outcome.
        adapters: Names of the adapters that ran, in order.
        adapter: The one that decided: the first that denied or failed, else the last that ran.
        reason: A short word for logs, as the adapter gave it; empty where it gave none.
        response: The answer to send; None exactly when the verdict is ALLOW.
        request_headers: Changes to the request's headers; empty unless allowed.
        response_headers: Headers to add to the upstream's response.
        body: The new request body where an adapter changed it, else None.
        failed_open: Adapters that failed and were passed over.
    """

    verdict: Verdict
    adapters: tuple[str, ...] = ()
    adapter: str = ""
    reason: str = ""
    response: Response | None = None
    request_headers: tuple[HeaderChange, ...] = ()
    response_headers: tuple[Pair, ...] = ()
    body: bytes | None = field(default=None, repr=False)
    failed_open: tuple[str, ...] = ()
