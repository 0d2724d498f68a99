"""One HTTP request on its way through a chain of adapters."""

from dataclasses import dataclass, field

from mixer.attributes import AttributeBag, HeaderMap, Pair, SavedHeaders

MAX_WRITTEN_BYTES = 16 << 20
"""What the modules of one request may hand to the host: headers, bodies, properties, responses."""


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


SavedStream = tuple[SavedHeaders, tuple[bytes, bool], dict[bytes, bytes]]
"""What `HttpStream.save` notes."""


@dataclass(slots=True)
class HttpStream:
    """What the stream contexts of one request share.

    Attributes:
        request_headers: Mutable by the adapters.
        attributes: What the front end knows of the request.
        request_body: The whole body.
        filter_state: What modules stored with ``proxy_set_property``, by path.
        local_response: The first one sent.
        reset: Whether a module closed the stream without an answer.
        request_body_changed: Whether a module changed the body.
    """

    request_headers: HeaderMap
    attributes: AttributeBag
    request_body: bytes = b""
    filter_state: dict[bytes, bytes] = field(default_factory=dict)
    local_response: LocalResponse | None = None
    reset: bool = False
    request_body_changed: bool = False
    _written: int = 0

    def save(self) -> SavedStream:
        """Note what adapters can change, for `restore`."""
        body = self.request_body, self.request_body_changed
        return self.request_headers.save(), body, dict(self.filter_state)

    def restore(self, saved: SavedStream) -> None:
        """Forget what was changed or answered since `save`."""
        headers, (self.request_body, self.request_body_changed), self.filter_state = saved
        self.request_headers.restore(headers)
        self.local_response, self.reset = None, False

    def charge(self, size: int) -> bool:
        """Count bytes that a module hands over, also those that replace others.

        Returns:
            Whether the modules of this request stay within their bound.
        """
        self._written += size
        return self._written <= MAX_WRITTEN_BYTES
