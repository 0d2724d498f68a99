"""The order in which a stream context may be driven."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.proxywasm import StreamContext
from mixer.proxywasm.lifecycle import Event, LifecycleError, State, advance
from tests.support.guest import Guest

LETTERS = {
    Event.REQUEST_HEADERS: "h", Event.REQUEST_BODY: "b", Event.LOG: "l", Event.DELETE: "d",
}  # fmt: skip
LEGAL = re.compile("(hb*)?l?d?")
"""Every beginning of a legal life is one that this matches."""

SERIES = st.lists(st.sampled_from(list(Event)), max_size=8)


def legal_part(events: list[Event]) -> int:
    """How many events of a series are legal."""
    letters = "".join(LETTERS[e] for e in events)
    return max(n for n in range(len(letters) + 1) if LEGAL.fullmatch(letters[:n]))


@given(SERIES)
def test_table_allows_what_is_legal_and_nothing_else(events: list[Event]) -> None:
    """The first event out of order is refused, and none before it."""
    state, legal = State.NEW, legal_part(events)
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
        Event.LOG: StreamContext.log_stream,
        Event.DELETE: StreamContext.delete,
    }
    legal = legal_part(events)
    with Guest() as guest:
        context = guest.stream()
        for event in events[:legal]:
            drive[event](context)
        if legal < len(events):
            seen = guest.events()
            with pytest.raises(LifecycleError):
                drive[events[legal]](context)
            assert guest.events() == seen
