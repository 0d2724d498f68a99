"""From a scope of ASGI to a request, and back where it was changed.

What is told is what the application acts on. So the path is that of ``scope["path"]``, encoded
anew: one that a client encoded in another way, ``/%61dmin``, cannot be told as another one than it
is routed by. The client's address is the connection's; no forwarding header is believed.
"""

import time
from typing import Any
from urllib.parse import quote, unquote

from mixer.api.safe_headers import is_safe
from mixer.attributes import Timestamp, canonical_name
from mixer.middleware.asgi.types import Scope
from mixer.middleware.ports import UntellableError
from mixer.middleware.values import Incoming, Pairs, Peer, Workload

_PATH_CHARACTERS = "/:@!$&'()*+,;=~"
_AUTHORITY, _HOST = b":authority", b"host"
_METHOD, _PATH, _SCHEME = b":method", b":path", b":scheme"
_HTTP_OF = {"ws": "http", "wss": "https"}
_WEBSOCKET_OF = {"http": "ws", "https": "wss"}


class UnusableHeadersError(ValueError):
    """What decides left headers of which no request can be made."""


def incoming_of(scope: Scope, workload: Workload) -> Incoming:
    """The request that a scope tells.

    Args:
        scope: Of HTTP, or the handshake of WebSocket.
        workload: What it is for.

    Raises:
        UntellableError: It has several hosts, or its path is no Unicode text.
    """
    return Incoming(
        headers=_headers(scope),
        time=Timestamp(time.time_ns()),
        protocol=f"HTTP/{scope.get('http_version', '1.1')}",
        workload=workload,
        source=_peer(scope.get("client")),
        destination=_peer(scope.get("server")),
        mtls=_shows_certificate(scope),
    )


def _headers(scope: Scope) -> Pairs:
    scheme: str = scope.get("scheme", "http")
    pseudo = [
        (_METHOD, scope.get("method", "GET").encode()),
        (_PATH, _target(scope)),
        (_SCHEME, _HTTP_OF.get(scheme, scheme).encode()),
    ]
    pairs = [(canonical_name(name), value) for name, value in scope["headers"]]
    hosts = [pair for pair in pairs if pair[0] == _AUTHORITY]
    if len(hosts) > 1:
        raise UntellableError("the request has several hosts")
    return [*hosts, *pseudo, *(pair for pair in pairs if not pair[0].startswith(b":"))]


def _target(scope: Scope) -> bytes:
    try:
        path = quote(scope["path"], _PATH_CHARACTERS, errors="surrogateescape").encode()
    except UnicodeEncodeError:
        raise UntellableError("the path is no Unicode text") from None
    query: bytes = scope.get("query_string", b"")
    return path + b"?" + query if query else path


def _peer(address: Any) -> Peer | None:
    """One end; a Unix socket has no port, or is told as nothing."""
    if not address or not address[1]:
        return None
    return Peer(address[0], address[1])


def _shows_certificate(scope: Scope) -> bool:
    tls = (scope.get("extensions") or {}).get("tls") or {}
    return bool(tls.get("client_cert_name") or tls.get("client_cert_chain"))


def changed_scope(scope: Scope, before: Pairs, after: Pairs) -> Scope:
    """A scope with changed headers.

    Args:
        scope: As it came.
        before: The headers that were told of it.
        after: And what became of them.

    Raises:
        UnusableHeadersError: No request can be made of them.
    """
    if not all(is_safe(name, value) for name, value in after):
        raise UnusableHeadersError("an adapter set a header with forbidden characters")
    changed = dict(scope)
    pseudo = dict(reversed([pair for pair in after if pair[0].startswith(b":")]))
    if not {_METHOD, _PATH, _SCHEME} <= pseudo.keys():
        raise UnusableHeadersError("an adapter removed a pseudo-header")
    host = [(_HOST, pseudo[_AUTHORITY])] if _AUTHORITY in pseudo else []
    changed["headers"] = host + [pair for pair in after if not pair[0].startswith(b":")]
    told = dict(before)
    if pseudo[_PATH] != told[_PATH]:
        changed |= _path(pseudo[_PATH])
    if pseudo[_SCHEME] != told[_SCHEME]:
        changed["scheme"] = _scheme(pseudo[_SCHEME], scope)
    if pseudo[_METHOD] != told[_METHOD]:
        changed["method"] = _method(pseudo[_METHOD], scope)
    return changed


def _path(target: bytes) -> dict[str, Any]:
    raw, _, query = target.partition(b"?")
    if not raw.isascii():
        raise UnusableHeadersError("an adapter set a path with characters that are not ASCII")
    return {"path": unquote(raw.decode()), "raw_path": raw, "query_string": query}


def _scheme(scheme: bytes, scope: Scope) -> str:
    text = scheme.decode(errors="replace")
    return _WEBSOCKET_OF.get(text, text) if scope["type"] == "websocket" else text


def _method(method: bytes, scope: Scope) -> str:
    if scope["type"] == "websocket":
        raise UnusableHeadersError("an adapter changed the method of a WebSocket's handshake")
    return method.decode(errors="replace")
