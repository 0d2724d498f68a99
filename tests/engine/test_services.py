"""Plugins that run by themselves: services, and adapters with ticks or queues."""

import pytest

from mixer.engine import AdapterState, Verdict
from mixer.engine.restart import BASE_DELAY, MAX_DELAY, RestartPolicy
from mixer.proxywasm import ManualScheduler
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support import adapters as do
from tests.support.adapters import adapter

SINGLETON = {"service": "singleton"}
TICKING = adapter(
    do.deny(),
    configure=[do.tick(100), do.set_shared("started", "1")],
    tick=[do.when_shared("trap", do.trap), do.count("ticks", 1)],
)


def ticks(engine: object) -> int:
    return sum(m.value for m in engine.services.metrics.snapshot())  # type: ignore[attr-defined]


def steady(engine: object, *, jitter: float = 1.0) -> None:
    """Take the chance out of when VMs start again."""
    for one in engine.adapters:  # type: ignore[attr-defined]
        one.owner.restart = RestartPolicy(jitter=lambda: jitter)


def test_a_service_runs_and_gets_no_request(make_engine: MakeEngine, plugins: Plugins) -> None:
    """It is started with the engine and ticks; requests go past it, whatever it would answer."""
    time = ManualScheduler()
    engine = make_engine(plugins.plugin("a", TICKING, SINGLETON), scheduler=time)
    time.advance(1.05)
    assert 1 <= ticks(engine) <= 10  # fewer where the machine was busy: a long tick is rested from
    decision = engine.decide(request())
    assert (decision.verdict, decision.adapters) == (Verdict.ALLOW, ())
    assert (engine.adapters[0].state, engine.adapters[0].stats.requests) == (
        AdapterState.READY, 0
    )  # fmt: skip


def test_a_broken_service_is_told_and_stops_no_request(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """It is among what did not load; no request was ever for it."""
    text = adapter(configure=[do.answer(0)])
    engine = make_engine(plugins.plugin("a", text, SINGLETON))
    assert [one.name for one in engine.broken] == ["a"]
    assert engine.decide(request()).verdict is Verdict.ALLOW


def test_a_service_feeds_adapters(make_engine: MakeEngine, plugins: Plugins) -> None:
    """It shares data and queues with the adapters of its vm-id, and not its VM."""
    time = ManualScheduler()
    service = adapter(configure=[do.register_queue("q")], queue_ready=[do.set_shared("got", "1")])
    filtering = adapter(do.enqueue(1, "m"), do.when_shared("got", do.add("x-got", "1")))
    engine = make_engine(
        plugins.plugin("s", service, SINGLETON | {"vm-id": "v"}),
        plugins.plugin("f", filtering, {"vm-id": "v"}),
        scheduler=time,
    )
    assert engine.decide(request()).request_headers == ()
    time.advance()
    assert "x-got" in str(engine.decide(request()).request_headers)


def test_starts_again_later_and_later(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A tick that traps each time is not tried in a loop."""
    time = ManualScheduler()
    text = adapter(configure=[do.tick(10)], tick=[do.trap])
    engine = make_engine(plugins.plugin("a", text, SINGLETON), scheduler=time)
    steady(engine)
    (one,) = engine.adapters
    waits, before, starts = [], 0.0, 1
    while len(waits) < 8:
        time.advance(0.01)
        if one.stats.starts > starts:
            waits.append(round(time.now - before, 1))
            before, starts = time.now, one.stats.starts
    assert waits == [BASE_DELAY * 2**n for n in range(6)] + [MAX_DELAY] * 2


def test_a_trap_after_a_while_counts_as_the_first() -> None:
    """What ran well for a minute is started again as soon as what never failed."""
    restart = RestartPolicy(jitter=lambda: 1.0)
    now = 0.0
    waits = []
    for ran in (0.0, 1.0, 1.0, MAX_DELAY + 1, 1.0):
        restart.started(now, 0.0)
        now += ran
        waits.append(restart.wait_alone(now))
    assert waits == [1.0, 2.0, 4.0, 1.0, 2.0]


@pytest.mark.parametrize("annotations", [SINGLETON, {}], ids=["service", "adapter"])
def test_ticks_go_on_after_a_trap(
    make_engine: MakeEngine, plugins: Plugins, annotations: dict[str, str]
) -> None:
    """The VM that replaces one that trapped ticks as it was configured to."""
    time = ManualScheduler()
    text = adapter(
        configure=[do.tick(100)],
        tick=[do.when_shared("trapped", do.count("ticks", 1)), do.set_shared("trapped", "1"),
              do.if_remembered(do.trap), do.remember],
    )  # fmt: skip
    engine = make_engine(plugins.plugin("a", text, annotations), scheduler=time)
    steady(engine)
    (one,) = engine.adapters
    time.advance(0.25)
    assert (ticks(engine), one.stats.failures) == (1, 1)
    time.advance(BASE_DELAY + 0.1)
    assert (ticks(engine), one.state) == (2, AdapterState.READY)


def test_a_start_that_fails_alone_is_tried_again(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A service that does not start again is tried until it does."""
    time = ManualScheduler()
    text = adapter(
        configure=[do.tick(100), do.when_shared("refuse", do.answer(0))],
        tick=[do.when_shared("refuse", do.trap), do.count("ticks", 1)],
    )
    engine = make_engine(plugins.plugin("a", text, SINGLETON), scheduler=time)
    steady(engine)
    (one,) = engine.adapters
    engine.services.shared_data.set("", b"refuse", b"")
    time.advance(20)
    assert one.state is AdapterState.FAILED
    assert one.stats.starts in range(4, 7)


def test_a_trap_in_a_request_does_not_end_the_ticks(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """An adapter that asked for ticks has them again though no other request comes."""
    time = ManualScheduler()
    text = adapter(do.trap, configure=[do.tick(100)], tick=[do.count("ticks", 1)])
    engine = make_engine(plugins.plugin("a", text), scheduler=time)
    steady(engine)
    engine.decide(request())
    time.advance(0.9)
    assert ticks(engine) == 0
    time.advance(BASE_DELAY)
    assert ticks(engine) > 0


def test_an_adapter_without_events_waits_for_a_request(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Nothing is started that nobody waits for."""
    time = ManualScheduler()
    engine = make_engine(plugins.plugin("a", adapter(do.trap)), scheduler=time)
    steady(engine)
    engine.decide(request())
    time.advance(100)
    assert engine.adapters[0].stats.starts == 1


def test_a_closed_engine_starts_nothing(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A VM that was to start again does not, once the engine is closed."""
    time = ManualScheduler()
    engine = make_engine(plugins.plugin("a", TICKING, SINGLETON), scheduler=time)
    engine.services.shared_data.set("", b"trap", b"")
    time.advance(0.1)
    engine.close()
    time.advance(100)
    assert engine.adapters[0].stats.starts == 1
