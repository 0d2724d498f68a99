"""One TCP connection through a chain of NETWORK adapters, piece by piece.

As in Envoy's chain of network filters: each adapter has one context for the whole connection. What
the client sends passes the adapters in order, what the upstream sends in reverse; what one of them
holds back, those before it are told of once more with the piece that follows. Without I/O: a front
end puts in what came, and looks at what came through.
"""

from mixer.engine.tcp.direction import Direction
from mixer.engine.tcp.exchange import TcpExchange
from mixer.engine.tcp.network import NO_NETWORK_ADAPTER, ConnectionCheck, NetworkAdapters

__all__ = [
    "NO_NETWORK_ADAPTER",
    "ConnectionCheck",
    "Direction",
    "NetworkAdapters",
    "TcpExchange",
]
