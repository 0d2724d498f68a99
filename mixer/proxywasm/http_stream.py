"""One HTTP request, and perhaps its response, on the way through a chain of adapters."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mixer.attributes import AttributeBag, HeaderMap, Pair, PairSource, SavedHeaders
from mixer.proxywasm.filter_state import NOTHING_DECLARED, FilterState

if TYPE_CHECKING:
    from mixer.proxywasm.contexts import RootContext

MAX_WRITTEN_BYTES = 16 << 20
"""What the modules of one request may hand to the host: headers, bodies, properties, responses.

Of a body that goes on piece by piece only what has not gone on counts.
"""

_CONTENT_LENGTH = b"content-length"


@dataclass(frozen=True, slots=True)
class LocalResponse:
    """An answer that a module gives instead of the upstream (``proxy_send_local_response``).

    Attributes:
        status: HTTP status.
        details: A short reason for logs, spaces replaced by underscores as in Envoy.
        body: Body of the response.
        headers: Headers in addition to those that every response has.
        grpc_status: gRPC status for gRPC requests, or -1.
    """

    status: int
    details: str = ""
    body: bytes = b""
    headers: tuple[Pair, ...] = ()
    grpc_status: int = -1


@dataclass(slots=True)
class HttpMessage:
    """A request or a response.

    Attributes:
        headers: Mutable by the adapters.
        body: What is on its way of the body: before a body callback, what came in; after it, what
            goes on. A front end that has the whole body drives one callback with all of it.
        trailers: None where there are none.
        received: How many bytes of the body came in so far, where that is counted.
        sent: How many bytes of it went on so far, likewise.
        body_changed: Whether a module changed the body.
        handed_over: How many bytes modules handed over for the body and `HttpStream.credit` did not
            take back.
    """

    headers: HeaderMap
    body: bytes = b""
    trailers: HeaderMap | None = None
    received: int = 0
    sent: int = 0
    body_changed: bool = False
    handed_over: int = 0

    def add_trailers(self) -> HeaderMap:
        """The trailers, created where there are none."""
        if self.trailers is None:
            self.trailers = HeaderMap(PairSource([]))
        return self.trailers

    def correct_content_length(self) -> None:
        """Make a content-length tell the length of the whole body, if a module changed that.

        Envoy does not: a module that leaves a wrong one there breaks the message.
        """
        if self.body_changed and self.headers.first(_CONTENT_LENGTH) is not None:
            self.headers.replace(_CONTENT_LENGTH, b"%d" % len(self.body))


SavedStream = tuple[SavedHeaders, tuple[bytes, bool], dict[bytes, bytes], FilterState, int]
"""What `HttpStream.save` notes."""


@dataclass(slots=True)
class HttpStream:
    """What the stream contexts of one request share.

    Attributes:
        request: The request.
        attributes: What the front end knows of the request.
        response: The response, once there is one.
        filter_state: What modules stored with ``proxy_set_property``, by path.
        state: What else there is in the filter state.
        local_response: The one that answers the request.
        reset: Whether a module closed the stream without an answer.
        route_cleared: Whether a module asked to have the route selected anew.
        wake: Has whoever waits in one context look anew; None while nobody does.
        recorded: Whether it is over and did not pass here: all that is known of it was told.
        tickets: Of what the ledger took on, by plugin; None where nothing.
        unrecorded: Whether the ledger had no room for something.
    """

    request: HttpMessage
    attributes: AttributeBag
    response: HttpMessage | None = None
    filter_state: dict[bytes, bytes] = field(default_factory=dict)
    state: FilterState = NOTHING_DECLARED
    local_response: LocalResponse | None = None
    reset: bool = False
    route_cleared: bool = False
    wake: Callable[[], None] | None = None
    recorded: bool = False
    tickets: "dict[RootContext, list[int]] | None" = None
    unrecorded: bool = False
    _written: int = 0

    def save(self) -> SavedStream:
        """Note what adapters can change of a request, for `restore`."""
        request = self.request
        body = request.body, request.body_changed
        return request.headers.save(), body, dict(self.filter_state), self.state, self._written

    def restore(self, saved: SavedStream) -> None:
        """Forget what was changed or answered since `save`."""
        headers, body, self.filter_state, self.state, self._written = saved
        self.request.body, self.request.body_changed = body
        self.request.headers.restore(headers)
        self.local_response, self.reset = None, False

    def credit(self, message: HttpMessage) -> None:
        """Forget what was handed over for a body that has gone on: it may be without an end."""
        self._written = max(0, self._written - message.handed_over)
        message.handed_over = 0

    def charge(self, size: int) -> bool:
        """Count bytes that a module hands over, also those that replace others.

        Past the bound the stream is reset: a module that does not look at statuses would believe
        that it has answered, or removed a header, and the request would pass.

        Returns:
            Whether the modules of this request stay within their bound.
        """
        self._written += size
        if self._written > MAX_WRITTEN_BYTES:
            self.reset = True
            return False
        return True
