"""TCP connections through the NETWORK adapters of an engine."""

import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixer.attributes import AttributeBag
from mixer.engine import NO_NETWORK_ADAPTER, Decision, PendingDecision, TcpExchange, Verdict
from mixer.proxywasm import Peer, TcpLifecycleError
from mixer.runner.tcp import connection_attributes
from tests.differential.scripted_exchange import (
    TCP_CALLBACKS,
    Script,
    Step,
    answer,
    callout,
    close,
    effective,
    module_text,
    put,
    resume,
    set_body,
)
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.engine.world import World
from tests.support.adapters import adapter
from tests.support.tenants import off, rule

DOWNSTREAM, UPSTREAM = 2, 3
_CALLBACKS = {**TCP_CALLBACKS, "http_call_response": 5}
_CALL = callout("auth", [(b":method", b"GET"), (b":path", b"/"), (b":authority", b"a")])
TRAP: Step = lambda _: "unreachable"  # noqa: E731 - as the other steps
ASK: Script = {
    "new_connection": [_CALL, answer(1)],
    "http_call_response": [effective, resume(DOWNSTREAM)],
}
"""Holds the connection until another service has answered."""


def network(plugins: Plugins, name: str, script: Script, **spec: Any) -> dict[str, Any]:
    """A NETWORK adapter that does what a script says."""
    text = module_text(script, callbacks=_CALLBACKS)
    return plugins.plugin(name, text, type="NETWORK", **spec)


def when(text: str, *steps: Step) -> Step:
    """Do something in a data callback only where the data has this length."""
    return lambda texts: (
        f"(if (i32.eq (local.get 1) (i32.const {len(text)}))"
        f" (then {' '.join(step(texts) for step in steps)}))"
    )


def attributes(**properties: Any) -> AttributeBag:
    return connection_attributes({name.replace("_", "."): v for name, v in properties.items()})


class Carrier:
    """A connection through an engine, and what came through on either side."""

    def __init__(self, world: World, **properties: Any) -> None:
        self.exchange: TcpExchange = world.engine.connect(attributes(**properties))
        self.to_upstream = self.to_downstream = b""
        if self.exchange.answer is None:
            self.exchange.new_connection()

    def client(self, data: bytes = b"", *, ends: bool = False) -> bytes:
        self.exchange.downstream_data(data, end_of_stream=ends)
        return self.exchange.downstream.take()

    def server(self, data: bytes = b"", *, ends: bool = False) -> bytes:
        self.exchange.upstream_data(data, end_of_stream=ends)
        return self.exchange.upstream.take()

    @property
    def answer(self) -> Decision:
        assert self.exchange.answer is not None
        return self.exchange.answer


def test_the_order_of_the_adapters(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The client's data passes them in order, the upstream's in reverse; each may change it."""
    world = World(
        make_engine,
        *(
            network(
                plugins,
                name,
                {
                    "downstream_data": [set_body(DOWNSTREAM, name, 9, 0)],
                    "upstream_data": [set_body(UPSTREAM, name, 9, 0)],
                },
                priority=priority,
            )
            for name, priority in (("a", 2), ("b", 1))
        ),
    )
    one = Carrier(world)
    assert one.client(b"-") == b"-ab"
    assert one.server(b"-") == b"-ba"
    assert one.exchange.accepted
    decision = one.exchange.close()
    assert (decision.verdict, decision.adapters) == (Verdict.ALLOW, ("a", "b"))


def test_only_adapters_of_type_network(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A connection is nothing to adapters for HTTP, nor a request to those for TCP."""
    world = World(
        make_engine,
        network(plugins, "tcp", {}),
        plugins.plugin("http", adapter(), type="HTTP"),
        plugins.plugin("unspecified", adapter()),
    )
    assert Carrier(world).exchange.close().adapters == ("tcp",)
    assert world.engine.broken == ()
    decision = world.engine.decide(request())
    assert isinstance(decision, Decision)
    assert decision.adapters == ("http", "unspecified")


def test_without_network_adapters(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Where there is none at all, no connection is let in, and the reason says what to do."""
    world = World(make_engine, plugins.plugin("http", adapter()))
    decision = world.engine.check_connection(attributes())
    assert isinstance(decision, Decision)
    assert (decision.verdict, decision.reason) == (Verdict.ERROR, NO_NETWORK_ADAPTER)
    assert decision.response is not None
    assert Carrier(world).answer == decision


def test_rules_are_for_connections_too(make_engine: MakeEngine, plugins: Plugins) -> None:
    """They are chosen by what is told of the connection; the decision tells which it was."""
    world = World(
        make_engine,
        network(plugins, "a", {"new_connection": [close(2)]}),
        rule("known", "destination.port == 5432", {"name": "a"}),
        rule("off", 'source.address.startsWith("10.")', off("a")),
    )
    told = [
        world.engine.check_connection(attributes(destination_port=port, source_address=address))
        for port, address in ((5432, "10.0.0.1:1"), (6379, "10.0.0.1:1"), (6379, "11.0.0.1:1"))
    ]
    found = [(one.verdict, one.rule) for one in told if isinstance(one, Decision)]
    assert found == [("deny", "known"), ("allow", ""), ("deny", "")]


def test_adapters_that_do_not_match(make_engine: MakeEngine, plugins: Plugins) -> None:
    """``match`` selects by port; a connection that no adapter is for is let in."""
    match = [{"ports": [{"number": 5432}]}]
    world = World(make_engine, network(plugins, "a", {"new_connection": [close(2)]}, match=match))
    verdicts = [
        world.engine.check_connection(attributes(destination_port=port)) for port in (5432, 6379)
    ]
    assert [one.verdict for one in verdicts if isinstance(one, Decision)] == ["deny", "allow"]


@pytest.mark.parametrize("direction", [DOWNSTREAM, UPSTREAM])
def test_a_module_that_closes_the_connection(
    make_engine: MakeEngine, plugins: Plugins, direction: int
) -> None:
    """Closing is a denial; those that came to see the connection are told of its end."""
    world = World(
        make_engine,
        network(plugins, "a", {}, priority=2),
        network(plugins, "b", {"downstream_data": [close(direction)]}, priority=1),
    )
    one = Carrier(world)
    assert one.client(b"x") == b""
    assert (one.answer.verdict, one.answer.adapter) == (Verdict.DENY, "b")
    assert one.answer.reason == "closed_the_connection"
    assert one.client(b"y") == one.server(b"z") == b""
    assert one.exchange.close() == one.answer
    assert world.engine.adapters[1].stats.denied == 1
    assert world.engine.connection_verdicts.deny == 1


@pytest.mark.parametrize("path", ["mixer.deny.reason", "mixer\0deny\0reason"])
def test_a_module_says_why(make_engine: MakeEngine, plugins: Plugins, path: str) -> None:
    """A reason that it tells is that of the decision: cut, and on one line."""
    told = put(b"denied\nby x" + b"!" * 300, path)
    world = World(make_engine, network(plugins, "a", {"new_connection": [told, close(2)]}))
    assert Carrier(world).answer.reason == "denied_by x" + "!" * 245


def test_the_end_of_a_connection(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """Each adapter is told of it in turn, once: close, done, log and delete."""
    world = World(
        make_engine,
        network(plugins, "a", {}, priority=2),
        network(plugins, "b", {}, priority=1),
    )
    caplog.set_level(logging.INFO)
    one = Carrier(world)
    caplog.clear()
    for _ in range(2):
        one.exchange.close(Peer.REMOTE)
    told = ["on_downstream_connection_close 2", "on_done", "on_log", "on_delete"]
    assert [line.rpartition(": ")[2] for line in caplog.messages] == told * 2


def test_a_check_says_nothing_of_the_end(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever only asks whether a connection may begin does not know how it ends: no log."""
    world = World(make_engine, network(plugins, "a", {}))
    caplog.set_level(logging.INFO)
    decision = world.engine.check_connection(attributes())
    assert isinstance(decision, Decision)
    assert decision.verdict is Verdict.ALLOW
    said = [line.rpartition(": ")[2] for line in caplog.messages]
    assert [line for line in said if line.startswith("on_")] == [
        "on_new_connection",
        "on_done",
        "on_delete",
    ]
    assert world.engine.verdicts.allow == 1


def test_a_check_that_waits(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A connection that is held for a callout is decided about when the module resumes it."""
    world = World(
        make_engine,
        network(plugins, "a", ASK, priority=2),
        network(plugins, "b", {"new_connection": [close(2)]}, priority=1),
    )
    pending = world.engine.check_connection(attributes())
    assert isinstance(pending, PendingDecision)
    seen: list[Decision] = []
    pending.then(seen.append)
    world.answer()
    [decision] = seen
    assert (decision.verdict, decision.adapter) == (Verdict.DENY, "b")


@pytest.mark.parametrize("strategy", ["FAIL_CLOSE", "FAIL_OPEN"])
def test_a_check_that_nobody_waits_for(
    make_engine: MakeEngine, plugins: Plugins, strategy: str
) -> None:
    """What takes too long is an error, with FAIL_OPEN too; the callout's answer changes nothing."""
    world = World(make_engine, network(plugins, "a", ASK, failStrategy=strategy))
    pending = world.engine.check_connection(attributes())
    assert isinstance(pending, PendingDecision)
    decision = pending.give_up("too_slow")
    assert (decision.verdict, decision.adapter, decision.reason) == ("error", "a", "too_slow")
    world.answer()
    assert pending.decision is decision
    assert world.engine.verdicts.error == 1


@pytest.mark.parametrize("strategy", ["FAIL_CLOSE", "FAIL_OPEN"])
def test_a_connection_that_is_held_for_ever(
    make_engine: MakeEngine, plugins: Plugins, strategy: str
) -> None:
    """Where nothing could resume it, it is closed at once: the module did that on purpose."""
    script = {"new_connection": [answer(1)]}
    world = World(make_engine, network(plugins, "a", script, failStrategy=strategy))
    decision = world.engine.check_connection(attributes())
    assert isinstance(decision, Decision)
    assert (decision.verdict, decision.reason) == (Verdict.ERROR, "paused_for_ever")
    assert Carrier(world).answer == decision


def test_data_waits_for_the_beginning(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Of a connection that is held, no data is told; it comes through once the module resumes."""
    world = World(
        make_engine,
        network(plugins, "a", ASK, priority=2),
        network(plugins, "b", {"upstream_data": [set_body(UPSTREAM, "!", 99, 0)]}, priority=1),
    )
    one, changes = Carrier(world), []
    one.exchange.on_change = lambda: changes.append(1)
    assert one.client(b"early", ends=True) == one.server(b"hello") == b""
    assert not one.exchange.accepted
    assert one.exchange.may_go_on
    world.answer()
    assert one.exchange.accepted
    assert changes
    assert one.exchange.downstream.take() == b"early"
    assert one.exchange.upstream.take() == b"hello!"
    assert one.exchange.downstream.ended
    assert not one.exchange.upstream.ended


def test_data_that_a_callout_lets_go(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What is held back goes on, through the adapters after it, when the module resumes."""
    script = {
        "downstream_data": [_CALL, answer(1)],
        "http_call_response": [effective, resume(DOWNSTREAM)],
    }
    world = World(
        make_engine,
        network(plugins, "a", script, priority=2),
        network(plugins, "b", {"downstream_data": [set_body(2, "!", 9, 0)]}, priority=1),
    )
    one = Carrier(world)
    assert one.client(b"x") == b""
    world.answer()
    assert one.exchange.downstream.take() == b"x!"


def test_a_callout_that_closes_the_connection(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A module may deny when its callout answers."""
    script = {**ASK, "http_call_response": [effective, close(DOWNSTREAM)]}
    world = World(make_engine, network(plugins, "a", script))
    one, changes = Carrier(world), []
    one.exchange.on_change = lambda: changes.append(1)
    world.answer()
    assert changes == [1]
    assert (one.answer.verdict, one.answer.adapter) == (Verdict.DENY, "a")


@pytest.mark.parametrize(
    ("strategy", "verdict"), [("FAIL_CLOSE", Verdict.ERROR), ("FAIL_OPEN", Verdict.ALLOW)]
)
@pytest.mark.parametrize("callback", ["new_connection", "downstream_data", "upstream_data"])
def test_a_trap(
    make_engine: MakeEngine, plugins: Plugins, strategy: str, verdict: Verdict, callback: str
) -> None:
    """FAIL_CLOSE closes the connection; FAIL_OPEN carries on without the adapter, as it was."""
    script = {callback: [put(b"1", "x"), set_body(2, "no"), set_body(3, "no"), TRAP]}
    world = World(
        make_engine,
        network(plugins, "a", {}, priority=3),
        network(plugins, "b", script, failStrategy=strategy, priority=2),
        network(plugins, "c", {}, priority=1),
    )
    one = Carrier(world)
    sent = one.client(b"up") + one.server(b"down")
    if verdict is Verdict.ALLOW:
        assert sent == b"updown"
        assert one.client(b"more") == b"more"
    else:
        assert one.answer.reason == "trap_unreachable"
    decision = one.exchange.close()
    assert (decision.verdict, decision.failed_open) == (verdict, ("b",) * (verdict == "allow"))


def test_a_trap_while_others_hold(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A connection that waits in a VM that falls is closed at once."""
    world = World(make_engine, network(plugins, "a", {**ASK, "http_call_response": [TRAP]}))
    waiting = Carrier(world)
    changes: list[int] = []
    waiting.exchange.on_change = lambda: changes.append(1)
    world.answer()
    assert changes
    assert waiting.answer.reason == "lost_its_vm"


def test_an_idle_connection_whose_vm_is_lost(make_engine: MakeEngine, plugins: Plugins) -> None:
    """It is closed with its next piece, as in Envoy."""
    script = {"downstream_data": [when("trap", TRAP)]}
    world = World(make_engine, network(plugins, "a", script))
    idle, other = Carrier(world), Carrier(world)
    other.client(b"trap")
    world.time.advance()
    assert idle.exchange.answer is None
    assert idle.client(b"x") == b""
    assert idle.answer.reason == "lost_its_vm"


@pytest.mark.parametrize("upstream", [False, True])
def test_too_much_is_held_back(make_engine: MakeEngine, plugins: Plugins, upstream: bool) -> None:
    """An adapter that holds back more than may be has its connection closed."""
    script = {"downstream_data": [answer(1)], "upstream_data": [answer(1)]}
    world = World(make_engine, network(plugins, "a", script))
    one = Carrier(world)
    send = one.server if upstream else one.client
    send(b"x" * (1 << 20))
    assert one.exchange.answer is None
    send(b"x")
    assert (one.answer.adapter, one.answer.reason) == ("a", "holds_back_too_much")


def test_what_a_module_writes_is_bounded_by_piece(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """A connection may live for days: what went on already does not count."""
    script = {"downstream_data": [set_body(2, "y" * 60_000)]}
    world = World(make_engine, network(plugins, "a", script))
    one = Carrier(world)
    for _ in range(300):  # 18 MB
        assert len(one.client(b"x")) == 60_000


def test_what_a_module_keeps_is_bounded(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Properties stay until the end: past the bound the connection is closed."""
    script = {
        "downstream_data": [
            lambda _: (
                "(drop (call $set_property (i32.const 131072) (i32.const 4)"
                " (i32.const 0) (i32.const 131072)))"
                "(i32.store (i32.const 131072)"
                " (i32.add (i32.load (i32.const 131072)) (i32.const 1)))"
            )
        ]
    }
    world = World(make_engine, network(plugins, "a", script))
    one = Carrier(world)
    for _ in range(200):
        one.client(b"x")
        if one.exchange.answer is not None:
            break
    assert one.answer.reason == "wrote_too_much"


def test_a_defect_of_our_own(
    make_engine: MakeEngine, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it happens between the calls of the front end, that is told; nothing comes through."""
    world = World(make_engine, network(plugins, "a", ASK))
    one, changes = Carrier(world), []
    one.exchange.on_change = lambda: changes.append(1)
    monkeypatch.setattr(TcpExchange, "_look_at_all", lambda _self: 1 / 0)
    world.answer()
    assert changes == [1]
    assert one.answer.reason == "internal_error"


def test_an_illegal_order(make_engine: MakeEngine, plugins: Plugins) -> None:
    """No data comes before the connection, or after the end of its direction."""
    world = World(make_engine, network(plugins, "a", {}))
    fresh = world.engine.connect(attributes())
    with pytest.raises(TcpLifecycleError):
        fresh.downstream_data(b"", end_of_stream=False)
    one = Carrier(world)
    with pytest.raises(TcpLifecycleError):
        one.exchange.new_connection()
    one.client(ends=True)
    one.server(b"still")
    with pytest.raises(TcpLifecycleError):
        one.client(b"more")


def test_a_connection_that_ends_before_it_began(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What nobody let in is no allow."""
    world = World(make_engine, network(plugins, "a", ASK))
    decision = Carrier(world).exchange.close()
    assert (decision.verdict, decision.reason) == (Verdict.ERROR, "caller_gone")
    assert world.engine.connection_verdicts.error == 1


def test_an_isolated_connection(make_engine: MakeEngine, plugins: Plugins) -> None:
    """With isolation each connection has a VM, which is free again at its end."""
    document = network(plugins, "a", {})
    document["metadata"]["annotations"] = {"mixer.dev/isolation": "request"}
    world = World(make_engine, document)
    for _ in range(300):  # more than there may be at one time
        one = Carrier(world)
        assert one.client(b"x") == b"x"
        assert one.exchange.close().verdict is Verdict.ALLOW
        check = world.engine.check_connection(attributes())
        assert isinstance(check, Decision)
        assert check.verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"type": "NETWORK"}, "no callbacks for TCP connections"),
        ({}, None),
    ],
)
def test_a_module_without_callbacks(
    make_engine: MakeEngine, plugins: Plugins, document: dict[str, Any], text: str | None
) -> None:
    """Whoever runs a module for HTTP on connections is told so."""
    engine = make_engine(plugins.plugin("a", adapter(), **document))
    found = [str(one) for one in engine.notices]
    assert [text in one for one in found] == [True] if text else not found


PIECES = st.lists(st.tuples(st.booleans(), st.binary(max_size=5)), max_size=12)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pieces=PIECES)
def test_whatever_is_held_back_comes_through_whole(
    holding: World, pieces: list[tuple[bool, bytes]]
) -> None:
    """Adapters that hold back now and then lose, double or reorder nothing."""
    one = Carrier(holding)
    to_upstream = to_downstream = b""
    for from_upstream, data in pieces:
        if from_upstream:
            to_downstream += one.server(data)
        else:
            to_upstream += one.client(data)
    to_upstream += one.client(b"-" * 9, ends=True)
    to_downstream += one.server(b"-" * 9, ends=True)
    sent = b"".join(data for from_upstream, data in pieces if not from_upstream)
    received = b"".join(data for from_upstream, data in pieces if from_upstream)
    assert (to_upstream, to_downstream) == (sent + b"-" * 9, received + b"-" * 9)
    assert one.exchange.close().verdict is Verdict.ALLOW


@pytest.fixture
def holding(make_engine: MakeEngine, plugins: Plugins) -> World:
    """Two adapters that hold back what is shorter than 3 or 5 bytes, and let go what ends."""

    def until(length: int) -> Step:
        return lambda _: (
            f"(if (i32.and (i32.lt_u (local.get 1) (i32.const {length}))"
            " (i32.eqz (local.get 2))) (then (return (i32.const 1))))"
        )

    def script(length: int) -> Script:
        return {"downstream_data": [until(length)], "upstream_data": [until(length)]}

    lengths = (3, 5)
    return World(make_engine, *(network(plugins, f"a{one}", script(one)) for one in lengths))
