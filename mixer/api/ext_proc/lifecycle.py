"""The life of a Process stream as a table: what is absent is illegal.

Request and response each go from headers over pieces of the body to trailers, and may overlap: an
upstream can answer before it has the whole request. A stream that begins with a response has no
request: a filter before this one answered, and inside Envoy no module is shown that either.
"""

from enum import IntEnum, StrEnum, auto
from typing import NamedTuple

from mixer.api.ext_proc.errors import ProtocolError


class Phase(StrEnum):
    """What a message is about; the name of its field, in both directions."""

    REQUEST_HEADERS = "request_headers"
    REQUEST_BODY = "request_body"
    REQUEST_TRAILERS = "request_trailers"
    RESPONSE_HEADERS = "response_headers"
    RESPONSE_BODY = "response_body"
    RESPONSE_TRAILERS = "response_trailers"

    __hash__ = str.__hash__  # that of enums is not compiled, and this one is asked for often


class Action(IntEnum):
    """What is to be done with a message."""

    BEGIN_REQUEST = auto()
    ADD_TO_REQUEST = auto()
    END_REQUEST = auto()
    BEGIN_RESPONSE = auto()
    ADD_TO_RESPONSE = auto()
    END_RESPONSE = auto()
    BYPASS = auto()


class Part(IntEnum):
    """How far one message of the stream has come."""

    NOTHING = auto()
    OPEN = auto()
    ENDED = auto()

    __hash__ = int.__hash__


class State(NamedTuple):
    """How far a stream has come."""

    request: Part
    response: Part


NEW = State(Part.NOTHING, Part.NOTHING)
"""Nothing came yet."""

# Part, phase and whether it is the end -> action, part.
_REQUEST = {
    (Part.NOTHING, Phase.REQUEST_HEADERS, False): (Action.BEGIN_REQUEST, Part.OPEN),
    (Part.NOTHING, Phase.REQUEST_HEADERS, True): (Action.BEGIN_REQUEST, Part.ENDED),
    (Part.OPEN, Phase.REQUEST_BODY, False): (Action.ADD_TO_REQUEST, Part.OPEN),
    (Part.OPEN, Phase.REQUEST_BODY, True): (Action.ADD_TO_REQUEST, Part.ENDED),
    (Part.OPEN, Phase.REQUEST_TRAILERS, True): (Action.END_REQUEST, Part.ENDED),
}
_RESPONSE = {
    (Part.NOTHING, Phase.RESPONSE_HEADERS, False): (Action.BEGIN_RESPONSE, Part.OPEN),
    (Part.NOTHING, Phase.RESPONSE_HEADERS, True): (Action.BEGIN_RESPONSE, Part.ENDED),
    (Part.OPEN, Phase.RESPONSE_BODY, False): (Action.ADD_TO_RESPONSE, Part.OPEN),
    (Part.OPEN, Phase.RESPONSE_BODY, True): (Action.ADD_TO_RESPONSE, Part.ENDED),
    (Part.OPEN, Phase.RESPONSE_TRAILERS, True): (Action.END_RESPONSE, Part.ENDED),
}

_LONE_RESPONSE = {
    (NEW, Phase.RESPONSE_HEADERS, False): (Action.BYPASS, State(Part.NOTHING, Part.OPEN)),
    (NEW, Phase.RESPONSE_HEADERS, True): (Action.BYPASS, State(Part.NOTHING, Part.ENDED)),
}

TABLE = (
    {
        (State(before, response), phase, ends): (action, State(after, response))
        for (before, phase, ends), (action, after) in _REQUEST.items()
        for response in Part
        if before is not Part.NOTHING or response is Part.NOTHING
    }
    | {
        (State(request, before), phase, ends): (action, State(request, after))
        for (before, phase, ends), (action, after) in _RESPONSE.items()
        for request in Part
        if request is not Part.NOTHING or before is not Part.NOTHING
    }
    | _LONE_RESPONSE
)
"""State, phase of a message and whether it ends the request or the response -> action, state."""


def advance(state: State, phase: Phase, *, ends: bool) -> tuple[Action, State]:
    """What to do with a message, and the state after it.

    Raises:
        ProtocolError: It is illegal in this state.
    """
    try:
        return TABLE[state, phase, ends]
    except KeyError:
        raise ProtocolError(_illegal(state, phase)) from None


def _illegal(state: State, phase: Phase) -> str:
    if state == NEW:
        return f"{phase}_without_request_headers"
    if phase in (Phase.RESPONSE_BODY, Phase.RESPONSE_TRAILERS) and state.response is Part.NOTHING:
        return f"{phase}_without_response_headers"
    return f"{phase}_out_of_order"
