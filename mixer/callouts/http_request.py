"""The request of a callout, from what a module gave to what goes out: as Envoy's router does it.

Measured on Envoy 1.40; docs/callouts.md lists where this departs from it.
"""

import re
from dataclasses import dataclass, field

from mixer.callouts.ports import HttpCall, Pair, Pairs

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
# Envoy's router obeys these and does not pass them on; retries are not made here.
_OF_THE_ROUTER = frozenset(
    b"x-envoy-" + name
    for name in (
        b"upstream-rq-timeout-ms", b"upstream-rq-per-try-timeout-ms", b"hedge-on-per-try-timeout",
        b"retry-on", b"retry-grpc-on", b"max-retries", b"retriable-status-codes",
        b"retriable-header-names", b"upstream-alt-stat-name", b"upstream-rq-timeout-alt-response",
        b"upstream-stream-duration-ms", b"expected-rq-timeout-ms", b"internal",
    )
)  # fmt: skip
_TIMEOUT = b"x-envoy-upstream-rq-timeout-ms"


class RequestError(ValueError):
    """A request that must not go out; the message is the body of Envoy's answer, with 503."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it goes out, whatever the version of HTTP.

    Attributes:
        method: A token.
        path: Without blanks.
        authority: Perhaps empty.
        scheme: ``http`` or ``https``; only HTTP/2 tells it.
        headers: The others; where there is a body, with its length.
        body: Perhaps empty.
        trailers: Perhaps empty.
        timeout: Seconds, or None for no bound.
        max_response_bytes: Of the response's body.
    """

    method: bytes
    path: bytes
    authority: bytes
    scheme: bytes
    headers: Pairs
    body: bytes = field(repr=False)
    trailers: Pairs
    timeout: float | None
    max_response_bytes: int


def make_request(call: HttpCall, *, secure: bool, max_response_bytes: int) -> Request:
    """Check and complete what a module gave.

    Args:
        call: The callout.
        secure: Whether TLS is spoken, for the scheme of a request that names none.
        max_response_bytes: Of the response's body.

    Raises:
        RequestError: The request cannot be sent, or would let a module write more than headers.
    """
    for name, value in (*call.headers, *call.trailers):
        _check(name, value)
    pseudo: dict[bytes, bytes] = {}
    headers: list[Pair] = []
    for name, value in ((n.lower(), v.strip(b" \t")) for n, v in call.headers):
        if name.startswith(b":") or name == b"host":
            _join(pseudo, b":authority" if name == b"host" else name, value)
        elif name and name not in _FRAMING and name not in _OF_THE_ROUTER:
            headers.append((name, value))
    timeout = _timeout(call)
    if call.body:
        headers.append((b"content-length", str(len(call.body)).encode()))
    headers += _own(timeout)
    scheme = pseudo.get(b":scheme", b"")
    return Request(
        method=_method(pseudo.get(b":method", b"")),
        path=_path(pseudo.get(b":path", b"")),
        authority=pseudo.get(b":authority", b""),
        scheme=scheme if scheme in {b"http", b"https"} else (b"https" if secure else b"http"),
        headers=tuple(headers),
        body=call.body,
        trailers=_trailers(call.trailers),
        timeout=timeout,
        max_response_bytes=max_response_bytes,
    )


def _check(name: bytes, value: bytes) -> None:
    if name and not _TOKEN.fullmatch(name.removeprefix(b":")):
        raise RequestError(f"invalid header name: {_shown(name)}")
    if not _VALUE.fullmatch(value):
        raise RequestError(f"invalid header value for: {_shown(name.lower())}")


def _shown(name: bytes) -> str:
    return name.decode("latin-1").encode("unicode_escape").decode()


def _join(pseudo: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    # As Envoy's header map does with a name that is there once only.
    pseudo[name] = b",".join((pseudo[name], value)) if name in pseudo else value


def _method(method: bytes) -> bytes:
    if method == b"CONNECT":
        raise RequestError("missing required header: :protocol")
    if not _TOKEN.fullmatch(method):
        raise RequestError("invalid header value for: :method")
    return method


def _path(path: bytes) -> bytes:
    if not _TARGET.fullmatch(path):
        raise RequestError("invalid header value for: :path")
    return path


def _trailers(trailers: Pairs) -> Pairs:
    lower = ((name.lower(), value.strip(b" \t")) for name, value in trailers)
    return tuple(
        (name, value)
        for name, value in lower
        if name and not name.startswith(b":") and name not in _FRAMING and name != b"host"
    )


def _timeout(call: HttpCall) -> float | None:
    asked = next((v for n, v in call.headers if n.lower() == _TIMEOUT), b"")
    if asked.isdigit() and len(asked) <= 18:
        return int(asked) / 1000 or None
    return call.timeout


def _own(timeout: float | None) -> list[Pair]:
    own = [(b"x-envoy-internal", b"true")]
    if timeout is not None:
        milliseconds = str(round(timeout * 1000)).encode()
        own.append((b"x-envoy-expected-rq-timeout-ms", milliseconds))
    return own
