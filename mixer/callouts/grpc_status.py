"""Statuses of gRPC callouts as Envoy makes them; measured on Envoy 1.40.

A module gets the message that the server sent, still percent-encoded, and behind it in braces what
Envoy calls the details of the response; or the details alone where there is no message.
"""

from dataclasses import dataclass

from mixer.callouts.dialing import (
    DialError,
    DialTimeoutError,
    NoHealthyUpstreamError,
)
from mixer.callouts.ports import Pairs

OK, UNKNOWN, INTERNAL, UNAVAILABLE = 0, 2, 13, 14
INVALID = 0xFFFF_FFFF
"""What stands for a status of the server that gRPC does not know; -1 to the module."""

VIA_UPSTREAM = "via_upstream"

_HIGHEST = 16
_HTTP_DIGITS = 3
_OF_HTTP = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}


@dataclass(frozen=True, slots=True)
class Failure:
    """An exchange that ended without trailers of the server.

    Attributes:
        reason: Why the stream was reset, in Envoy's words.
        cause: What the system or TLS said of it; empty for nothing.
    """

    reason: str
    cause: str = ""

    def details(self, when: str) -> str:
        """The details of the response: ``when`` is before or after the response started."""
        why = "|".join(filter(None, (self.reason, self.cause))).replace(" ", "_")
        return f"upstream_reset_{when}_response_started{{{why}}}"


TERMINATED = Failure("connection termination")
PROTOCOL_ERROR = Failure("protocol error")
REMOTE_RESET = Failure("remote reset")
REFUSED = Failure("remote refused stream reset")


@dataclass(frozen=True, slots=True)
class LocalAnswer:
    """What Envoy answers in the server's place.

    Attributes:
        status: Of gRPC.
        message: As in ``grpc-message``.
        details: Of the response.
    """

    status: int
    message: str
    details: str

    @property
    def headers(self) -> Pairs:
        """The headers of this answer, which are all of it."""
        return (
            (b":status", b"200"),
            (b"content-type", b"application/grpc"),
            (b"grpc-status", b"%d" % self.status),
            (b"grpc-message", self.message.encode()),
        )


TIMED_OUT = LocalAnswer(UNAVAILABLE, "upstream request timeout", "response_timeout")
NO_HEALTHY_UPSTREAM = LocalAnswer(UNAVAILABLE, "no healthy upstream", "no_healthy_upstream")


def before_headers(failure: Failure) -> LocalAnswer:
    """The answer to a failure before the server's headers."""
    text = "upstream connect error or disconnect/reset before headers. reset reason: "
    return LocalAnswer(UNAVAILABLE, text + failure.reason, failure.details("before"))


def not_connected(error: Exception) -> LocalAnswer:
    """The answer where there is no connection."""
    if isinstance(error, NoHealthyUpstreamError):
        return NO_HEALTHY_UPSTREAM
    if isinstance(error, DialTimeoutError):
        return before_headers(Failure("connection timeout"))
    cause = str(error) if isinstance(error, DialError) else ""
    return before_headers(Failure("remote connection failure", cause))


def status_of_http(status: bytes) -> int:
    """The gRPC status for an HTTP status that is not 200."""
    known = status.isdigit() and len(status) <= _HTTP_DIGITS
    return _OF_HTTP.get(int(status), UNKNOWN) if known else UNKNOWN


def status_of(trailers: Pairs) -> tuple[int, str]:
    """The status and the message in trailers."""
    found = dict(reversed(trailers))
    message = found.get(b"grpc-message", b"").decode("utf-8", "surrogateescape")
    told = found.get(b"grpc-status")
    if told is None:
        return UNKNOWN, message
    known = told.isdigit() and len(told) <= 2 and int(told) <= _HIGHEST
    return (int(told) if known else INVALID), message


def closing_text(message: str, details: str) -> str:
    """What the module is told as the status's message."""
    return f"{message}{{{details}}}" if message else details
