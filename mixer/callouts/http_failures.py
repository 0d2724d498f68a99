"""What a callout that failed looks like: the responses that Envoy makes up, word for word.

Measured on Envoy 1.40. A failure after the response's headers has no response at all.
"""

from enum import Enum

from mixer.callouts.ports import HttpReply, Pair


class Reset(Enum):
    """Why there is no response: the status that stands for it, and Envoy's name of it."""

    CONNECTION_FAILURE = (503, "remote connection failure")
    CONNECTION_TERMINATION = (503, "connection termination")
    CONNECTION_TIMEOUT = (503, "connection timeout")
    PROTOCOL_ERROR = (502, "protocol error")
    REMOTE_RESET = (503, "remote reset")
    REFUSED_STREAM = (503, "remote refused stream reset")
    CONNECT_ERROR = (503, "remote error with CONNECT request")
    OVERFLOW = (503, "overflow")


class ResetError(Exception):
    """An exchange is over without a response.

    Args:
        reset: Why.
    """

    def __init__(self, reset: Reset) -> None:
        super().__init__(reset.value[1])
        self.reset = reset


Outcome = HttpReply | Reset | None
"""How an exchange ended: with a response, reset before its headers, or (None) after them."""

_BEFORE_HEADERS = b"upstream connect error or disconnect/reset before headers. reset reason: "
_OVERLOADED = (b"x-envoy-overloaded", b"true")


def reset_reply(reset: Reset) -> HttpReply:
    """Make the response to a callout that was reset before the response's headers."""
    status, reason = reset.value
    more = (_OVERLOADED,) if reset is Reset.OVERFLOW else ()
    return local_reply(status, _BEFORE_HEADERS + reason.encode(), more)


def local_reply(status: int, body: bytes, more: tuple[Pair, ...] = ()) -> HttpReply:
    """Make a response of this side's own, with the headers that Envoy gives it."""
    length = str(len(body)).encode()
    headers = (
        (b":status", str(status).encode()),
        *more,
        (b"content-length", length),
        (b"content-type", b"text/plain"),
    )
    return HttpReply(headers, body)


NO_HEALTHY_UPSTREAM = local_reply(503, b"no healthy upstream")
TIMED_OUT = local_reply(504, b"upstream request timeout")
