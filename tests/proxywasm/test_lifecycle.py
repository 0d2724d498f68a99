"""The order in which a stream context may be driven."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.attributes import HeaderMap
from mixer.proxywasm import HttpMessage, StreamContext
from mixer.proxywasm.lifecycle import NEW, Event, LifecycleError, advance
from tests.support.guest import Guest

LETTERS = {
    Event.REQUEST_HEADERS: "h", Event.REQUEST_BODY: "b", Event.REQUEST_TRAILERS: "t",
    Event.RESPONSE_HEADERS: "H", Event.RESPONSE_BODY: "B", Event.RESPONSE_TRAILERS: "T",
    Event.REQUEST_METADATA: "m", Event.RESPONSE_METADATA: "M",
    Event.LOG: "l", Event.DELETE: "d",
}  # fmt: skip
REQUEST, RESPONSE = re.compile("(h[bm]*t?)?l?d?"), re.compile("(H[BM]*T?)?l?d?")
"""Request and response go on side by side, the request first."""

SERIES = st.lists(st.sampled_from(list(Event)), max_size=8)


def is_legal(letters: str) -> bool:
    request = "".join(c for c in letters if c not in "HBTM")
    response = "".join(c for c in letters if c not in "hbtm")
    after_response = letters.partition("H")[0] if "H" in letters else "h"
    return bool(
        REQUEST.fullmatch(request) and RESPONSE.fullmatch(response) and "h" in after_response
    )


def legal_part(events: list[Event]) -> int:
    """How many events of a series are legal."""
    letters = "".join(LETTERS[e] for e in events)
    return next(n for n in range(len(letters), -1, -1) if is_legal(letters[:n]))


@given(SERIES)
def test_table_allows_what_is_legal_and_nothing_else(events: list[Event]) -> None:
    """The first event out of order is refused, and none before it."""
    state, legal = NEW, legal_part(events)
    for event in events[:legal]:
        state = advance(state, event)
    if legal < len(events):
        with pytest.raises(LifecycleError, match=events[legal].name):
            advance(state, events[legal])


@given(SERIES)
@settings(max_examples=60, deadline=None)
def test_context_refuses_what_is_out_of_order(events: list[Event]) -> None:
    """A context that is driven out of order raises before the module is entered."""
    drive = {
        Event.REQUEST_HEADERS: lambda c: c.on_request_headers(end_of_stream=False),
        Event.REQUEST_BODY: lambda c: c.on_request_body(end_of_stream=True),
        Event.REQUEST_TRAILERS: StreamContext.on_request_trailers,
        Event.RESPONSE_HEADERS: lambda c: c.on_response_headers(end_of_stream=False),
        Event.RESPONSE_BODY: lambda c: c.on_response_body(end_of_stream=True),
        Event.RESPONSE_TRAILERS: StreamContext.on_response_trailers,
        Event.REQUEST_METADATA: lambda c: c.on_request_metadata({}),
        Event.RESPONSE_METADATA: lambda c: c.on_response_metadata({}),
        Event.LOG: StreamContext.log_stream,
        Event.DELETE: StreamContext.delete,
    }
    legal = legal_part(events)
    with Guest() as guest:
        context = guest.stream()
        context.stream.response = HttpMessage(HeaderMap.of((":status", "200")))
        for event in events[:legal]:
            drive[event](context)
        if legal < len(events):
            seen = guest.events()
            with pytest.raises(LifecycleError):
                drive[events[legal]](context)
            assert guest.events() == seen
