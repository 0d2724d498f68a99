"""What becomes of adapters that fail."""

import hashlib
import logging
import time
from typing import Any

import pytest

from mixer.engine import Adapter, AdapterState, Engine, Verdict
from mixer.engine.adapter import AdapterFailure
from mixer.engine.restart import BASE_DELAY, MAX_DELAY, START_SHARE, RestartPolicy
from mixer.engine.vm_owners import VmOwners
from mixer.proxywasm import Services
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.compile import linker, plugin
from tests.support.guarded import MIB, growth
from tests.support.guest import http_stream

FRAGILE = adapter(do.when("x-trap", do.trap), do.add("x-fine", "1"))
REFUSING = adapter(configure=[do.log("no such key", 4), do.answer(0)])


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def policy(jitter: float = 0.0) -> RestartPolicy:
    return RestartPolicy(jitter=lambda: jitter)


@pytest.mark.parametrize(("jitter", "wait"), [(0.0, 2.0), (1.0, 3.0), (0.5, 2.5)])
def test_starts_take_a_share_of_the_time(jitter: float, wait: float) -> None:
    """After a start that took a while, the next one waits so that starts are a small share."""
    restart = policy(jitter)
    assert restart.may_start(0.0)
    restart.started(100.0, 0.2)
    assert START_SHARE == 0.1
    assert restart.wait(100.0) == pytest.approx(wait)
    assert not restart.may_start(100.0 + wait - 0.01)
    assert restart.may_start(100.0 + wait + 0.01)
    assert restart.wait(200.0) == 0.0


def test_failed_starts_wait_exponentially_longer() -> None:
    """Each start that failed doubles the wait, up to a bound, and one that succeeds resets it."""
    restart = policy(1.0)
    waits = []
    for _ in range(50):
        restart.start_failed(0.0)
        waits.append(restart.wait(0.0))
    assert waits[:7] == [BASE_DELAY * 2**n for n in range(6)] + [MAX_DELAY]
    assert set(waits[6:]) == {MAX_DELAY}
    restart.started(0.0, 0.0)
    restart.start_failed(0.0)
    assert restart.wait(0.0) == BASE_DELAY


def test_jitter_shortens_the_wait_after_failed_starts() -> None:
    """Workers do not start in step: the wait is between half of it and all of it."""
    waits = []
    for jitter in (0.0, 1.0):
        restart = policy(jitter)
        restart.start_failed(0.0)
        waits.append(restart.wait(0.0))
    assert waits == [BASE_DELAY / 2, BASE_DELAY]


class OneAdapter:
    """One adapter with a clock of its own, without an engine around it."""

    def __init__(
        self,
        plugins: Plugins,
        text: str,
        annotations: dict[str, str] | None = None,
        services: Services | None = None,
        **spec: Any,
    ) -> None:
        self.clock = Clock()
        self.changes: list[AdapterState] = []
        document = plugins.plugin("a", text, annotations, **spec)
        (configured,) = plugins.configuration(document).plugins
        self.owner: Any = VmOwners(services or Services(), 8, self.clock).owner(
            configured, plugin(text), linker()
        )
        self.owner.restart = policy()
        self.adapter = Adapter(
            configured,
            plugin(text),
            self.owner,
            on_change=lambda a: self.changes.append(a.state),
            clock=self.clock,
        )
        self.adapter.start()

    def crash(self) -> None:
        from mixer.vm import TrapError

        stream = http_stream([(b"x-trap", b"1")])
        with pytest.raises(TrapError) as caught:
            self.adapter.open(stream).on_request_headers(end_of_stream=True)
        self.adapter.crashed(caught.value)


def test_states_and_their_changes(plugins: Plugins) -> None:
    """Each change of an adapter's state is told once, and the error with it."""
    one = OneAdapter(plugins, FRAGILE)
    assert one.changes == [AdapterState.READY]
    one.crash()
    assert one.changes == [AdapterState.READY, AdapterState.FAILED]
    assert "wasm" in one.adapter.error
    one.adapter.open(http_stream())
    assert one.changes == [AdapterState.READY, AdapterState.FAILED, AdapterState.READY]
    assert (one.adapter.error, one.adapter.stats.starts) == ("", 2)
    one.adapter.close()


def test_no_vm_before_the_share_allows_it(plugins: Plugins) -> None:
    """Until the next start is due, an adapter without a VM fails its requests."""
    one = OneAdapter(plugins, FRAGILE)
    one.owner.restart.started(one.clock.now, 0.5)
    one.crash()
    one.clock.now += 4.9
    with pytest.raises(AdapterFailure, match="adapter_failed"):
        one.adapter.open(http_stream())
    assert one.adapter.memory_bytes == 0
    one.clock.now += 0.2
    one.adapter.open(http_stream())
    assert one.adapter.state is AdapterState.READY
    assert one.adapter.memory_bytes == 65_536
    one.adapter.close()


def test_restart_that_fails_is_tried_again(plugins: Plugins) -> None:
    """A module that started once and then does not is failed, not broken, and tried again later."""
    one = OneAdapter(plugins, FRAGILE)
    one.crash()
    one.owner.factory.module = plugin(REFUSING)
    with pytest.raises(AdapterFailure, match="adapter_failed"):
        one.adapter.open(http_stream())
    assert one.adapter.state is AdapterState.FAILED
    assert "no such key" in one.adapter.error
    one.owner.factory.module = plugin(FRAGILE)
    with pytest.raises(AdapterFailure):
        one.adapter.open(http_stream())
    one.clock.now += BASE_DELAY
    one.adapter.open(http_stream())
    assert one.adapter.state is AdapterState.READY
    one.adapter.close()


def test_trap_costs_one_request(make_engine: MakeEngine, plugins: Plugins) -> None:
    """After a trap the VM is replaced, and the next requests are served by a new one."""
    engine = make_engine(plugins.plugin("a", FRAGILE), plugins.plugin("b", adapter()))
    assert engine.decide(request()).verdict is Verdict.ALLOW
    assert engine.decide(request(("x-trap", "1"))).verdict is Verdict.ERROR
    (a, b) = engine.adapters
    a.owner.restart = policy()  # a start is due at once
    assert engine.decide(request()).verdict is Verdict.ALLOW
    assert (a.stats.failures, a.stats.starts, a.stats.requests) == (1, 2, 3)
    assert (b.stats.failures, b.stats.starts) == (0, 1)


def test_trap_is_logged_with_its_backtrace(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """A trap is logged with the adapter's name, the kind of trap and where in the module it was."""
    engine = make_engine(plugins.plugin("a", FRAGILE))
    (a,) = engine.adapters
    a.owner.restart.started(time.monotonic(), 60.0)  # the next start is not due before the log
    with caplog.at_level(logging.ERROR):
        engine.decide(request(("x-trap", "1")))
    assert "adapter a: trap: unreachable; its VM stays down for " in caplog.text
    assert "backtrace" in caplog.text


BROKEN: dict[str, Any] = {
    "refuses its configuration": (REFUSING, {}, "no such key"),
    "traps at start": (adapter(initialize=[do.trap]), {}, "unreachable"),
    "loops at start": (
        adapter(configure=[do.spin]),
        {"start-cpu-limit": "20ms"},
        "CPU limit of 20 ms",
    ),
    "lacks an import": (
        '(module (import "env" "none" (func)) (memory (export "memory") 1)'
        ' (func (export "proxy_abi_version_0_2_1"))'
        ' (func (export "malloc") (param i32) (result i32) (i32.const 0)))',
        {},
        "env.none",
    ),
    "is no Proxy-Wasm module": ("(module)", {}, "not a Proxy-Wasm module"),
    "needs too much memory": (
        adapter().replace("1 64)", "17 64)"),
        {"memory-limit": "1Mi"},
        "memory",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("strategy", ["FAIL_CLOSE", "FAIL_OPEN"])
def test_broken_adapter_is_kept_with_its_error(
    make_engine: MakeEngine, plugins: Plugins, case: str, strategy: str
) -> None:
    """An adapter that does not load or start tells why, and answers by its failStrategy."""
    text, annotations, why = BROKEN[case]
    engine = make_engine(
        plugins.plugin("a", text, annotations, failStrategy=strategy),
        plugins.plugin("b", adapter(do.add("x-fine", "1"))),
    )
    (broken,) = engine.broken
    assert (broken.name, broken.state) == ("a", AdapterState.BROKEN)
    assert why in broken.error
    for _ in range(2):
        decision = engine.decide(request())
        if strategy == "FAIL_CLOSE":
            assert (decision.verdict, decision.reason) == (Verdict.ERROR, "adapter_broken")
        else:
            assert (decision.verdict, decision.failed_open) == (Verdict.ALLOW, ("a",))
    assert broken.stats.starts <= 1


def test_missing_file(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An adapter whose module is not there says so, and others work."""
    engine = make_engine(plugins.document("a"), plugins.plugin("b", adapter()))
    assert [a.name for a in engine.broken] == ["a"]
    assert "a.wasm: no such file" in engine.broken[0].error
    assert engine.adapters[1].state is AdapterState.READY


def test_checksum(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A module must have the configured checksum, if there is one."""
    document = plugins.plugin("a", FRAGILE)
    digest = hashlib.sha256((plugins.folder / "a.wasm").read_bytes()).hexdigest()
    document["spec"]["sha256"] = digest
    assert make_engine(document).broken == ()
    document["spec"]["sha256"] = "0" * 64
    (broken,) = make_engine(document).broken
    assert digest in broken.error
    assert broken.problem.field == "spec.sha256"


def test_start_is_told(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Loading tells its progress, once for each module, and the states that adapters reach."""
    progress: list[str] = []
    states: list[tuple[str, AdapterState]] = []
    make_engine(
        plugins.plugin("a", FRAGILE),
        plugins.plugin("b", FRAGILE),
        plugins.plugin("c", REFUSING),
        progress=progress.append,
        on_change=lambda a: states.append((a.name, a.state)),
    )
    assert [line.split(" (")[0] for line in progress] == ["loading a", "loading c"]
    assert states == [
        ("a", AdapterState.READY),
        ("b", AdapterState.READY),
        ("c", AdapterState.BROKEN),
    ]


def test_adapters_of_one_module_do_not_share_a_vm(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Two adapters with the same module fail apart."""
    engine = make_engine(
        plugins.plugin("a", FRAGILE, failStrategy="FAIL_OPEN"), plugins.plugin("b", FRAGILE)
    )
    decision = engine.decide(request(("x-trap", "1")))
    assert (decision.failed_open, decision.adapter) == (("a",), "b")
    assert [a.state for a in engine.adapters] == [AdapterState.FAILED] * 2


def test_settings_reach_the_module(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Names, configuration, environment and limits of the document are those of the VM."""
    document = plugins.plugin(
        "a",
        FRAGILE,
        {
            "vm-id": "vm",
            "vm-config": "of the VM",
            "root-id": "root",
            "log-level": "warn",
            "memory-limit": "2Mi",
        },
        pluginName="plugin",
        pluginConfig={"key": 1},
        vmConfig={"env": [{"name": "N", "value": "v"}]},
    )
    (one,) = make_engine(document).adapters
    assert one._root is not None
    vm = one._root.vm
    assert (vm.vm_id, vm.environment, vm.configuration) == ("vm", [b"N=v\0"], b"of the VM")
    assert (one._root.name, one._root.root_id) == ("plugin", "root")
    assert one._root.configuration == b'{"key":1}'
    assert one._root.log_level == 3
    assert one.owner.factory.spec.limits.memory_bytes == 2 * MIB


def test_memory_of_a_request_is_bounded(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A module that takes all the memory it can get stays within its limit, and serves on."""
    engine = make_engine(
        plugins.plugin("a", adapter(do.grow, do.add("x-fine", "1")), {"memory-limit": "2Mi"})
    )
    for _ in range(3):
        assert engine.decide(request()).verdict is Verdict.ALLOW
    assert engine.adapters[0].memory_bytes == 2 * MIB


def test_many_requests_do_not_make_the_process_grow(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Tens of thousands of requests, some denied and some trapping, leave nothing behind."""
    logging.disable(logging.CRITICAL)
    try:
        text = adapter(
            do.when("x-trap", do.trap),
            do.when("x-deny", do.deny(403, "no")),
            do.add("x-fine", "1"),
            do.set_property("my.own", "value"),
            request_body=[do.set_body("new body")],
            initialize=[do.fill],
        )
        engine: Engine = make_engine(plugins.plugin("a", text))
        (one,) = engine.adapters

        def serve(count: int) -> None:
            for index in range(count):
                if index % 50 == 0:
                    one.owner.restart = policy()
                    assert engine.decide(request(("x-trap", "1"))).verdict is Verdict.ERROR
                elif index % 10 == 0:
                    assert engine.decide(request(("x-deny", "1"))).verdict is Verdict.DENY
                else:
                    one.owner.restart = policy()
                    decision = engine.decide(request(("x", "1"), body=b"body"))
                    assert decision.verdict is Verdict.ALLOW

        assert growth(serve, warm_up=2000, times=20_000) < 12 * MIB
        assert one.stats.failures == 440
    finally:
        logging.disable(logging.NOTSET)
