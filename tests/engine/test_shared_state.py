"""What the adapters of one engine share, and what happens to them between requests."""

import asyncio
import json
import shutil
from dataclasses import replace
from typing import Any

import pytest

from mixer.engine import AdapterState, Engine, Verdict
from mixer.proxywasm import LoopScheduler, ManualScheduler
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.engine.test_adapters import policy
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.higress_plugins import higress_plugins

SAME = {"vm-id": "shared"}

REGISTERS = adapter(
    configure=[do.register_queue("q"), do.log("registered")],
    queue_ready=[do.dequeue(1), do.log_taken, do.set_shared("last", "told")],
)
ENQUEUES = adapter(do.when("x-message", do.enqueue(1, "hello")))
READS = adapter(do.when_shared("last", do.add("x-last", "yes")))
TICKS = adapter(
    do.when_shared("ticked", do.add("x-ticked", "yes")),
    configure=[do.tick(20)],
    tick=[do.set_shared("ticked", "1")],
)


def added(engine: Engine, name: str, *headers: tuple[str, str]) -> bool:
    """Whether the adapters let a request through, and add a header to it."""
    decision = engine.decide(request(*headers))
    assert decision.verdict is Verdict.ALLOW
    return name in str(decision.request_headers)


def test_adapters_with_one_vm_id_share_queues_and_data(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """One adapter enqueues; another is told after the request, and leaves a value for a third."""
    scheduler = ManualScheduler()
    engine = make_engine(
        plugins.plugin("a", ENQUEUES, SAME),
        plugins.plugin("b", REGISTERS, SAME),
        plugins.plugin("c", READS, SAME),
        plugins.plugin("d", READS, {"vm-id": "another"}),
        scheduler=scheduler,
    )
    caplog.set_level("INFO")
    assert not added(engine, "x-last", ("x-message", "1"))
    assert "hello" not in caplog.text
    scheduler.advance()
    assert "hello" in caplog.text
    decision = engine.decide(request())
    assert str(decision.request_headers).count("x-last") == 1


def test_shared_data_outlives_a_vm(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What a VM left is there for the one that replaces it."""
    text = adapter(
        do.when_shared("k", do.add("x-kept", "yes")),
        do.set_shared("k", "v"),
        do.when("x-trap", do.trap),
    )
    engine = make_engine(plugins.plugin("a", text))
    engine.adapters[0].owner.restart = policy()
    assert engine.decide(request(("x-trap", "1"))).verdict is Verdict.ERROR
    engine.adapters[0].owner.restart = policy()
    assert added(engine, "x-kept")
    assert engine.adapters[0].stats.starts == 2


def test_bounds_are_those_of_the_configuration(plugins: Plugins) -> None:
    """``spec.state`` of the Mixer document bounds what a vm_id may keep."""
    configuration = plugins.configuration(plugins.plugin("a", adapter(do.set_shared("k", "v"))))
    state = configuration.mixer.state.model_copy(update={"max_keys": 1})
    mixer = configuration.mixer.model_copy(update={"state": state})
    with Engine(replace(configuration, mixer=mixer)) as engine:
        data = engine.services.shared_data
        data.set("", b"first", b"")
        engine.decide(request())
        assert data.get("", b"k") is None
        assert data.usage()[""].refused == 1


async def test_ticks_come_from_the_event_loop(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An engine that is made where an event loop runs ticks by itself."""
    engine = make_engine(plugins.plugin("a", TICKS))
    assert isinstance(engine.services.scheduler, LoopScheduler)
    assert not added(engine, "x-ticked")
    ends = asyncio.get_running_loop().time() + 5
    ticked = False
    while not ticked and asyncio.get_running_loop().time() < ends:
        await asyncio.sleep(0.005)
        ticked = added(engine, "x-ticked")
    assert ticked


async def test_a_closed_engine_ticks_no_more(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Closing an engine takes its ticks out of the loop."""
    engine = make_engine(plugins.plugin("a", TICKS))
    data = engine.services.shared_data
    engine.adapters[0].close()
    await asyncio.sleep(0.06)
    assert data.get("", b"ticked") is None


@pytest.mark.parametrize(
    ("what", "reason"), [(do.trap, "trap: unreachable"), (do.spin, "trap: deadline")]
)
@pytest.mark.parametrize("event", ["tick", "queue_ready"])
def test_failure_between_requests(
    make_engine: MakeEngine,
    plugins: Plugins,
    caplog: pytest.LogCaptureFixture,
    event: str,
    what: do.Step,
    reason: str,
) -> None:
    """A tick or message that traps or runs long costs the VM; the next request has a new one."""
    scheduler = ManualScheduler()
    text = adapter(
        do.enqueue(1, "m"), configure=[do.register_queue("q"), do.tick(10)], **{event: [what]}
    )
    engine = make_engine(plugins.plugin("a", text, {"cpu-limit": "20ms"}), scheduler=scheduler)
    (one,) = engine.adapters
    one.owner.restart = policy()
    engine.decide(request())
    scheduler.advance(0.01)
    assert (one.state, one.stats.failures) == (AdapterState.FAILED, 1)
    assert reason in caplog.text
    scheduler.advance(0.4)
    assert one.stats.failures == 1
    assert engine.decide(request()).verdict is Verdict.ALLOW
    assert one.state is AdapterState.READY
    scheduler.advance(0.01)
    assert one.stats.failures == 2


def test_metrics_are_those_of_the_engine(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Adapters that name one metric count into one value, which the engine can tell."""
    text = adapter(do.count("requests", 3))
    engine = make_engine(plugins.plugin("a", text), plugins.plugin("b", text))
    for _ in range(2):
        engine.decide(request())
    (metric,) = engine.services.metrics.snapshot()
    assert (metric.name, metric.value) == ("requests", 12)


LIMITED: dict[str, Any] = {
    "rule_name": "r",
    "enable_on_path_suffix": ["*"],
    "limit_combinations": [
        {
            "name": "c",
            "match": [{"source": "header", "name": "x-user", "value": "*"}],
            "query_limits": {"per_minute": 2},
        }
    ],
}


def test_rate_limit_of_others(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A rate limiter built for Higress keeps its windows in shared data: the third is refused."""
    (module,) = higress_plugins().glob("gpustack-rate-limit/*/plugin.wasm")
    shutil.copy(module, plugins.folder / "limit.wasm")
    engine = make_engine(plugins.document("limit", pluginConfig=LIMITED))
    assert engine.broken == ()

    def ask(user: str) -> Any:
        return engine.decide(request((":method", "GET"), (":authority", "a"), ("x-user", user)))

    assert [ask("ann").verdict for _ in range(2)] == [Verdict.ALLOW] * 2
    refused = ask("ann")
    assert refused.response is not None
    assert (refused.verdict, refused.response.status) == (Verdict.DENY, 429)
    assert "Too many requests" in json.dumps(json.loads(refused.response.body))
    assert ask("bob").verdict is Verdict.ALLOW


def test_a_closed_engine_does_not_wait_for_a_start(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """What was to start again for its ticks is forgotten with the engine."""
    time = ManualScheduler()
    text = adapter(do.trap, configure=[do.tick(1000)])
    engine = make_engine(plugins.plugin("a", text), scheduler=time)
    engine.decide(request())
    assert time.next_due() is not None
    engine.close()
    assert time.next_due() is None
