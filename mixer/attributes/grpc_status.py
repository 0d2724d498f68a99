"""The gRPC status of a response, as Envoy tells it."""

from mixer.attributes.headers import HeaderMap
from mixer.attributes.numbers import whole_number

_OF_HTTP = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
_UNKNOWN = 2


def grpc_status(code: int | None, *readable: HeaderMap | None) -> int | None:
    """What the trailers or headers say that can be read now, or what the HTTP status means.

    Args:
        code: The HTTP status; None where there is none.
        readable: Trailers, then headers, of the response.
    """
    for headers in readable:
        status = None if headers is None else whole_number(headers.first(b"grpc-status"))
        if status is not None:
            return status
    return None if code is None else _OF_HTTP.get(code, _UNKNOWN)
