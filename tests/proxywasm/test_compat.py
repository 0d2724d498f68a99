"""Statuses on which SDKs panic, and the lenient ones instead."""

from typing import Any

import pytest

from mixer.proxywasm import Compat, PluginSettings
from mixer.proxywasm.departures import (
    ALL,
    CHANGE_ABSENT_BUFFER,
    CHANGE_ABSENT_MAP,
    CHANGE_READ_ONLY_BUFFER,
    CONTINUE_UPSTREAM,
    NOT_PENDING,
    READ_ABSENT_MAP,
    SET_PROPERTY_OUTSIDE_STREAM,
    UNKNOWN_CONTEXT,
    Departure,
)
from tests.support.guest import BYTES, Answer, Call, Guest, Phase, call

HEADERS = [(b":path", b"/"), (b"x", b"1")]
RESPONSE_HEADERS = 2
RESPONSE_BODY, CALL_BODY = 1, 4

CASES: list[tuple[Departure, Call]] = [
    (READ_ABSENT_MAP, call("proxy_get_header_map_value", RESPONSE_HEADERS, b"x", BYTES)),
    (CHANGE_ABSENT_MAP, call("proxy_add_header_map_value", RESPONSE_HEADERS, b"x", b"2")),
    (CHANGE_ABSENT_MAP, call("proxy_replace_header_map_value", RESPONSE_HEADERS, b"x", b"2")),
    (CHANGE_ABSENT_MAP, call("proxy_remove_header_map_value", RESPONSE_HEADERS, b"x")),
    (CHANGE_ABSENT_MAP, call("proxy_set_header_map_pairs", RESPONSE_HEADERS, bytes(4))),
    (CHANGE_ABSENT_BUFFER, call("proxy_set_buffer_bytes", CALL_BODY, 0, 0, b"new")),
    (CHANGE_READ_ONLY_BUFFER, call("proxy_set_buffer_bytes", RESPONSE_BODY, 0, 0, b"new")),
    (CONTINUE_UPSTREAM, call("proxy_continue_stream", 3)),
    (UNKNOWN_CONTEXT, call("proxy_set_effective_context", 99)),
    (NOT_PENDING, call("proxy_done")),
]


def settings(compat: Compat) -> PluginSettings:
    return PluginSettings("probe", compat=compat)


@pytest.mark.parametrize("compat", Compat)
@pytest.mark.parametrize(("departure", "one"), CASES, ids=lambda x: getattr(x, "name", ""))
def test_status_in_a_stream(departure: Departure, one: Call, compat: Compat) -> None:
    """In a stream each such call has the status of the table, and changes nothing."""
    with Guest(settings=settings(compat)) as guest, guest.open(headers=HEADERS) as context:
        guest.script([one], Phase.REQUEST_HEADERS)
        context.on_request_headers(end_of_stream=True)
        (answer,) = guest.answers()
        assert not context.stream.request.headers.changes()
    assert answer.status == getattr(departure, compat.value)
    assert one.name.removeprefix("proxy_") in departure.calls


@pytest.mark.parametrize("compat", Compat)
@pytest.mark.parametrize(
    ("departure", "one"),
    [
        (SET_PROPERTY_OUTSIDE_STREAM, call("proxy_set_property", b"name", b"value")),
        (READ_ABSENT_MAP, call("proxy_get_header_map_value", 0, b"x", BYTES)),
        (CHANGE_READ_ONLY_BUFFER, call("proxy_set_buffer_bytes", 0, 0, 0, b"new")),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_status_outside_a_stream(departure: Departure, one: Call, compat: Compat) -> None:
    """Also where the plugin itself makes the call."""
    with Guest(settings=settings(compat), script=[one]) as guest:
        assert guest.answers() == [Answer(getattr(departure, compat.value))]


def test_every_place_is_tested() -> None:
    """No place of the table is left out of this file."""
    assert {id(d) for d, _ in CASES} | {id(SET_PROPERTY_OUTSIDE_STREAM)} == set(map(id, ALL))


def test_lenient_changes_only_these() -> None:
    """A bad argument of another kind stays one."""
    bad: list[Any] = [
        call("proxy_get_header_map_value", 8, b"x", BYTES),
        call("proxy_continue_stream", 4),
        call("proxy_set_buffer_bytes", 9, 0, 0, b"new"),
        call("proxy_log", 6, b"text"),
    ]
    with Guest(settings=settings(Compat.LENIENT)) as guest:
        statuses = [a.status for a in guest.in_headers(*bad, headers=HEADERS)]
    assert statuses == [2, 2, 0, 2]
