"""The life of an HTTP stream context as a table: what is absent is illegal.

The order of the end is Envoy's (log, done, delete), which is not the specification's.
"""

from enum import IntEnum, auto


class State(IntEnum):
    """How far a stream context has come."""

    NEW = auto()
    REQUEST_HEADERS = auto()
    REQUEST_BODY = auto()
    LOGGED = auto()
    DELETED = auto()


class Event(IntEnum):
    """What happens to it next."""

    REQUEST_HEADERS = auto()
    REQUEST_BODY = auto()
    LOG = auto()
    DELETE = auto()


_NEXT = {
    (State.NEW, Event.REQUEST_HEADERS): State.REQUEST_HEADERS,
    (State.REQUEST_HEADERS, Event.REQUEST_BODY): State.REQUEST_BODY,
    (State.REQUEST_BODY, Event.REQUEST_BODY): State.REQUEST_BODY,
    **{
        (state, Event.LOG): State.LOGGED
        for state in (State.NEW, State.REQUEST_HEADERS, State.REQUEST_BODY)
    },
    **{
        (state, Event.DELETE): State.DELETED
        for state in (State.NEW, State.REQUEST_HEADERS, State.REQUEST_BODY, State.LOGGED)
    },
}


class LifecycleError(Exception):
    """The host drove a stream context in an order that a module must never see."""


def advance(state: State, event: Event) -> State:
    """Return the state after an event. Raises LifecycleError if the event is illegal there."""
    try:
        return _NEXT[state, event]
    except KeyError:
        raise LifecycleError(f"{event.name} in state {state.name}") from None
