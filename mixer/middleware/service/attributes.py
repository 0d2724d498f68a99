"""A request in terms of Istio's attributes.

They are what `mixer.attributes.IstioAttributes` computes of Envoy's; here they are worked out once,
and without the detour, since they are the key of the cache of answers.
"""

import ipaddress
from functools import lru_cache
from urllib.parse import parse_qsl

from mixer.attributes import Duration, Timestamp, Value, whole_number
from mixer.middleware.ports import UntellableError
from mixer.middleware.values import Ended, Incoming, Pairs, Peer

_SPIFFE = "spiffe://"
_GRPC = b"application/grpc"
_GRPC_TYPES = frozenset({_GRPC, _GRPC + b"+proto", _GRPC + b"+json"})
_MOST_PARAMETERS = 1000
_COOKIE = "cookie"

_PSEUDO = {
    ":method": "request.method", ":path": "request.path", ":scheme": "request.scheme",
    ":authority": "request.host",
}  # fmt: skip
_NAMED = {
    "referer": "request.referer", "user-agent": "request.useragent", "x-request-id": "request.id",
}  # fmt: skip


def attributes_of(incoming: Incoming) -> dict[str, Value]:
    """Every attribute of a request that is not answered yet.

    Raises:
        UntellableError: A header is not UTF-8: Mixer's texts are.
    """
    headers = _string_map(incoming.headers)
    found: dict[str, Value] = {
        "request.headers": headers,
        "context.protocol": _protocol(incoming.headers),
        "context.reporter.kind": "inbound",
        "context.time": incoming.time,
        "request.time": incoming.time,
        "connection.mtls": incoming.mtls,
    }
    for pseudo, name in _PSEUDO.items():
        if pseudo in headers:
            found[name] = headers.pop(pseudo)
    for header, name in _NAMED.items():
        if header in headers:
            found[name] = headers[header]
    length = whole_number(headers.get("content-length"))
    if length is not None:
        found["request.size"] = length
    _add_path(found)
    _add_ends(found, incoming)
    return found


def report_of(incoming: Incoming, ended: Ended) -> dict[str, Value]:
    """What is reported of a request that is over, beyond `attributes_of`."""
    duration = Duration(ended.duration)
    found: dict[str, Value] = {
        "request.size": ended.request_size,
        "request.total_size": ended.request_size + _size(incoming.headers),
        "response.duration": duration,
        "response.time": Timestamp(incoming.time + duration),
    }
    if ended.response_headers is not None:
        headers = _string_map(ended.response_headers, errors="replace")
        found["response.code"] = int(headers[":status"])
        found["response.headers"] = headers
        found["response.size"] = ended.response_size
        found["response.total_size"] = ended.response_size + _size(ended.response_headers)
    if ended.grpc_status is not None:
        found["response.grpc_status"] = str(ended.grpc_status)
        found["response.grpc_message"] = ended.grpc_message
    return found


def _string_map(pairs: Pairs, errors: str = "strict") -> dict[str, str]:
    """Values of one name joined, as proxies join them."""
    texts: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        try:
            name, value = raw_name.decode(errors=errors), raw_value.decode(errors=errors)
        except UnicodeDecodeError:
            raise UntellableError(f"the header {raw_name!r} is not UTF-8") from None
        told = texts.get(name)
        separator = "; " if name == _COOKIE else ","
        texts[name] = value if told is None else f"{told}{separator}{value}"
    return texts


def _protocol(headers: Pairs) -> str:
    kind = next((value for name, value in headers if name == b"content-type"), None)
    return "grpc" if kind in _GRPC_TYPES else "http"


def _add_path(found: dict[str, Value]) -> None:
    path, _, query = str(found.get("request.path", "")).partition("#")[0].partition("?")
    found["request.url_path"] = path
    if not query:
        return
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return
    if pairs:
        found["request.query_params"] = dict(reversed(pairs))


def _add_ends(found: dict[str, Value], incoming: Incoming) -> None:
    """Who asks for it, and what it is for."""
    if incoming.source is not None and (packed := _packed(incoming.source)) is not None:
        found["source.ip"] = found["origin.ip"] = packed
    if incoming.destination is not None:
        found["destination.port"] = incoming.destination.port
        if (packed := _packed(incoming.destination)) is not None:
            found["destination.ip"] = packed
    if incoming.principal is not None:
        found["source.principal"] = incoming.principal.removeprefix(_SPIFFE)
    if incoming.workload.service:
        found["destination.service.host"] = incoming.workload.service
    if incoming.workload.labels:
        found["destination.labels"] = dict(incoming.workload.labels)


def _packed(peer: Peer) -> bytes | None:
    return _packed_host(peer.host)


@lru_cache(maxsize=4096)
def _packed_host(host: str) -> bytes | None:
    try:
        return ipaddress.ip_address(host).packed
    except ValueError:
        return None


def _size(pairs: Pairs) -> int:
    return sum(len(name) + len(value) for name, value in pairs)
