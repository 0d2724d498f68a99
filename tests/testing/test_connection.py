"""TCP connections of `mixer.testing`."""

from collections.abc import Callable

import pytest

from mixer.proxywasm.tcp_lifecycle import TcpLifecycleError
from mixer.testing import Connection, Host, Outcome, Peer, TrapError
from tests.differential.scripted_exchange import (
    TCP_CALLBACKS,
    Script,
    answer,
    close,
    module_text,
    put,
    raw,
    resume,
)
from tests.support.compile import wasm

Messages = Callable[[], list[str]]


def connect(host: Host, script: Script, **properties: int) -> tuple[Connection, Messages]:
    """A connection, and what tells the log."""
    plugin = host.load(wasm(module_text(script, callbacks=TCP_CALLBACKS)))
    return plugin.connection(properties), plugin.messages


def test_the_whole_life(proxy_wasm: Host) -> None:
    """Each callback is made when the test says so, in Envoy's order at the end."""
    connection, messages = connect(proxy_wasm, {})
    assert connection.new_connection() is Outcome.CONTINUE
    assert connection.downstream_data("one") is Outcome.CONTINUE
    assert connection.downstream_data(b"two", end_of_stream=True) is Outcome.CONTINUE
    assert connection.upstream_data("three", end_of_stream=True) is Outcome.CONTINUE
    assert (connection.to_upstream, connection.to_downstream) == (b"onetwo", b"three")
    connection.close()
    assert messages() == [
        "on_new_connection",
        "on_downstream_data 3 0",
        "on_downstream_data 3 1",
        "on_upstream_data 5 1",
        "on_upstream_connection_close 0",
        "on_downstream_connection_close 2",
        "on_done",
        "on_log",
        "on_delete",
    ]


def test_data_that_is_held_back(proxy_wasm: Host) -> None:
    """It is seen again with what came in since."""
    script = {"downstream_data": [answer(1)], "upstream_data": [answer(1)]}
    connection, messages = connect(proxy_wasm, script)
    connection.new_connection()
    assert connection.downstream_data("one") is Outcome.PAUSE
    connection.downstream_data("two")
    connection.upstream_data("three")
    assert (connection.to_upstream, connection.held_from_downstream) == (b"", b"onetwo")
    assert (connection.to_downstream, connection.held_from_upstream) == (b"", b"three")
    assert "on_downstream_data 6 0" in messages()


def test_a_connection_that_is_held(proxy_wasm: Host) -> None:
    """It gets no data until the module lets it go on."""
    connection, _ = connect(proxy_wasm, {"new_connection": [answer(1)]})
    assert connection.new_connection() is Outcome.PAUSE
    assert connection.waits
    with pytest.raises(TcpLifecycleError):
        connection.downstream_data("one")
    other, _ = connect(proxy_wasm, {"new_connection": [resume(2), answer(1)]})
    other.new_connection()
    assert not other.waits


def test_who_closes(proxy_wasm: Host) -> None:
    """The module is told who closed the connection: itself, the client, or as the test says."""
    closing, messages = connect(proxy_wasm, {"downstream_data": [close(2)]})
    closing.new_connection()
    assert closing.downstream_data("one") is Outcome.RESET
    assert closing.closed
    closing.close()
    assert f"on_downstream_connection_close {Peer.LOCAL:d}" in messages()
    other, messages = connect(proxy_wasm, {})
    other.new_connection()
    other.upstream_close(Peer.REMOTE)
    other.close(Peer.UNKNOWN)
    assert messages()[1:3] == [
        f"on_upstream_connection_close {Peer.REMOTE:d}",
        f"on_downstream_connection_close {Peer.UNKNOWN:d}",
    ]


def test_properties(proxy_wasm: Host) -> None:
    """The test gives the connection's attributes, and sees what modules set."""
    script = {"new_connection": [raw("source", "port"), put(b"value", "own")]}
    connection, messages = connect(proxy_wasm, script, **{"source.port": 4711})
    connection.new_connection()
    assert f"property source/port 0 {(4711).to_bytes(8, 'little').hex()}" in messages()
    assert connection.properties == {b"own": b"value"}


def test_a_trap(proxy_wasm: Host) -> None:
    """It comes out of the callback."""
    connection, _ = connect(proxy_wasm, {"new_connection": [lambda _: "unreachable"]})
    with pytest.raises(TrapError):
        connection.new_connection()
