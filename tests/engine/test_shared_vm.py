"""Several plugins in one VM, and what becomes of them together."""

import logging
from typing import Any

import pytest

from mixer.engine import Adapter, AdapterState, Engine, Verdict
from mixer.engine.restart import BASE_DELAY
from mixer.proxywasm import ManualScheduler, RootContext, WasmVm
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.engine.test_adapters import policy
from tests.support import adapters as do
from tests.support.adapters import adapter

SAME = {"vm-id": "same"}
MARKED = adapter(
    do.when("x-trap", do.trap),
    do.if_remembered(do.add("x-remembered", "yes")),
    do.remember,
    context_create=[do.log("create")],
    vm_start=[do.log("vm_start")],
    configure=[do.log("configure")],
    done=[do.log("done")],
    delete=[do.log("delete")],
)


class Pair:
    """Two adapters of one module."""

    def __init__(
        self,
        make_engine: MakeEngine,
        plugins: Plugins,
        text: str = MARKED,
        second: dict[str, str] | None = None,
        **spec: Any,
    ) -> None:
        self.time = ManualScheduler()
        documents = [
            plugins.plugin("a", text, SAME),
            plugins.plugin("b", text, SAME if second is None else second),
        ]
        for document in documents:
            document["spec"] |= {"url": "./a.wasm", **spec}
        self.engine: Engine = make_engine(*documents, scheduler=self.time)
        self.a, self.b = self.engine.adapters

    def at_once(self) -> None:
        """Let a VM that fails be replaced at once."""
        self.a.owner.restart = policy()


def root(one: Adapter) -> RootContext:
    assert one._root is not None
    return one._root


def vm(one: Adapter) -> WasmVm:
    return root(one).vm


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Who logged what."""
    prefix = "mixer.adapter."
    return [
        f"{r.name.removeprefix(prefix)} {r.getMessage()}"
        for r in caplog.records
        if r.name.startswith(prefix)
    ]


def test_one_vm_for_two_plugins(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """Each has a root of its own that is started and logs by itself; they share the memory."""
    caplog.set_level(logging.INFO)
    pair = Pair(make_engine, plugins)
    assert vm(pair.a) is vm(pair.b)
    assert (root(pair.a).id, root(pair.b).id) == (1, 2)
    start = ["create", "vm_start", "configure"]
    assert said(caplog) == [*(f"a {s}" for s in start), *(f"b {s}" for s in start)]
    caplog.clear()
    decision = pair.engine.decide(request())
    assert str(decision.request_headers).count("x-remembered") == 1
    ends = ["done", "delete"]
    assert said(caplog) == [
        "a create", "b create", *(f"a {s}" for s in ends), *(f"b {s}" for s in ends)
    ]  # fmt: skip


DIFFERENT: dict[str, dict[str, str]] = {
    "no vm-id": {},
    "another vm-id": {"vm-id": "another"},
    "another configuration": SAME | {"vm-config": "x"},
    "memory": SAME | {"memory-limit": "2Mi"},
    "cpu": SAME | {"cpu-limit": "1s"},
    "start": SAME | {"start-cpu-limit": "1s"},
    "age": SAME | {"max-vm-age": "1h"},
    "isolation": SAME | {"isolation": "request"},
    "service": SAME | {"service": "singleton"},
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_keeps_plugins_apart(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    """Another id, configuration, or life is another VM; so are other limits, which is told."""
    pair = Pair(make_engine, plugins, second=DIFFERENT[case])
    assert pair.a.owner is not pair.b.owner
    told = [
        r.getMessage()
        for r in caplog.records
        if "adapter b: others have its vm-id" in r.msg % r.args
    ]
    assert bool(told) == (case in ("memory", "cpu", "start", "age"))
    if case == "memory":
        assert "another limits" in told[0]


def test_neither_environment_nor_code_may_differ(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Plugins of other code never share; those with another environment do not either."""
    env = {"env": [{"name": "N", "value": "v"}]}
    engine = make_engine(
        plugins.plugin("a", MARKED, SAME),
        plugins.plugin("b", adapter(), SAME),
        plugins.plugin("c", MARKED, SAME, vmConfig=env),
    )
    assert len({id(one.owner) for one in engine.adapters}) == 3


def test_no_vm_id_is_no_vm_in_common(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Plugins that did not ask for it do not fall together."""
    engine = make_engine(plugins.plugin("a", MARKED), plugins.plugin("b", MARKED))
    a, b = engine.adapters
    assert vm(a) is not vm(b)


@pytest.mark.parametrize("strategy", ["FAIL_CLOSE", "FAIL_OPEN"])
def test_a_trap_is_that_of_all(make_engine: MakeEngine, plugins: Plugins, strategy: str) -> None:
    """Every plugin of the VM is told, answers by its failStrategy, and starts again with it."""
    changes: list[tuple[str, str]] = []
    text = adapter(do.when("x-trap", do.trap), request_body=[do.add("x-body", "1")])
    pair = Pair(make_engine, plugins, text, failStrategy=strategy)
    for one in (pair.a, pair.b):
        one._on_change = lambda changed: changes.append((changed.name, str(changed.state)))
    pair.a.owner.restart.started(pair.a._clock(), 1000.0)
    decision = pair.engine.decide(request(("x-trap", "1"), body=b"b"))
    assert decision.reason == ("trap_unreachable" if strategy == "FAIL_CLOSE" else "")
    assert decision.failed_open == (("a", "b") if strategy == "FAIL_OPEN" else ())
    assert changes == [("a", "failed"), ("b", "failed")]
    pair.at_once()
    assert pair.engine.decide(request()).verdict is Verdict.ALLOW
    assert changes[2:] == [("a", "ready"), ("b", "ready")]
    assert vm(pair.a) is vm(pair.b)
    assert (pair.a.stats.starts, pair.b.stats.starts) == (2, 2)


def test_a_trap_in_the_second_ends_the_stream_of_the_first(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """The first one's stream in the same VM is gone without a callback."""
    caplog.set_level(logging.INFO)
    text = adapter(do.if_remembered(do.trap), do.remember, delete=[do.log("deleted")])
    pair = Pair(make_engine, plugins, text)
    decision = pair.engine.decide(request())
    assert (decision.verdict, decision.adapter) == (Verdict.ERROR, "b")
    assert "deleted" not in caplog.text
    assert (pair.a.stats.failures, pair.b.stats.failures) == (0, 1)


def test_an_open_plugin_in_a_vm_that_fell(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A plugin whose VM another one brought down within a request fails for that request."""
    trapping = adapter(
        do.when("x-trap", do.if_remembered(do.trap), do.remember), request_body=[do.add("x", "1")]
    )
    pair = Pair(make_engine, plugins, trapping, failStrategy="FAIL_OPEN")
    decision = pair.engine.decide(request(("x-trap", "1"), body=b"b"))
    assert (decision.verdict, decision.failed_open) == (Verdict.ALLOW, ("b", "a"))


def test_a_plugin_that_is_refused_leaves_the_vm_to_the_other(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """A module that refuses one configuration runs with the other one."""
    refuses_second = adapter(
        configure=[do.if_remembered(do.log("no", 4), do.answer(0)), do.remember]
    )
    pair = Pair(make_engine, plugins, refuses_second)
    assert [one.state for one in (pair.a, pair.b)] == [AdapterState.READY, AdapterState.BROKEN]
    assert pair.b.error == "the module refused its configuration: no"
    decision = pair.engine.decide(request())
    assert (decision.reason, decision.adapter) == ("adapter_broken", "b")
    assert len(vm(pair.a).contexts) == 1


def test_a_plugin_that_traps_at_its_start_brings_the_vm_down_once(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """The other one starts again, without it."""
    traps_second = adapter(configure=[do.if_remembered(do.trap), do.remember])
    pair = Pair(make_engine, plugins, traps_second)
    assert [one.state for one in (pair.a, pair.b)] == [AdapterState.FAILED, AdapterState.BROKEN]
    pair.at_once()
    decision = pair.engine.decide(request())
    assert (decision.reason, decision.adapter) == ("adapter_broken", "b")
    assert pair.a.state is AdapterState.READY
    assert (pair.a.stats.starts, pair.b.stats.starts) == (2, 1)


def test_one_that_does_not_start_again(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Of two plugins that start again one may be refused: it is tried later, in the same VM."""
    text = adapter(
        do.when("x-trap", do.trap),
        do.when("x-share", do.set_shared("refuse", "1")),
        configure=[do.when_shared("refuse", do.if_remembered(do.answer(0)), do.remember)],
    )
    pair = Pair(make_engine, plugins, text)
    pair.engine.decide(request(("x-share", "1")))
    pair.engine.decide(request(("x-trap", "1")))
    pair.at_once()
    decision = pair.engine.decide(request())
    assert (decision.adapter, decision.reason) == ("b", "adapter_failed")
    assert [one.state for one in (pair.a, pair.b)] == [AdapterState.READY, AdapterState.FAILED]
    before = vm(pair.a)
    pair.a.owner.factory.clock = lambda: pair.a._clock() + BASE_DELAY
    pair.engine.decide(request())
    assert pair.b.stats.starts == 3
    assert vm(pair.a) is before


def test_the_memory_is_counted_once_for_all(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The limit is of the VM, not of each plugin in it."""
    pair = Pair(make_engine, plugins, adapter(do.grow), SAME)
    pair.engine.decide(request())
    assert pair.a.memory_bytes == pair.b.memory_bytes == 64 * 65_536


def test_events_reach_the_plugin_that_asked(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """Ticks are those of each root; a trap in one is counted for its plugin alone."""
    caplog.set_level(logging.INFO)
    text = adapter(
        configure=[do.tick(1000)], tick=[do.if_remembered(do.trap), do.remember, do.log("t")]
    )
    pair = Pair(make_engine, plugins, text)
    pair.time.advance(1.4)  # the second waits as long as the first took
    assert said(caplog) == ["a t"]
    assert (pair.a.stats.failures, pair.b.stats.failures) == (0, 1)
    assert [one.state for one in (pair.a, pair.b)] == [AdapterState.FAILED] * 2


def test_the_engine_ends_its_plugins(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """A closed engine has told each plugin that it is done, and deleted it."""
    caplog.set_level(logging.INFO)
    pair = Pair(make_engine, plugins)
    caplog.clear()
    pair.engine.close()
    assert said(caplog) == ["a done", "b done", "a delete", "b delete"]


def test_an_end_that_is_put_off_is_waited_for(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """Shutting down tells when the last plugin has said that it is done."""
    caplog.set_level(logging.INFO)
    text = adapter(
        configure=[do.tick(1000)],
        done=[do.answer(0)],
        tick=[do.done],
        delete=[do.log("deleted")],
    )
    pair = Pair(make_engine, plugins, text, {"vm-id": "another"})
    ended: list[int] = []
    pair.engine.shut_down(lambda: ended.append(1))
    assert pair.engine.decide(request()).verdict is Verdict.ERROR
    pair.time.advance(0.9)
    assert ended == []
    pair.time.advance(0.2)
    assert ended == [1]
    assert said(caplog) == ["a deleted", "b deleted"]


def test_an_end_that_never_comes_is_cut(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A plugin that never says that it is done has a bounded time."""
    pair = Pair(make_engine, plugins, adapter(done=[do.answer(0)]))
    ended: list[int] = []
    held = vm(pair.a)
    pair.engine.shut_down(lambda: ended.append(1))
    pair.time.advance(4.9)
    assert (ended, held.closed) == ([], False)
    pair.time.advance(0.2)
    assert (ended, held.closed) == ([1], True)


def test_a_trap_at_the_end(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """A plugin that traps as it is ended is logged, and the others end."""
    caplog.set_level(logging.INFO)
    text = adapter(done=[do.trap])
    engine = make_engine(
        plugins.plugin("a", text), plugins.plugin("b", adapter(done=[do.log("done")]))
    )
    ended: list[int] = []
    engine.shut_down(lambda: ended.append(1))
    assert ended == [1]
    assert "trapped as it was shut down" in caplog.text
    assert said(caplog) == ["b done"]
