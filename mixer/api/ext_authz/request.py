"""From the bytes of a CheckRequest to a request for the engine."""

from envoy.service.auth.v3 import external_auth_pb2
from google.protobuf.message import DecodeError

from mixer.api.ext_authz.attributes import RESOLVERS, CheckSource
from mixer.api.ext_authz.headers import MapHeaders, RawHeaders
from mixer.attributes import NOBODY, AttributeBag, FindCaller, HeaderMap
from mixer.engine import Request


class MalformedRequestError(Exception):
    """The bytes are no CheckRequest."""


def decode(data: bytes, caller: FindCaller = lambda: NOBODY) -> Request | None:
    """Read a CheckRequest; nothing but the message is decoded until an adapter asks for it.

    Args:
        data: The message.
        caller: Tells who sent it.

    Returns:
        The request, or None where the message is about no HTTP request.

    Raises:
        MalformedRequestError: The bytes are no CheckRequest.
    """
    try:
        context = external_auth_pb2.CheckRequest.FromString(data).attributes
    except DecodeError as error:
        raise MalformedRequestError(f"not a CheckRequest: {error}") from error
    if not context.request.HasField("http"):
        return None
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


def _announces_body(headers: HeaderMap) -> bool:
    """Whether the request has a body that Envoy kept; of a chunked one it does not tell."""
    length = headers.first(b"content-length")
    return length not in (None, b"0")
