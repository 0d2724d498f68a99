"""One TCP connection on its way through an adapter."""

from dataclasses import dataclass, field
from enum import IntEnum

from mixer.attributes import AttributeBag
from mixer.proxywasm.http_stream import MAX_WRITTEN_BYTES


class Peer(IntEnum):
    """Who closed a connection (``proxy_peer_type_t``)."""

    UNKNOWN = 0
    LOCAL = 1
    REMOTE = 2


@dataclass(slots=True)
class TcpFlow:
    """One direction of a connection.

    Attributes:
        held: What came in and did not go on yet.
        passed: What went on; a front end takes it from here.
        is_open: Whether the module can reach what is held.
    """

    held: bytes = b""
    passed: bytes = b""
    is_open: bool = False

    def let_go(self) -> None:
        """Have what is held go on."""
        self.passed += self.held
        self.held = b""


@dataclass(slots=True)
class TcpStream:
    """What the stream contexts of one connection share.

    Attributes:
        attributes: What the front end knows of the connection.
        downstream: From the client to the upstream.
        upstream: From the upstream to the client.
        filter_state: What modules stored with ``proxy_set_property``, by path.
        closed: Whether a module closed the connection.
    """

    attributes: AttributeBag
    downstream: TcpFlow = field(default_factory=TcpFlow)
    upstream: TcpFlow = field(default_factory=TcpFlow)
    filter_state: dict[bytes, bytes] = field(default_factory=dict)
    closed: bool = False
    _written: int = 0

    def charge(self, size: int) -> bool:
        """Count bytes that a module hands over; past the bound the connection is closed."""
        self._written += size
        if self._written > MAX_WRITTEN_BYTES:
            self.closed = True
            return False
        return True
