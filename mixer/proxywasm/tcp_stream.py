"""One TCP connection on its way through an adapter."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from mixer.attributes import AttributeBag
from mixer.proxywasm.filter_state import NOTHING_DECLARED, FilterState
from mixer.proxywasm.http_stream import MAX_WRITTEN_BYTES

if TYPE_CHECKING:
    from mixer.proxywasm.contexts import RootContext


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
    """

    held: bytes = b""
    passed: bytes = b""

    def let_go(self) -> None:
        """Have what is held go on."""
        self.passed += self.held
        self.held = b""


SavedTcpStream = tuple[bytes, bytes, dict[bytes, bytes], int]
"""What `TcpStream.save` notes."""


@dataclass(slots=True)
class TcpStream:
    """What the stream contexts of one connection share.

    Attributes:
        attributes: What the front end knows of the connection.
        downstream: From the client to the upstream.
        upstream: From the upstream to the client.
        filter_state: What modules stored with ``proxy_set_property``, by path.
        state: What else there is in the filter state.
        closed: Whether a module closed the connection.
        overrun: Whether it is closed because a module handed over more than it may.
        tickets: Of what the ledger took on, by plugin; None where nothing.
        unrecorded: Whether the ledger had no room for something.
    """

    attributes: AttributeBag
    downstream: TcpFlow = field(default_factory=TcpFlow)
    upstream: TcpFlow = field(default_factory=TcpFlow)
    filter_state: dict[bytes, bytes] = field(default_factory=dict)
    state: FilterState = NOTHING_DECLARED
    closed: bool = False
    overrun: bool = False
    tickets: "dict[RootContext, list[int]] | None" = None
    unrecorded: bool = False
    _written: int = 0
    _kept: int = 0

    def charge(self, size: int) -> bool:
        """Count bytes that a module hands over; past the bound the connection is closed."""
        self._written += size
        return self._within(self._written)

    def begin_step(self) -> None:
        """Count anew: a connection may live for days, and most of what is written goes on."""
        self._written = 0

    def keep(self, size: int) -> bool:
        """Count bytes that stay with the connection until its end; likewise."""
        self._kept += size
        return self._within(self._kept)

    def _within(self, size: int) -> bool:
        if size > MAX_WRITTEN_BYTES:
            self.closed = self.overrun = True
        return size <= MAX_WRITTEN_BYTES

    def save(self) -> SavedTcpStream:
        """Note what a module can change of a connection, for `restore`."""
        return self.downstream.held, self.upstream.held, dict(self.filter_state), self._kept

    def restore(self, saved: SavedTcpStream) -> None:
        """Forget what was changed since `save`."""
        self.downstream.held, self.upstream.held, self.filter_state, self._kept = saved
        self.closed = self.overrun = False
