"""``isolation: request``: a VM for each stream."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from mixer.engine import AdapterState, Engine, PendingDecision, Verdict, wasm_engines
from mixer.engine.fresh_vms import MAX_LATE_S, FreshVms
from mixer.engine.restart import BASE_DELAY
from mixer.proxywasm import ManualScheduler
from mixer.testing.callouts import FakeCallouts
from mixer.vm import InstancePool
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.guarded import MIB, growth

FRESH = {"isolation": "request"}
MARKED = adapter(
    do.if_remembered(do.add("x-remembered", "yes")),
    do.remember,
    do.when("x-trap", do.trap),
    vm_start=[do.log("vm_start")],
    configure=[do.log("configure")],
    done=[do.log("done")],
    delete=[do.log("delete")],
)
WAITS = adapter(
    do.when("x-wait", do.callout("auth"), do.answer(3)),
    do.when("x-tell", do.callout("audit")),
    http_call_response=[do.log("told"), do.when_shared("gone", do.trap), do.in_stream(do.resume)],
)


def living(engine: Engine) -> int:
    """How many VMs there are."""
    owner = engine.adapters[0].owner
    assert isinstance(owner, FreshVms)
    return len(owner._vms)


def test_nothing_is_carried_over(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """Each stream finds the module as it was started and configured for it alone."""
    caplog.set_level(logging.INFO)
    engine = make_engine(plugins.plugin("a", MARKED, FRESH))
    for _ in range(3):
        caplog.clear()
        decision = engine.decide(request())
        assert (decision.verdict, decision.request_headers) == (Verdict.ALLOW, ())
        stream, plugin = ["done", "delete"], ["done", "delete"]
        said = [r.getMessage() for r in caplog.records]
        assert said == ["vm_start", "configure", *stream, *plugin]
    assert (living(engine), engine.adapters[0].memory_bytes) == (0, 0)


def test_a_trap_costs_its_stream_alone(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The adapter stays ready, and the next stream is served at once."""
    engine = make_engine(plugins.plugin("a", MARKED, FRESH))
    (one,) = engine.adapters
    for _ in range(20):
        assert engine.decide(request(("x-trap", "1"))).reason == "trap_unreachable"
        decision = engine.decide(request())
        assert (decision.verdict, decision.request_headers) == (Verdict.ALLOW, ())
        assert one.state is AdapterState.READY
    assert (one.stats.failures, living(engine)) == (20, 0)


def test_memory_of_a_stream_is_given_back(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A stream may grow to its own adapter's limit, whatever the others may; then it is free."""
    engine = make_engine(
        plugins.plugin("a", adapter(do.grow, delete=[do.log("deleted")]),
                       FRESH | {"memory-limit": "2Mi"}),
        plugins.plugin("b", adapter(do.grow), FRESH | {"memory-limit": "3Mi"}),
    )  # fmt: skip
    sizes: list[int] = []
    for one in engine.adapters:
        end = one.owner._end

        def measured(vm: Any, end: Any = end) -> None:
            sizes.append(vm.instance.memory.size())
            end(vm)

        one.owner._end = measured
    for _ in range(3):
        assert engine.decide(request()).verdict is Verdict.ALLOW
    assert sizes == [2 * MIB, 3 * MIB] * 3
    assert [one.memory_bytes for one in engine.adapters] == [0, 0]


def no_address_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every pool be larger than what there is."""
    monkeypatch.setattr(wasm_engines, "InstancePool", lambda *_: InstancePool(1 << 20, 4 << 30))


class World:
    """An engine with callouts."""

    def __init__(self, plugins: Plugins, text: str = WAITS, places: int = 256, **spec: Any) -> None:
        self.time = ManualScheduler()
        self.callouts = FakeCallouts()
        configuration = plugins.configuration(plugins.plugin("a", text, FRESH, **spec))
        limits = configuration.mixer.limits.model_copy(update={"max_isolated_streams": places})
        mixer = configuration.mixer.model_copy(update={"limits": limits})
        self.engine = Engine(
            replace(configuration, mixer=mixer), scheduler=self.time, callouts=self.callouts
        )

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.engine.close()

    def wait(self) -> PendingDecision:
        """A stream that waits for its callout."""
        pending = self.engine.decide(request(("x-wait", "1")))
        assert isinstance(pending, PendingDecision)
        return pending


@pytest.mark.parametrize("pooled", [True, False], ids=["pool", "no pool"])
@pytest.mark.parametrize("strategy", ["FAIL_CLOSE", "FAIL_OPEN"])
def test_no_place_left(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, strategy: str, pooled: bool
) -> None:
    """Streams over the bound are refused, also with FAIL_OPEN: a flood must not open the door."""
    if not pooled:
        no_address_space(monkeypatch)
    with World(plugins, places=3, failStrategy=strategy) as world:
        waiting = [world.wait() for _ in range(3)]
        for _ in range(2):
            decision = world.engine.decide(request())
            assert (decision.verdict, decision.reason) == (Verdict.ERROR, "too_many_streams")
        assert world.engine.adapters[0].state is AdapterState.READY
        world.callouts.http_calls[0].respond()
        world.time.advance()
        assert world.engine.decide(request()).verdict is Verdict.ALLOW
        for call in world.callouts.http_calls[1:]:
            call.respond()
        world.time.advance()
        assert [w.decision and w.decision.verdict for w in waiting] == [Verdict.ALLOW] * 3
        assert living(world.engine) == 0


def test_streams_that_wait_are_apart(plugins: Plugins) -> None:
    """Each waits in a VM of its own: a trap in one leaves the others alone."""
    text = adapter(
        do.callout("auth"), do.answer(3),
        http_call_response=[do.if_called("5", do.trap), do.in_stream(do.resume)],
    )  # fmt: skip
    with World(plugins, text) as world:
        first, second = (world.engine.decide(request()) for _ in range(2))
        assert living(world.engine) == 2
        world.callouts.http_calls[0].respond(500)
        world.time.advance()
        assert first.decision.verdict is Verdict.ERROR
        assert second.decision is None
        world.callouts.http_calls[1].respond(200)
        world.time.advance()
        assert second.decision.verdict is Verdict.ALLOW
        assert living(world.engine) == 0


def test_a_callout_that_nobody_waits_for_is_not_dropped(
    plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """A VM lives until the callouts that its stream made are answered, and not longer."""
    caplog.set_level(logging.INFO)
    with World(plugins) as world:
        assert world.engine.decide(request(("x-tell", "1"))).verdict is Verdict.ALLOW
        assert living(world.engine) == 1
        world.callouts.http_calls[0].respond()
        assert living(world.engine) == 0
        assert "told" in caplog.text


ASKS_ON = adapter(do.callout("one"), configure=[do.tick(100)], tick=[do.callout("more")])


@pytest.mark.parametrize("text", [WAITS, ASKS_ON], ids=["no answer", "more and more"])
def test_callouts_do_not_keep_their_places_for_ever(plugins: Plugins, text: str) -> None:
    """Callouts that nobody answers, or ever new ones, hold their stream's place for a while."""
    with World(plugins, text, places=3) as world:
        for _ in range(3):
            world.engine.decide(request(("x-tell", "1")))
        assert world.engine.decide(request()).reason == "too_many_streams"
        world.time.advance(MAX_LATE_S)
        assert living(world.engine) == 0
        assert all(call.over for call in world.callouts.http_calls)
        assert world.engine.decide(request()).verdict is Verdict.ALLOW
    assert world.time.next_due() is None


def test_a_trap_after_the_stream_is_counted(plugins: Plugins) -> None:
    """What traps in an answer that nobody waits for is a failure of the adapter."""
    with World(plugins) as world:
        world.engine.services.shared_data.set("", b"gone", b"")
        world.engine.decide(request(("x-tell", "1")))
        world.callouts.http_calls[0].respond()
        (one,) = world.engine.adapters
        assert (one.stats.failures, living(world.engine), one.state) == (1, 0, AdapterState.READY)


def test_closing_ends_what_waits(plugins: Plugins) -> None:
    """A closed engine has no VM left, and nothing is told afterwards."""
    with World(plugins) as world:
        pending = world.wait()
        world.engine.close()
        assert (living(world.engine), world.callouts.http_calls[0].over) == (0, True)
        world.time.advance()
        assert pending.decision is not None
        assert pending.decision.verdict is Verdict.ERROR


def test_a_start_that_fails_later(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A module that does not start for a stream fails it, and is not tried at every stream."""
    text = adapter(do.set_shared("refuse", "1"), configure=[do.when_shared("refuse", do.answer(0))])
    engine = make_engine(plugins.plugin("a", text, FRESH))
    (one,) = engine.adapters
    assert engine.decide(request()).verdict is Verdict.ALLOW
    for _ in range(3):
        decision = engine.decide(request())
        assert (decision.verdict, decision.reason) == (Verdict.ERROR, "adapter_failed")
    assert (one.state, one.stats.starts) == (AdapterState.FAILED, 3)
    later = one.owner.factory.clock() + BASE_DELAY
    one.owner.factory.clock = lambda: later
    engine.services.shared_data.set("", b"refuse", b"")
    engine.decide(request())
    assert one.stats.starts == 4


def test_a_start_that_succeeds_forgives_those_that_failed(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Starts that fail now and then, with good ones in between, do not wait longer and longer."""
    engine = make_engine(plugins.plugin("a", MARKED, FRESH))
    factory = engine.adapters[0].owner.factory
    now, good = factory.clock(), factory.spec
    bad = replace(good, limits=replace(good.limits, memory_bytes=0))
    factory.clock = lambda: now
    for _ in range(5):
        factory.spec = bad
        assert engine.decide(request()).verdict is Verdict.ERROR
        now += BASE_DELAY
        factory.spec = good
        assert engine.decide(request()).verdict is Verdict.ALLOW


def test_a_module_that_does_not_start_at_all(make_engine: MakeEngine, plugins: Plugins) -> None:
    """It is broken from the start of the service, before any stream."""
    engine = make_engine(plugins.plugin("a", adapter(configure=[do.answer(0)]), FRESH))
    assert engine.adapters[0].state is AdapterState.BROKEN
    assert engine.decide(request()).reason == "adapter_broken"


def test_more_memory_than_the_pool_has(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A module that begins with more than its limit is told so, not run."""
    text = adapter().replace("1 64)", "17 64)")
    engine = make_engine(plugins.plugin("a", text, FRESH | {"memory-limit": "1Mi"}))
    assert engine.adapters[0].state is AdapterState.BROKEN
    assert "limit" in engine.adapters[0].error


def test_without_a_pool_it_works_the_same(
    make_engine: MakeEngine,
    plugins: Plugins,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where the address space for the pool is not to be had, VMs are made one by one."""
    no_address_space(monkeypatch)
    engine = make_engine(plugins.plugin("a", MARKED, FRESH))
    assert "goes without a pool" in caplog.text
    for _ in range(2):
        assert engine.decide(request()).request_headers == ()


def test_many_streams_do_not_make_the_process_grow(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Thousands of VMs, each with a mebibyte in use and some of them trapped, leave nothing."""
    logging.disable(logging.CRITICAL)
    try:
        text = adapter(do.fill, do.when("x-trap", do.trap))
        engine = make_engine(plugins.plugin("a", text, FRESH))

        def work(times: int) -> None:
            for number in range(times):
                engine.decide(request(*([("x-trap", "1")] if number % 5 == 0 else [])))

        assert growth(work, warm_up=300, times=2000) < 16 * MIB
        assert living(engine) == 0
    finally:
        logging.disable(logging.NOTSET)
