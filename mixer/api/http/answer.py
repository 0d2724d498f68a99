"""The answer to one call by HTTP."""

from dataclasses import dataclass

from mixer.attributes import Pair
from mixer.engine import Decision

_TEXT = (b"content-type", b"text/plain; charset=utf-8")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the caller gets.

    Attributes:
        status: From 200 to 599.
        headers: Without ``content-length``, which follows from the body; names in lower case.
        body: Left out where the call was ``HEAD``.
        decision: What was sent in place of what the engine decided, where the protocol cannot
            express that; for the log of decisions.
        notice: What is wrong with the call, for whoever configured the caller.
    """

    status: int
    headers: tuple[Pair, ...] = ()
    body: bytes = b""
    decision: Decision | None = None
    notice: str = ""


def plain(status: int, text: str, *headers: Pair) -> HttpAnswer:
    """An answer in words, for whoever configured the caller; they must be none of the caller's."""
    return HttpAnswer(status, (_TEXT, *headers), f"{text}\n".encode())
