"""The client's request, as the proxy's call tells it.

Every proxy has headers of its own for that. All of them must be there, and each of them once: a
proxy that does not set one of them passes on what a client has put there, and a proxy that is
configured in that way should fail for every client, not only where one forges it.
"""

import ipaddress
import re
from dataclasses import dataclass

from mixer.api.forward_auth.errors import MalformedCallError
from mixer.api.forward_auth.safety import FRAMING
from mixer.api.http import HttpCall
from mixer.attributes import Pair

_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")
_URI = re.compile(rb"/[^\x00-\x20#\x7f]*")
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]{1,300}")
_SCHEMES = {b"http": b"http", b"https": b"https", b"ws": b"http", b"wss": b"https"}
_WITH_PORT = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:]+)):(?P<port>[0-9]{1,5})")

PARTIAL_BODY = b"x-envoy-auth-partial-body"
"""Envoy adds it, for this service alone, to a request whose body it sent along: whether it is cut.
"""

_SEEN_BY_UPSTREAMS = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-real-ip"})
"""Carriers that proxies send to upstreams too, so that adapters may want to read them."""


@dataclass(frozen=True, slots=True)
class Carriers:
    """Which headers of a call tell the client's request.

    Attributes:
        scheme: Of its scheme.
        host: Of its authority.
        address: Of the client's address; of several in a list, the last one is the proxy's own
            word, and those before it are the client's.
        method: Of its method; None where it is the call's.
        uri: Of its path and query; None where that is in the call's target.
        prefix: Of such a target.
        repeats_body: Whether the call has the body of the client's request.
        added: What else the proxy adds to the call alone.
    """

    scheme: bytes
    host: bytes
    address: bytes
    method: bytes | None = None
    uri: bytes | None = None
    prefix: bytes = b""
    repeats_body: bool = False
    added: frozenset[bytes] = frozenset()

    @property
    def of_the_call(self) -> frozenset[bytes]:
        """The headers of a call that are none of the client's."""
        names = (self.scheme, self.host, self.address, self.method or b"", self.uri or b"")
        return (frozenset(names) - _SEEN_BY_UPSTREAMS) | FRAMING | self.added


@dataclass(frozen=True, slots=True)
class Original:
    """The client's request.

    Attributes:
        pairs: Its headers as far as the proxy told them, pseudo-headers first.
        address: Of the client; None where it came over a Unix socket.
        port: Of the client; None where the proxy does not tell it.
    """

    pairs: list[Pair]
    address: str | None
    port: int | None


def original(call: HttpCall, carriers: Carriers) -> Original:
    """Read it.

    Raises:
        MalformedCallError: A header is missing, there twice, or not what it is for.
    """
    address, port = _address(_only(call, carriers.address), carriers.address)
    method = _only(call, carriers.method) if carriers.method else call.method
    uri = _only(call, carriers.uri) if carriers.uri else call.target.removeprefix(carriers.prefix)
    scheme = _SCHEMES.get(_only(call, carriers.scheme).lower())
    if scheme is None:
        raise MalformedCallError(f"{carriers.scheme.decode()} is neither http nor https")
    pseudo = [
        (b":authority", _matching(_HOST, _only(call, carriers.host), "host")),
        (b":path", _matching(_URI, uri, "URI")),
        (b":method", _matching(_METHOD, method, "method")),
        (b":scheme", scheme),
    ]
    hidden = carriers.of_the_call
    own = [pair for pair in call.headers if pair[0] not in hidden]
    return Original([*pseudo, *_length(call, carriers), *own], address, port)


def _only(call: HttpCall, name: bytes) -> bytes:
    values = call.all(name)
    if len(values) != 1 or not values[0]:
        raise MalformedCallError(f"{name.decode()} must be there once, not {len(values)} times")
    return values[0]


def _matching(pattern: re.Pattern[bytes], value: bytes, what: str) -> bytes:
    if not pattern.fullmatch(value):
        raise MalformedCallError(f"the original {what} is malformed")
    return value


def _address(value: bytes, name: bytes) -> tuple[str | None, int | None]:
    text = value.decode("latin-1").rpartition(",")[2].strip()
    if text.startswith(("unix:", "/", "@")):
        return None, None
    match = _WITH_PORT.fullmatch(text)
    try:
        host = ipaddress.ip_address(text if match is None else match["six"] or match["host"])
    except ValueError:
        raise MalformedCallError(f"{name.decode()} has no address") from None
    return str(host), None if match is None else int(match["port"])


def _length(call: HttpCall, carriers: Carriers) -> list[Pair]:
    """The length of a body that is repeated; that of the call itself is none of the client's."""
    has_one = carriers.repeats_body and call.body and call.first(PARTIAL_BODY) != b"true"
    return [(b"content-length", str(len(call.body)).encode())] if has_one else []
