"""TCP connections through Envoy's Wasm network filter, and through this host."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixer.attributes import AttributeBag
from mixer.proxywasm import (
    Outcome,
    Peer,
    PluginSettings,
    Services,
    TcpStream,
    TcpStreamContext,
    WasmVm,
)
from mixer.vm import VmLimits
from tests.differential.scripted_exchange import (
    TCP_CALLBACKS,
    Step,
    answer,
    body,
    close,
    module_text,
    number,
    pairs,
    prop,
    respond,
    resume,
    set_body,
    size,
    value,
)
from tests.differential.tcp import Carried, Connection, through_envoy
from tests.support.compile import linker, plugin

DOWNSTREAM, UPSTREAM = 2, 3
BUFFERS = (body(DOWNSTREAM), body(UPSTREAM))


def hold_at(length: int) -> Step:
    """Return a pause from a data callback that sees so many bytes."""
    return lambda _: (
        f"(if (i32.eq (local.get 1) (i32.const {length})) (then (return (i32.const 1))))"
    )


def before_the_end(step: Step) -> Step:
    """Only in a data callback that is not the last: what is sent with the end may come apart."""
    return lambda texts: f"(if (i32.eqz (local.get 2)) (then {step(texts)}))"


CONNECTIONS = {
    "plain": Connection({}),
    "upstream_closes": Connection({}, (b"one",), echoes=False),
    "reads_and_writes": Connection(
        {
            "new_connection": BUFFERS,
            "downstream_data": [*BUFFERS, before_the_end(set_body(DOWNSTREAM, "XX", 0, 2))],
            "upstream_data": [*BUFFERS, set_body(UPSTREAM, "!", 99, 0)],
            "downstream_connection_close": BUFFERS,
            "upstream_connection_close": BUFFERS,
            "done": BUFFERS,
            "log": BUFFERS,
            "delete": BUFFERS,
        }
    ),
    "middle": Connection(
        {"downstream_data": [before_the_end(set_body(DOWNSTREAM, "X", 1, 1)), *BUFFERS]}
    ),
    "holds_downstream": Connection(
        {"downstream_data": [*BUFFERS, hold_at(3)], "upstream_data": BUFFERS}
    ),
    "holds_upstream": Connection(
        {"upstream_data": [*BUFFERS, hold_at(3)], "downstream_data": BUFFERS}
    ),
    "holds_the_connection": Connection(
        {"new_connection": [answer(1)], "downstream_data": BUFFERS}, held=True
    ),
    "lets_go": Connection(
        {
            "new_connection": [resume(DOWNSTREAM), answer(1)],
            "downstream_data": [
                resume(DOWNSTREAM),
                *BUFFERS,
                before_the_end(set_body(DOWNSTREAM, "Q")),
                answer(1),
            ],
        }
    ),
    "closes_downstream": Connection({"downstream_data": [close(DOWNSTREAM), *BUFFERS]}),
    "closes_upstream": Connection({"upstream_data": [close(UPSTREAM), *BUFFERS]}),
    "closes_at_once": Connection({"new_connection": [close(DOWNSTREAM)]}),
    "another_action": Connection({"new_connection": [answer(2)]}, held=True),
    "http_calls": Connection(
        {
            "new_connection": [
                *(resume(kind) for kind in (0, 1, 3, 4)),
                *(close(kind) for kind in (0, 1, 4)),
                *(step(kind) for kind in (0, 2) for step in (pairs, size)),
                value(0, "x"),
                respond(403),
            ],
            "log": [value(0, "x"), pairs(0), resume(DOWNSTREAM)],
            "delete": [close(DOWNSTREAM)],
            "done": [answer(0)],
        }
    ),
    "properties": Connection(
        {
            name: [
                prop("plugin_name"),
                prop("connection", "requested_server_name"),
                prop("connection", "mtls"),
                prop("request", "path"),
                prop("nothing"),
                number("source", "port", told=False),
                number("source", "address", told=False),
                number("destination", "port", told=False),
                number("destination", "address", told=False),
                number("connection", "id", told=False),
            ]
            for name in ("new_connection", "downstream_data", "log")
        }
    ),
}
ATTRIBUTES = {
    "connection.requested_server_name": "",
    "connection.mtls": False,
    "connection.id": 1,
    "source.port": 1,
    "source.address": "127.0.0.1:1",
    "destination.port": 2,
    "destination.address": "127.0.0.1:2",
}  # fmt: skip


class Echo:
    """The upstream and the client of a connection, around a context.

    Attributes:
        logged: How many lines there are after each step, while the connection lives.
    """

    def __init__(self, context: TcpStreamContext, connection: Connection, lines: list[str]) -> None:
        self.lines = lines
        self.logged: list[int] = []
        self.context = context
        self.stream = context.stream
        self.connection = connection
        self.echoed = 0
        self.upstream_ended = False

    def run(self) -> None:
        outcome = self.context.on_new_connection()
        self.logged.append(len(self.lines))
        if outcome is Outcome.PAUSE:
            return
        for piece, last in self.pieces():
            if self.stream.closed:
                break
            self.context.on_downstream_data(piece, end_of_stream=last)
            self.reply(last)
            self.logged.append(len(self.lines))
        self.end()

    def pieces(self) -> Iterator[tuple[bytes, bool]]:
        yield from ((piece, False) for piece in self.connection.pieces)
        yield b"", True

    def reply(self, last: bool) -> None:
        fresh = self.stream.downstream.passed[self.echoed :]
        self.echoed += len(fresh)
        if self.stream.closed or self.upstream_ended:
            return
        if not self.connection.echoes:
            self.upstream_ended = True
            self.context.on_upstream_data(b"bye", end_of_stream=True)
        elif fresh or last:
            self.context.on_upstream_data(fresh, end_of_stream=last)

    def end(self) -> None:
        local = self.connection.echoes or self.stream.closed
        self.context.on_downstream_connection_close(Peer.LOCAL if local else Peer.REMOTE)
        self.context.delete()


def through_the_host(connection: Connection, name: str) -> tuple[Carried, list[int]]:
    """Run it here; also how many lines there were after each step."""
    carried = Carried()
    services = Services(log=lambda _, line: carried.lines.append(line))
    resolvers = {name: (lambda source, name=name: source[name]) for name in ATTRIBUTES}
    stream = TcpStream(AttributeBag(resolvers, ATTRIBUTES))
    module = plugin(module_text(connection.script, callbacks=TCP_CALLBACKS))
    with WasmVm(module, linker(), VmLimits(cpu=5.0), start_cpu=5.0, services=services) as vm:
        context = TcpStreamContext(vm.start_plugin(PluginSettings(name)), stream)
        echo = Echo(context, connection, carried.lines)
        echo.run()
    carried.upstream = stream.downstream.passed
    carried.downstream = stream.upstream.passed
    return carried, echo.logged


@pytest.mark.usefixtures("envoy")
def test_equal_to_envoy(tmp_path: Path) -> None:
    """The callbacks, their arguments, the statuses and the bytes on both sides are equal."""
    here, logged = {}, {}
    for name, connection in CONNECTIONS.items():
        here[name], logged[name] = through_the_host(connection, name)
    envoy = asyncio.run(through_envoy(CONNECTIONS, logged, tmp_path))
    assert here == envoy
