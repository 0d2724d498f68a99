"""One message in one adapter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum, auto
from typing import TYPE_CHECKING, ClassVar

from mixer.engine.exchange.inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.attributes import AttributeBag
    from mixer.engine.adapter import Adapter
    from mixer.engine.selection import Slot
    from mixer.proxywasm import HttpMessage, MessageView, Outcome, Pause, StreamContext


class Piece(Enum):
    """What a callback was about."""

    HEADERS = auto()
    BODY = auto()
    TRAILERS = auto()


class Side(ABC):
    """The request or the response as it passes one adapter.

    Args:
        adapter: Whose it is.
        context: Its stream; None where it did not begin yet.

    Attributes:
        adapter: As given.
        context: Its stream, once it began.
        inbox: What came here and the adapter was not told of.
        last: What the last callback was about.
        ended: Whether that was the end of the message.
        headers_passed: Whether the headers went on.
        pause: What the adapter waits with; None while it does not.
        stopped: Whether it is told of nothing until it resumes.
        bypassed: Whether it does not run, or failed open: everything goes past it.
        direction: ``request`` or ``response``.
    """

    direction: ClassVar[str]

    __slots__ = (
        "adapter",
        "bypassed",
        "context",
        "ended",
        "headers_passed",
        "inbox",
        "last",
        "pause",
        "stopped",
    )

    def __init__(self, adapter: Adapter, context: StreamContext | None) -> None:
        self.adapter = adapter
        self.context = context
        self.inbox = Inbox()
        self.last = Piece.HEADERS
        self.ended = self.headers_passed = self.stopped = self.bypassed = False
        self.pause: Pause | None = None

    def reached(self) -> None:  # noqa: B027 - a response passes those that the request passed
        """The headers came here."""

    def headers(self) -> Outcome:
        """Make the callback for the headers."""
        self.last, self.ended = Piece.HEADERS, self.inbox.ends_with_headers
        self.inbox.headers = False
        return self._on_headers(end_of_stream=self.ended)

    def body(self, message: HttpMessage) -> Outcome:
        """Make the callback for all of the body that is here."""
        self.last, self.ended = Piece.BODY, self.inbox.ends_with_body
        message.body = self.inbox.take_body()
        return self._on_body(end_of_stream=self.ended)

    def trailers(self, message: HttpMessage) -> Outcome:
        """Make the callback for the trailers; a body that was held back goes on with them."""
        self.last, self.ended = Piece.TRAILERS, True
        self.inbox.trailers = False
        message.body = b""
        return self._on_trailers()

    def resume(self) -> Outcome:
        """What has become of the pause."""
        assert self.context is not None
        return self.context.on_resume(self.pause)

    def pass_on(self, message: HttpMessage, out: Inbox) -> None:
        """Hand on what the last callback was about, and all that was held back before it."""
        self.pause, self.stopped = None, False
        if not self.headers_passed:
            self.headers_passed = out.headers = True
        if self.last is Piece.BODY or message.body:
            out.add(message.body)
            message.body = b""
        if self.ended:
            # Also those that a module added to the last piece of the body.
            out.trailers = message.trailers is not None
            out.end = True

    def bypass(self, left: bytes, message: HttpMessage, out: Inbox) -> None:
        """Let everything go past the adapter from now on.

        Args:
            left: Of the body, what the adapter held back and what it was told of last.
            message: What it failed with.
            out: Where everything goes.
        """
        self.bypassed, message.body = True, left
        self.pass_on(message, out)
        self.go_past(out)

    def go_past(self, out: Inbox) -> None:
        """Hand on what is here."""
        box = self.inbox
        out.headers = out.headers or box.headers
        if box.has_body:
            out.add(box.take_body())
        out.trailers, out.end = out.trailers or box.trailers, out.end or box.end
        box.headers = box.trailers = False

    @property
    def is_held_for_ever(self) -> bool:
        """Whether the adapter waits, and neither a further piece nor anything else resumes it."""
        if self.pause is None or self.context is None or not (self.stopped or self.ended):
            return False
        return not self.context.vm.may_resume(self.context)

    @property
    def wants_more(self) -> bool:
        """Whether the adapter holds something back, and is told of what comes further."""
        return self.pause is not None and not (self.stopped or self.ended)

    @property
    def wants_body(self) -> bool:
        """Whether the adapter holds the headers back until it is told of the body."""
        return self.last is Piece.HEADERS and self.wants_more

    @property
    def held(self) -> bytes:
        """What the adapter holds back of the body."""
        view = self._view
        return b"" if view is None else view.held

    @property
    @abstractmethod
    def _view(self) -> MessageView | None:
        """The message as the adapter sees it, once it was told of it."""

    @abstractmethod
    def _on_headers(self, *, end_of_stream: bool) -> Outcome: ...

    @abstractmethod
    def _on_body(self, *, end_of_stream: bool) -> Outcome: ...

    @abstractmethod
    def _on_trailers(self) -> Outcome: ...


class RequestSide(Side):
    """The request; with its headers the stream begins in the adapter that they are for.

    Args:
        slot: Tells which adapter that is, if any.
        attributes: By which it does.
        begin: Makes the context.
    """

    direction = "request"

    __slots__ = ("_attributes", "_begin", "_slot")

    def __init__(
        self,
        slot: Slot,
        attributes: AttributeBag,
        begin: Callable[[Adapter], StreamContext],
    ) -> None:
        super().__init__(slot.adapter, None)
        self._slot = slot
        self._attributes = attributes
        self._begin = begin

    def reached(self) -> None:
        """See `Side.reached`: the headers are as the adapters before left them."""
        chosen = self._slot.choose(self._attributes)
        if chosen is None:
            self.bypassed = True
        else:
            self.adapter = chosen

    @property
    def _view(self) -> MessageView | None:
        return None if self.context is None else self.context.request_view

    def _on_headers(self, *, end_of_stream: bool) -> Outcome:
        self.context = self._begin(self.adapter)
        return self.context.on_request_headers(end_of_stream=end_of_stream)

    def _on_body(self, *, end_of_stream: bool) -> Outcome:
        assert self.context is not None
        return self.context.on_request_body(end_of_stream=end_of_stream)

    def _on_trailers(self) -> Outcome:
        assert self.context is not None
        return self.context.on_request_trailers()


class ResponseSide(Side):
    """The response."""

    direction = "response"

    __slots__ = ()

    context: StreamContext

    @property
    def _view(self) -> MessageView | None:
        return self.context.response_view

    def _on_headers(self, *, end_of_stream: bool) -> Outcome:
        return self.context.on_response_headers(end_of_stream=end_of_stream)

    def _on_body(self, *, end_of_stream: bool) -> Outcome:
        return self.context.on_response_body(end_of_stream=end_of_stream)

    def _on_trailers(self) -> Outcome:
        return self.context.on_response_trailers()
