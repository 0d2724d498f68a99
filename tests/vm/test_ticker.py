"""The clock of the epochs, with and without the interpreter's lock."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import wasmtime

from mixer.vm.ticker import NEEDS_NO_LOCK, ThreadTicker, Ticker, TimerTicker

_LOOP = """(module (func (export "run") (param i64) (loop
  local.get 0 i64.const 1 i64.sub local.tee 0 i64.const 0 i64.ne br_if 0)))"""
_FOR_EVER = -1

_WITHOUT_TIMERS = """
import sys, wasmtime
sys.platform = "another"
import mixer.vm.ticker as ticker
sys.platform = "linux"
from mixer.vm import Signature, TrapError, VmLimits, WasmEngine
from mixer.vm.fast import FastLinker
assert not ticker.NEEDS_NO_LOCK
with WasmEngine() as engine:
    module = engine.compile(wasmtime.wat2wasm('(module (func (export "run") (loop br 0)))'))
    linker = FastLinker(engine, ())
    instance = linker.instantiate(module, None, VmLimits(cpu=0.05))
    try:
        instance.function("run")()
    except TrapError as trap:
        print(trap.kind)
    instance.close()
    linker.close()
"""

_makers = pytest.mark.parametrize(
    "make",
    [
        pytest.param(
            TimerTicker, marks=pytest.mark.skipif(not NEEDS_NO_LOCK, reason="needs POSIX timers")
        ),
        ThreadTicker,
    ],
)


class _Guest:
    """A guest that counts down, and is stopped at the next epoch."""

    def __init__(self) -> None:
        config = wasmtime.Config()
        config.epoch_interruption = True
        self.engine = wasmtime.Engine(config)
        self._store = wasmtime.Store(self.engine)
        module = wasmtime.Module(self.engine, _LOOP)
        self._run = wasmtime.Instance(self._store, module, []).exports(self._store)["run"]

    def is_stopped(self, count: int) -> bool:
        self._store.set_epoch_deadline(1)
        assert isinstance(self._run, wasmtime.Func)
        try:
            self._run(self._store, count)
        except wasmtime.Trap:
            return True
        return False


@_makers
def test_it_ticks(make: Callable[[wasmtime.Engine], Ticker]) -> None:
    """A guest that would run for ever is stopped, each time anew."""
    guest = _Guest()
    ticker = make(guest.engine)
    assert all(guest.is_stopped(_FOR_EVER) for _ in range(3))
    ticker.close()


@_makers
def test_it_ends(make: Callable[[wasmtime.Engine], Ticker]) -> None:
    """Once closed, which may be done twice, it stops nobody any more."""
    guest = _Guest()
    ticker = make(guest.engine)
    count = 1_000
    while not guest.is_stopped(count):  # so many take longer than a tick
        count *= 2
    ticker.close()
    ticker.close()
    stopped = sum(guest.is_stopped(count) for _ in range(10))
    assert stopped <= 1  # by a tick that had begun


@_makers
def test_nobody_needs_to_close_it(make: Callable[[wasmtime.Engine], Ticker]) -> None:
    """It does not tick into an engine that is gone, nor keep the process from ending."""
    script = f"""
import gc, time, wasmtime
from mixer.vm.ticker import {make.__name__}
for _ in range(100):
    {make.__name__}(wasmtime.Engine())
gc.collect()
time.sleep(0.05)  # some ticks of each
"""
    run = [sys.executable, "-c", script]
    done = subprocess.run(run, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="POSIX timers are of Linux")
def test_linux_has_timers() -> None:
    """There guests keep the interpreter's lock; see `test_deadline` for what interrupts them."""
    assert NEEDS_NO_LOCK


def test_without_timers() -> None:
    """Elsewhere guests give the lock away, so that a thread can tick."""
    run = [sys.executable, "-c", _WITHOUT_TIMERS]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.stderr) == ("deadline", "")
