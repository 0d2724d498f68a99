"""TCP connections in the host."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.attributes import AttributeBag
from mixer.proxywasm import Outcome, Peer, PluginSettings, Services, TcpStream, TcpStreamContext
from mixer.proxywasm.tcp_lifecycle import TcpEvent, TcpLifecycleError, TcpState, advance
from mixer.proxywasm.wasm_vm import WasmVm
from mixer.runner import RunPlugin
from mixer.runner.tcp import ConnectionReport, Piece, RunConnection, run_connection
from mixer.vm import TrapError, VmLimits
from tests.differential.scripted_exchange import (
    TCP_CALLBACKS,
    Script,
    answer,
    close,
    module_text,
    resume,
    set_body,
)
from tests.support.compile import linker, plugin, wasm

HOLD = {"downstream_data": [answer(1)]}
TRAP = {"upstream_data": [lambda _: "unreachable"]}


def run(script: Script, *pieces: Piece) -> ConnectionReport:
    code = wasm(module_text(script, callbacks=TCP_CALLBACKS))
    return run_connection(code, RunConnection(RunPlugin(PluginSettings("tcp")), pieces))


def test_a_connection_is_carried() -> None:
    """Both sides get what the other sent, and the module sees the whole life."""
    report = run(
        {}, Piece(b"a"), Piece(b"b", ends=True), Piece(b"c", from_upstream=True, ends=True)
    )
    assert (report.verdict, report.to_upstream, report.to_downstream) == ("carried", b"ab", b"c")
    assert [line for _, line in report.logs] == [
        "on_new_connection",
        "on_downstream_data 1 0",
        "on_downstream_data 1 1",
        "on_upstream_data 1 1",
        "on_upstream_connection_close 0",
        "on_downstream_connection_close 2",
        "on_done",
        "on_log",
        "on_delete",
    ]


@pytest.mark.parametrize(
    ("script", "verdict", "sent", "held"),
    [
        (HOLD, "carried", b"", 4),
        ({"downstream_data": [set_body(2, "new"), answer(0)]}, "carried", b"newnew", 0),
        ({"downstream_data": [resume(2), answer(1)]}, "carried", b"abcd", 0),
        ({"downstream_data": [resume(3), answer(1)]}, "carried", b"", 4),
        ({"new_connection": [answer(1)]}, "held", b"", 0),
        ({"new_connection": [resume(2), answer(1)]}, "carried", b"abcd", 0),
        ({"new_connection": [close(2)]}, "closed", b"", 0),
        ({"downstream_data": [close(3)]}, "closed", b"", 2),
    ],
)
def test_what_a_module_does_with_data(script: Script, verdict: str, sent: bytes, held: int) -> None:
    """It may hold data back, change it, let it go and close the connection."""
    report = run(script, Piece(b"ab"), Piece(b"cd"))
    assert (report.verdict, report.to_upstream, report.held_back) == (verdict, sent, held)


def test_data_that_another_callback_lets_go() -> None:
    """What is held back goes on once the module resumes it from the other direction."""
    script = {**HOLD, "upstream_data": [resume(2)]}
    report = run(script, Piece(b"ab"), Piece(b"x", from_upstream=True))
    assert (report.to_upstream, report.to_downstream, report.held_back) == (b"ab", b"x", 0)


def test_a_trap_is_told() -> None:
    """What was carried before stays in the report."""
    report = run(TRAP, Piece(b"a"), Piece(b"b", from_upstream=True))
    assert (report.verdict, report.to_upstream, report.to_downstream) == ("trap", b"a", b"")
    assert "unreachable" in report.trap


def test_a_flood_of_writes_closes_the_connection() -> None:
    """A module that hands over more than its bound has its connection closed."""
    stream = TcpStream(AttributeBag({}, None))
    assert stream.charge(16 << 20)
    assert not stream.charge(1)
    assert stream.closed


def test_contexts_are_gone_after_their_end() -> None:
    """A context is deleted even if the module traps as it is told so."""
    text = module_text({"done": [lambda _: "unreachable"]}, callbacks=TCP_CALLBACKS)
    with WasmVm(
        plugin(text), linker(), VmLimits(cpu=5.0), start_cpu=5.0, services=Services()
    ) as vm:
        root = vm.start_plugin(PluginSettings("tcp"))
        context = TcpStreamContext(root, TcpStream(AttributeBag({}, None)))
        assert context.on_new_connection() is Outcome.CONTINUE
        context.on_downstream_connection_close(Peer.REMOTE)
        with pytest.raises(TrapError):
            context.delete()
        assert list(vm.contexts) == [root.id]


@given(st.lists(st.sampled_from(TcpEvent), max_size=12))
def test_lifecycle(events: list[TcpEvent]) -> None:
    """Whatever the order: data only comes to an open connection, and its end comes once."""
    state = TcpState.NEW
    for event in events:
        try:
            after = advance(state, event)
        except TcpLifecycleError:
            continue
        assert after >= state
        assert event is not TcpEvent.DATA or state is TcpState.OPEN
        assert event is not TcpEvent.DELETE or state is TcpState.CLOSED
        state = after


def test_nothing_follows_the_end() -> None:
    """A deleted context takes no event at all."""
    for state, event in product([TcpState.DELETED], TcpEvent):
        with pytest.raises(TcpLifecycleError):
            advance(state, event)
