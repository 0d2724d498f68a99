"""The headers of a gRPC callout, from what a module gave: as Envoy's client makes them."""

import base64
import re

from mixer.callouts.ports import GrpcMethod, NotSentError, Pair, Pairs

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_PATH = re.compile(rb"[^\x00-\x1f\x7f]+")
_MOST_METADATA = 64 * 1024
# Of gRPC, of HTTP/2 or of the connection: a module's would contradict what is sent.
_RESERVED = frozenset(
    (
        b"te", b"content-type", b"content-length", b"host", b"connection", b"keep-alive",
        b"proxy-connection", b"upgrade", b"transfer-encoding",
        b"grpc-timeout", b"grpc-encoding", b"grpc-status", b"grpc-message",
    )
)  # fmt: skip
_LONGEST_TIMEOUT_MS = 99_999_999


def request_headers(
    method: GrpcMethod, *, authority: str, scheme: str, timeout: float | None, first: Pairs = ()
) -> Pairs:
    """Make the headers of a call.

    Args:
        method: What the module asked for.
        authority: Of the cluster.
        scheme: ``http`` or ``https``.
        timeout: Seconds that the server is told, or None.
        first: Metadata that goes in front of the module's.

    Raises:
        NotSentError: A name or value cannot be sent.
    """
    path = f"/{method.service}/{method.method}".encode(errors="surrogateescape")
    if not _PATH.fullmatch(path):
        raise NotSentError(f"gRPC method: {path!r} is no path")
    own = _timeout_headers(timeout)
    metadata = _metadata((*first, *method.metadata))
    if sum(len(name) + len(value) for name, value in metadata) > _MOST_METADATA:
        raise NotSentError(f"gRPC metadata: longer than the bound of {_MOST_METADATA} bytes")
    return (
        (b":method", b"POST"),
        (b":scheme", scheme.encode()),
        (b":path", path),
        (b":authority", authority.encode()),
        (b"te", b"trailers"),
        *own[:1],
        (b"content-type", b"application/grpc"),
        *metadata,
        (b"x-envoy-internal", b"true"),
        *own[1:],
    )


def _timeout_headers(timeout: float | None) -> Pairs:
    if timeout is None:
        return ()
    milliseconds = b"%d" % min(round(timeout * 1000), _LONGEST_TIMEOUT_MS)
    return (
        (b"grpc-timeout", milliseconds + b"m"),
        (b"x-envoy-expected-rq-timeout-ms", milliseconds),
    )


def _metadata(pairs: Pairs) -> list[Pair]:
    """Binary values go encoded and behind all others, as Envoy sends them."""
    kept: list[Pair] = []
    for name, value in ((name.lower(), value) for name, value in pairs):
        if not name or name.startswith(b":") or name in _RESERVED:
            continue
        sent = base64.b64encode(value) if name.endswith(b"-bin") else value.strip(b" \t")
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(sent):
            raise NotSentError(f"gRPC metadata: {name[:100]!r} cannot be sent")
        kept.append((name, sent))
    return sorted(kept, key=lambda pair: pair[0].endswith(b"-bin"))
