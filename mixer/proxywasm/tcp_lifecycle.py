"""The life of a TCP stream context as a table: what is absent is illegal.

Source: Envoy's order. A connection that its module holds back at the start gives it no data until
the module lets it go on.
"""

from enum import IntEnum, auto


class TcpState(IntEnum):
    """How far a TCP stream context has come."""

    NEW = auto()
    HELD = auto()
    OPEN = auto()
    CLOSED = auto()
    DELETED = auto()


class TcpEvent(IntEnum):
    """What happens to a TCP stream context next."""

    HOLD = auto()
    """The module returned a pause from ``proxy_on_new_connection``."""
    ACCEPT = auto()
    DATA = auto()
    UPSTREAM_CLOSE = auto()
    DOWNSTREAM_CLOSE = auto()
    DELETE = auto()
    ABANDON = auto()
    """Nobody will tell what becomes of the connection."""


_NEXT = {
    (TcpState.NEW, TcpEvent.HOLD): TcpState.HELD,
    (TcpState.NEW, TcpEvent.ACCEPT): TcpState.OPEN,
    (TcpState.HELD, TcpEvent.ACCEPT): TcpState.OPEN,
    (TcpState.OPEN, TcpEvent.DATA): TcpState.OPEN,
    (TcpState.OPEN, TcpEvent.UPSTREAM_CLOSE): TcpState.OPEN,
    (TcpState.HELD, TcpEvent.DOWNSTREAM_CLOSE): TcpState.CLOSED,
    (TcpState.OPEN, TcpEvent.DOWNSTREAM_CLOSE): TcpState.CLOSED,
    (TcpState.CLOSED, TcpEvent.DELETE): TcpState.DELETED,
    (TcpState.NEW, TcpEvent.ABANDON): TcpState.DELETED,
    (TcpState.HELD, TcpEvent.ABANDON): TcpState.DELETED,
    (TcpState.OPEN, TcpEvent.ABANDON): TcpState.DELETED,
}


class TcpLifecycleError(Exception):
    """The host drove a TCP stream context in an order that a module must never see."""


def advance(state: TcpState, event: TcpEvent) -> TcpState:
    """Return the state after an event. Raises TcpLifecycleError if the event is illegal there."""
    try:
        return _NEXT[state, event]
    except KeyError:
        raise TcpLifecycleError(f"{event.name} in state {state.name}") from None
