"""One HTTP stream through a chain, piece by piece, from the request's headers to the log.

As in Envoy's filter chain: each adapter has one context for the whole stream, the request passes
the adapters in order and the response in reverse, and what one of them holds back waits there while
the others may go on. Without I/O: a front end puts in what came, and looks at what came through.
"""

from mixer.engine.exchange.exchange import HttpExchange
from mixer.engine.exchange.flow import Flow

__all__ = ["Flow", "HttpExchange"]
