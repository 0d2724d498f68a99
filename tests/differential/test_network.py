"""Chains of adapters for TCP: Envoy's Wasm filters, the engine, and Envoy's ext_proc filter."""

import asyncio
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import pytest

from mixer.runner.tcp import connection_attributes
from tests.differential.network import through_exchanges, through_ext_proc
from tests.differential.scripted_exchange import answer, body, close, resume, set_body
from tests.differential.tcp import Carried, Connection, through_envoy
from tests.differential.test_tcp import ATTRIBUTES, CONNECTIONS, before_the_end, hold_at

DOWNSTREAM, UPSTREAM = 2, 3
BUFFERS = [body(DOWNSTREAM), body(UPSTREAM)]
SEES = {"downstream_data": BUFFERS, "upstream_data": BUFFERS}

CHAINS = {
    "two": Connection(SEES, behind=SEES),
    "two_change": Connection(
        {
            "downstream_data": [before_the_end(set_body(DOWNSTREAM, "a", 99, 0)), *BUFFERS],
            "upstream_data": [before_the_end(set_body(UPSTREAM, "A", 99, 0)), *BUFFERS],
        },
        behind={
            "downstream_data": [before_the_end(set_body(DOWNSTREAM, "b", 99, 0)), *BUFFERS],
            "upstream_data": [before_the_end(set_body(UPSTREAM, "B", 99, 0)), *BUFFERS],
        },
    ),
    "second_holds": Connection(SEES, behind={**SEES, "downstream_data": [*BUFFERS, hold_at(3)]}),
    "first_holds": Connection({**SEES, "downstream_data": [*BUFFERS, hold_at(3)]}, behind=SEES),
    "first_holds_upstream": Connection(
        {**SEES, "upstream_data": [*BUFFERS, hold_at(3)]}, behind=SEES
    ),
    "second_holds_upstream": Connection(
        SEES, behind={**SEES, "upstream_data": [*BUFFERS, hold_at(3)]}
    ),
    "first_lets_go": Connection(
        {
            "new_connection": [resume(DOWNSTREAM), answer(1)],
            "downstream_data": [resume(DOWNSTREAM), *BUFFERS, answer(1)],
            "upstream_data": BUFFERS,
        },
        behind=SEES,
    ),
    "second_closes": Connection(SEES, behind={"downstream_data": [close(DOWNSTREAM), *BUFFERS]}),
    "second_closes_upstream": Connection(
        SEES, behind={**SEES, "upstream_data": [close(UPSTREAM), *BUFFERS]}
    ),
    "first_holds_the_connection": Connection(
        {"new_connection": [answer(1)], **SEES}, behind=SEES, held=True
    ),
    "second_closes_at_once": Connection(SEES, behind={"new_connection": [close(DOWNSTREAM)]}),
}
ALL = {**CONNECTIONS, **CHAINS}
HELD_FOR_EVER = {name for name, one in ALL.items() if one.held}
"""Envoy's Wasm filter leaves such a connection alone; here it is closed, since nothing can let it
go on."""
REFUSED_AT_ONCE = HELD_FOR_EVER | {"closes_at_once", "second_closes_at_once"}
"""Of these, ext_proc tells with the first piece: the client has sent that."""

LOST_BY_EXT_PROC = {"reads_and_writes": b"!"}
"""The filter of Envoy 1.40 closes a connection whose sides have both ended without waiting for the
answer to the upstream's end: what a module adds there is lost."""


def without_what_is_lost(found: dict[str, Carried]) -> dict[str, Carried]:
    return {
        name: replace(one, downstream=one.downstream.removesuffix(LOST_BY_EXT_PROC.get(name, b"")))
        for name, one in found.items()
    }


def bytes_of(found: dict[str, Carried]) -> dict[str, Carried]:
    return {name: replace(one, lines=[]) for name, one in found.items()}


def lines_of(found: dict[str, Carried]) -> dict[str, list[str]]:
    return {name: one.lines for name, one in found.items() if name not in REFUSED_AT_ONCE}


def while_it_lives(lines: list[str]) -> list[str]:
    """Without the end: the filter of Envoy 1.40 may end its call before it has told all of that."""
    return list(takewhile(lambda line: "data 0 1" not in line and "_close" not in line, lines))


@pytest.mark.usefixtures("envoy")
def test_equal_to_envoy(tmp_path: Path) -> None:
    """Bytes, callbacks, arguments and statuses are the same as in Envoy's own filters.

    So they are behind Envoy's filter that asks the service, where a connection is only known with
    its first piece.
    """
    attributes = connection_attributes(ATTRIBUTES)
    here, logged = through_exchanges(ALL, attributes, tmp_path)
    envoy = asyncio.run(through_envoy(ALL, logged, tmp_path))
    asked = asyncio.run(through_ext_proc(ALL, logged, tmp_path))
    assert bytes_of(here) == bytes_of(envoy)
    assert bytes_of(asked) == without_what_is_lost(bytes_of(envoy))
    assert lines_of(here) == lines_of(envoy)
    for name, lines in lines_of(asked).items():
        assert while_it_lives(lines) == while_it_lives(envoy[name].lines), name
