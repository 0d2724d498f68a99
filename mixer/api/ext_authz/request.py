"""From the bytes of a CheckRequest to a request for the engine."""

from dataclasses import dataclass
from typing import Any

from envoy.service.auth.v3 import external_auth_pb2
from google.protobuf.message import DecodeError

from mixer.api.ext_authz.attributes import CONNECTION_RESOLVERS, RESOLVERS, CheckSource
from mixer.api.ext_authz.headers import MapHeaders, RawHeaders
from mixer.attributes import NOBODY, AttributeBag, FindCaller, HeaderMap, PairSource
from mixer.engine import Request


class MalformedRequestError(Exception):
    """The bytes are no CheckRequest."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A TCP connection that a network filter asks about.

    Attributes:
        attributes: What the message tells of it.
    """

    attributes: AttributeBag


def decode(data: bytes, caller: FindCaller = lambda: NOBODY) -> Request | Connection:
    """Read a CheckRequest; nothing but the message is decoded until an adapter asks for it.

    Args:
        data: The message.
        caller: Tells who sent it.

    Returns:
        The request, or a connection where the message is about no HTTP request.

    Raises:
        MalformedRequestError: The bytes are no CheckRequest, or one about nothing.
    """
    try:
        context = external_auth_pb2.CheckRequest.FromString(data).attributes
    except DecodeError as error:
        raise MalformedRequestError(f"not a CheckRequest: {error}") from error
    if not context.request.HasField("http"):
        return _connection(context, caller)
    http = context.request.http
    source = RawHeaders(http) if http.header_map.headers else MapHeaders(http)
    headers = HeaderMap(source)
    body = http.raw_body or http.body.encode()
    sent = bool(body) or source.body_was_sent
    return Request(
        headers=headers,
        attributes=AttributeBag(RESOLVERS, CheckSource(context, headers, caller)),
        body=body if sent else None,
        has_body=sent or _announces_body(headers),
        body_complete=not source.body_is_partial,
        headers_are_complete=False,  # allowed_headers and disallowed_headers leave no trace
    )


def _connection(context: Any, caller: FindCaller) -> Connection:
    if not context.source.HasField("address"):
        raise MalformedRequestError("neither an HTTP request nor the source of a connection")
    source = CheckSource(context, HeaderMap(PairSource([])), caller)
    return Connection(AttributeBag(CONNECTION_RESOLVERS, source))


def _announces_body(headers: HeaderMap) -> bool:
    """Whether the request has a body that Envoy kept; of a chunked one it does not tell."""
    length = headers.first(b"content-length")
    return length not in (None, b"0")
