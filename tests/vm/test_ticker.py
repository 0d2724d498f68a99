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

_IN_A_CHILD = """
import os, signal, wasmtime
from mixer.vm import TrapError, VmLimits, WasmEngine
from mixer.vm.fast import FastLinker
engine = WasmEngine()
module = engine.compile(wasmtime.wat2wasm('(module (func (export "run") (loop br 0)))'))
child = os.fork()
if child:
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
signal.alarm(30)  # whatever has the interpreter's lock
own = WasmEngine()
other = WasmEngine()
other.close()
linker = FastLinker(engine, ())
instance = linker.instantiate(module, None, VmLimits(cpu=0.05))
try:
    instance.function("run")()
except TrapError as trap:
    print(trap.kind, flush=True)
os._exit(0)
"""

_AT_THE_END = """
import atexit, signal

@atexit.register  # called the last
def loop():
    signal.alarm(30)
    try:
        instance.function("run")()
    except TrapError as trap:
        print(trap.kind, flush=True)

import wasmtime
from mixer.vm import TrapError, VmLimits, WasmEngine
from mixer.vm.fast import FastLinker
engine = WasmEngine()
module = engine.compile(wasmtime.wat2wasm('(module (func (export "run") (loop br 0)))'))
linker = FastLinker(engine, ())
instance = linker.instantiate(module, None, VmLimits(cpu=0.05))
"""

_NO_MORE_TIMERS = """
import os, resource
from mixer.vm import ModuleError, WasmEngine
resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0))
try:
    WasmEngine()
except ModuleError as error:
    print(error)
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


def _run(script: str) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-c", script]
    return subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)


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
    while not guest.is_stopped(count):
        count *= 2
    count *= 16  # so many take longer than a tick, however early it came
    ticker.close()
    ticker.close()
    spared = 0
    for _ in range(100):  # ticks that had begun may stop it yet
        spared = 0 if guest.is_stopped(count) else spared + 1
        if spared == 3:
            break
    assert spared == 3


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
    done = _run(script)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not NEEDS_NO_LOCK, reason="elsewhere guests leave others the lock")
def test_a_child_has_a_clock_of_its_own() -> None:
    """Timers are not inherited: a guest that loops would have the lock of the child for ever."""
    done = _run(_IN_A_CHILD)
    assert (done.stdout.strip(), done.returncode) == ("deadline", 0)


def test_it_ticks_until_the_end() -> None:
    """What runs as the interpreter ends is interrupted, too."""
    assert _run(_AT_THE_END).stdout.strip() == "deadline"


@pytest.mark.skipif(not NEEDS_NO_LOCK, reason="needs POSIX timers")
def test_a_system_without_further_timers() -> None:
    """The error says what is missing, and which bound of the system it is."""
    found = _run(_NO_MORE_TIMERS).stdout
    assert "no timer" in found
    assert "RLIMIT_SIGPENDING" in found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="POSIX timers are of Linux")
def test_linux_has_timers() -> None:
    """There guests keep the interpreter's lock; see `test_deadline` for what interrupts them."""
    assert NEEDS_NO_LOCK


def test_without_timers() -> None:
    """Elsewhere guests give the lock away, so that a thread can tick."""
    done = _run(_WITHOUT_TIMERS)
    assert (done.stdout.strip(), done.stderr) == ("deadline", "")
