"""FAIL_RELOAD: a VM that trapped is loaded anew after a time, as in Envoy."""

import logging

import pytest

from mixer.engine import AdapterState
from mixer.engine.failure import AdapterFailure
from mixer.engine.restart import RestartPolicy
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.engine.test_adapters import FRAGILE, REFUSING, OneAdapter
from tests.support.adapters import adapter
from tests.support.guest import http_stream


@pytest.mark.parametrize(("jitter", "wait"), [(0.0, 1.0), (0.5, 1.25), (1.0, 1.5)])
def test_the_time_from_one_start_to_the_next(jitter: float, wait: float) -> None:
    """It is the backoff and up to half as much more, however long the start took."""
    restart = RestartPolicy(jitter=lambda: jitter, reload_backoff=1.0)
    assert restart.may_start(0.0)
    restart.started(100.0, 5.0)
    assert restart.wait(100.0) == pytest.approx(wait)
    assert not restart.may_start(100.0 + wait - 0.01)
    assert restart.may_start(100.0 + wait + 0.01)


class Reloading(OneAdapter):
    """One adapter with FAIL_RELOAD, without jitter."""

    def __init__(self, plugins: Plugins, backoff: str = "1s") -> None:
        super().__init__(plugins, FRAGILE, {"reload-backoff": backoff}, failStrategy="FAIL_RELOAD")
        spec = self.owner.factory.spec
        self.owner.restart = RestartPolicy(lambda: 0.0, spec.reload_backoff)
        self.owner.restart.started(self.clock.now, 0.0)

    def served(self) -> bool:
        try:
            self.adapter.open(http_stream()).delete()
        except AdapterFailure:
            return False
        return True


@pytest.mark.parametrize(("backoff", "seconds"), [("1s", 1.0), ("10ms", 0.01), ("1h", 3600.0)])
def test_a_trap_within_the_backoff(plugins: Plugins, backoff: str, seconds: float) -> None:
    """Requests fail until so long after the last start, and then there is a new VM."""
    one = Reloading(plugins, backoff)
    one.clock.now += seconds / 2
    one.crash()
    assert not one.served()
    one.clock.now += seconds / 2 - seconds / 100
    assert not one.served()
    assert one.adapter.stats.starts == 1
    one.clock.now += seconds / 50
    assert one.served()
    assert (one.adapter.stats.starts, one.adapter.state) == (2, AdapterState.READY)
    one.adapter.close()


def test_a_trap_after_the_backoff(plugins: Plugins) -> None:
    """A VM that ran longer than that is replaced at the next request."""
    one = Reloading(plugins)
    one.clock.now += 2.0
    one.crash()
    assert one.served()
    one.crash()
    assert not one.served()
    one.adapter.close()


def test_what_did_not_load_is_never_loaded_again(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Only what happened at run time is reloaded."""
    engine = make_engine(
        plugins.plugin("a", REFUSING, {"reload-backoff": "10ms"}, failStrategy="FAIL_RELOAD")
    )
    (one,) = engine.adapters
    later = one.owner.factory.clock() + 3600
    one.owner.factory.clock = lambda: later
    for _ in range(3):
        assert engine.decide(request()).reason == "adapter_broken"
    assert one.stats.starts == 1


def test_others_have_a_share_of_the_time_instead(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The backoff is for FAIL_RELOAD alone."""
    engine = make_engine(plugins.plugin("a", FRAGILE, {"reload-backoff": "1h"}))
    assert engine.adapters[0].owner.restart.reload_backoff is None


@pytest.mark.parametrize("depth", [3, 40])
def test_the_log_names_the_functions_of_the_trap(
    make_engine: MakeEngine,
    plugins: Plugins,
    caplog: pytest.LogCaptureFixture,
    depth: int,
) -> None:
    """A trap is logged with the names of the functions that led to it, twenty at the most."""
    dive = (
        "(func $dive (param i32) (if (i32.eqz (local.get 0)) (then unreachable))"
        " (call $dive (i32.sub (local.get 0) (i32.const 1))))"
    )
    call = f"(call $dive (i32.const {depth}))"
    text = adapter(lambda _: call).replace("(func $deep", f"{dive} (func $deep")
    engine = make_engine(plugins.plugin("a", text))
    with caplog.at_level(logging.ERROR):
        engine.decide(request())
    (message,) = [r.getMessage() for r in caplog.records]
    frames = [line for line in message.splitlines() if "!dive" in line]
    assert len(frames) == min(depth + 1, 20)
    assert "<unknown>!dive" in frames[0]
    assert "unreachable" in message
