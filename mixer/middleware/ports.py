"""What decides about a request, wherever it runs: a service that is asked, or an engine here."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from mixer.middleware.values import Answer, Ended, Incoming, Pairs


class Flow(Protocol):
    """A message on its way through what decides."""

    @property
    def headers(self) -> Pairs | None:
        """As they are to go on; None while they are held back. The list must not be changed."""

    @property
    def trailers(self) -> Pairs | None:
        """Likewise."""

    @property
    def complete(self) -> bool:
        """Whether its end has come through."""

    def take_body(self) -> bytes:
        """What has come through of the body since the last call."""


def nobody() -> None:
    """Nobody wants to know of a change."""


class Exchange(Protocol):
    """A request on its way there, and its response on its way back.

    A call waits for what decides, and no longer than that is allowed to take: then there is an
    answer. What is still held back afterwards waits for the next piece, or goes on by itself.

    Attributes:
        on_change: Called when something changed by itself.
    """

    on_change: Callable[[], None]

    @property
    def request(self) -> Flow:
        """The request; its headers have the same list as before where nothing changed them."""

    @property
    def response(self) -> Flow:
        """The response, once the application made one."""

    @property
    def may_go_on(self) -> bool:
        """Whether what is held back may go on by itself."""

    @property
    def answer(self) -> Answer | None:
        """What the caller gets instead, be it of the request or of what is left of a response."""

    async def request_headers(self, *, end_of_stream: bool) -> None:
        """Have the request's headers decided about."""

    async def request_body(self, data: bytes, *, end_of_stream: bool) -> None:
        """Give a part of the request's body."""

    async def response_headers(self, headers: Pairs, *, end_of_stream: bool) -> None:
        """Give the response's headers, with ``:status``."""

    async def response_body(self, data: bytes, *, end_of_stream: bool) -> None:
        """Give a part of the response's body."""

    async def response_trailers(self, trailers: Pairs) -> None:
        """Give the response's trailers, which end it."""

    def fail(self, reason: str) -> None:
        """Have it refused; that is the answer then.

        Args:
            reason: A short word for logs.
        """

    async def close(self, ended: Ended) -> None:
        """End it, whatever it came to."""


class Running(Protocol):
    """What decides, in one event loop."""

    def open(self, incoming: Incoming) -> Exchange:
        """Begin with a request.

        Raises:
            UntellableError: It cannot be told to what decides.
        """


class Decider(Protocol):
    """Says where requests are decided; made once, for all event loops and before there is one."""

    def running(self) -> AbstractAsyncContextManager[Running]:
        """Start what decides, in this event loop."""


class UntellableError(ValueError):
    """What decides cannot be told of a request, which is refused with 400 then."""
