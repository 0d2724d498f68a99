"""One HTTP request on its way through a chain of adapters."""

from dataclasses import dataclass, field

from mixer.attributes import AttributeBag, HeaderMap, Pair

MAX_FILTER_STATE_BYTES = 1 << 20
"""What the modules of one request may store with ``proxy_set_property``."""


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
class HttpStream:
    """What the stream contexts of one request share.

    Attributes:
        request_headers: Mutable by the adapters.
        attributes: What the front end knows of the request.
        request_body: The whole body.
        filter_state: What modules stored with ``proxy_set_property``, by path.
        filter_state_bytes: How much they stored in all, what was overwritten included.
        local_response: The first one sent.
        reset: Whether a module closed the stream without an answer.
        request_body_changed: Whether a module changed the body.
    """

    request_headers: HeaderMap
    attributes: AttributeBag
    request_body: bytes = b""
    filter_state: dict[bytes, bytes] = field(default_factory=dict)
    filter_state_bytes: int = 0
    local_response: LocalResponse | None = None
    reset: bool = False
    request_body_changed: bool = False
