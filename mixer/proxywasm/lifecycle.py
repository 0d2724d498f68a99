"""The life of an HTTP stream context as a table: what is absent is illegal.

Request and response each go from headers over the body to trailers, and may overlap: an upstream
can answer before it has the whole request. HTTP/2 metadata comes any number of times between the
headers of a message and its end: Envoy keeps what came earlier until the headers went on. The order
of the end is Envoy's (log, done, delete), which is not the specification's.
"""

from enum import IntEnum, auto
from itertools import product
from typing import NamedTuple


class Part(IntEnum):
    """How far one message of the stream has come."""

    NOTHING = auto()
    HEADERS = auto()
    BODY = auto()
    TRAILERS = auto()


class End(IntEnum):
    """How far the end of the stream has come."""

    OPEN = auto()
    LOGGED = auto()
    DELETED = auto()


class Event(IntEnum):
    """What happens to a stream context next."""

    REQUEST_HEADERS = auto()
    REQUEST_BODY = auto()
    REQUEST_TRAILERS = auto()
    RESPONSE_HEADERS = auto()
    RESPONSE_BODY = auto()
    RESPONSE_TRAILERS = auto()
    REQUEST_METADATA = auto()
    RESPONSE_METADATA = auto()
    LOG = auto()
    DELETE = auto()


class State(NamedTuple):
    """How far a stream context has come."""

    request: Part
    response: Part
    end: End


NEW = State(Part.NOTHING, Part.NOTHING, End.OPEN)
"""A context that was just created."""

_REQUEST = {
    Event.REQUEST_HEADERS: Part.HEADERS,
    Event.REQUEST_BODY: Part.BODY,
    Event.REQUEST_TRAILERS: Part.TRAILERS,
}
_RESPONSE = {
    Event.RESPONSE_HEADERS: Part.HEADERS,
    Event.RESPONSE_BODY: Part.BODY,
    Event.RESPONSE_TRAILERS: Part.TRAILERS,
}
_METADATA = {Event.REQUEST_METADATA: 0, Event.RESPONSE_METADATA: 1}
"""Of which message they are: an index of `State`."""
_FOLLOWS = {
    Part.HEADERS: (Part.NOTHING,),
    Part.BODY: (Part.HEADERS, Part.BODY),
    Part.TRAILERS: (Part.HEADERS, Part.BODY),
}


def _after(state: State, event: Event) -> State | None:
    if event is Event.LOG:
        return state._replace(end=End.LOGGED) if state.end is End.OPEN else None
    if event is Event.DELETE:
        return state._replace(end=End.DELETED) if state.end is not End.DELETED else None
    if state.end is not End.OPEN:
        return None
    if event in _METADATA:
        return state if state[_METADATA[event]] in (Part.HEADERS, Part.BODY) else None
    if event in _REQUEST:
        part = _REQUEST[event]
        return state._replace(request=part) if state.request in _FOLLOWS[part] else None
    part = _RESPONSE[event]
    legal = state.request is not Part.NOTHING and state.response in _FOLLOWS[part]
    return state._replace(response=part) if legal else None


_STATES = {state: state for state in (State(*parts) for parts in product(Part, Part, End))}
_NEXT = {
    (state, event): _STATES[after]
    for state in _STATES
    for event in Event
    if (after := _after(state, event))
}


class LifecycleError(Exception):
    """The host drove a stream context in an order that a module must never see."""


def advance(state: State, event: Event) -> State:
    """Return the state after an event. Raises LifecycleError if the event is illegal there."""
    try:
        return _NEXT[state, event]
    except KeyError:
        raise LifecycleError(f"{event.name} in state {state}") from None
