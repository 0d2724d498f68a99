"""One TCP connection through a plugin under test, callback by callback."""

from collections.abc import Mapping

from mixer.attributes import Value
from mixer.proxywasm import Outcome, Peer, RootContext, TcpStream, TcpStreamContext
from mixer.runner.tcp import connection_attributes


class Connection:
    """One TCP connection; made by `Plugin.connection`.

    The order of the callbacks is the test's; one that Envoy never makes raises TcpLifecycleError. A
    trap raises TrapError.
    """

    def __init__(self, root: RootContext, properties: Mapping[str, Value]) -> None:
        self._root = root
        self._stream = TcpStream(connection_attributes(properties))
        self._context: TcpStreamContext | None = None

    def open(self) -> TcpStreamContext:
        """Create the context, where that did not happen yet."""
        if self._context is None:
            self._context = TcpStreamContext(self._root, self._stream)
        return self._context

    @property
    def id(self) -> int:
        """The context's id in its VM."""
        return self.open().id

    @property
    def to_upstream(self) -> bytes:
        """What went on of the client's data."""
        return self._stream.downstream.passed

    @property
    def to_downstream(self) -> bytes:
        """What went on of the upstream's data."""
        return self._stream.upstream.passed

    @property
    def held_from_downstream(self) -> bytes:
        """What the module holds back of the client's data."""
        return self._stream.downstream.held

    @property
    def held_from_upstream(self) -> bytes:
        """What the module holds back of the upstream's data."""
        return self._stream.upstream.held

    @property
    def waits(self) -> bool:
        """Whether the module keeps the connection from its start: it gets no data then."""
        return self.open().is_held

    @property
    def closed(self) -> bool:
        """Whether the module closed the connection."""
        return self._stream.closed

    @property
    def properties(self) -> Mapping[bytes, bytes]:
        """What modules set, by path."""
        return self._stream.filter_state

    def new_connection(self) -> Outcome:
        """Make ``proxy_on_new_connection``."""
        return self.open().on_new_connection()

    def downstream_data(self, data: bytes | str = b"", *, end_of_stream: bool = False) -> Outcome:
        """Make ``proxy_on_downstream_data`` over what is held and a piece from the client."""
        return self.open().on_downstream_data(_bytes(data), end_of_stream=end_of_stream)

    def upstream_data(self, data: bytes | str = b"", *, end_of_stream: bool = False) -> Outcome:
        """Make ``proxy_on_upstream_data``; at the end ``proxy_on_upstream_connection_close``."""
        return self.open().on_upstream_data(_bytes(data), end_of_stream=end_of_stream)

    def upstream_close(self, peer: Peer = Peer.UNKNOWN) -> None:
        """Make ``proxy_on_upstream_connection_close`` alone."""
        self.open().on_upstream_connection_close(peer)

    def downstream_close(self, peer: Peer | None = None) -> None:
        """Make ``proxy_on_downstream_connection_close``.

        Args:
            peer: Who closed it; when not given the client, or the proxy if the module closed it.
        """
        ended = Peer.LOCAL if self.closed else Peer.REMOTE
        self.open().on_downstream_connection_close(ended if peer is None else peer)

    def delete(self) -> None:
        """Make ``proxy_on_done``, ``proxy_on_log`` and ``proxy_on_delete``."""
        self.open().delete()

    def close(self, peer: Peer | None = None) -> None:
        """End the connection: `downstream_close`, then `delete`."""
        self.downstream_close(peer)
        self.delete()


def _bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data
