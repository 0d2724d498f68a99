"""CPU limits: CPU time, not the time on the wall."""

import threading
import time
from collections.abc import Callable

import pytest

from mixer.vm import I32, HostFunction, Signature, TrapError, TrapKind, VmLimits
from mixer.vm.deadline import CpuBudget
from mixer.vm.fast import FastLinker
from tests.support.compile import engine, module

MS = 1_000_000

Clock = Callable[[int], None]


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let so many milliseconds of CPU time pass."""
    now = [5_000 * MS]
    monkeypatch.setattr(time, "thread_time_ns", lambda: now[0])

    def spend(milliseconds: int) -> None:
        now[0] += milliseconds * MS

    return spend


def test_guest_that_was_kept_off_the_processor_goes_on(cpu: Clock) -> None:
    """Epochs that come while no CPU time is used are not held against it, however many come."""
    budget = CpuBudget(0.1)
    budget.start()
    assert all(budget.goes_on() for _ in range(100))
    cpu(89)
    assert all(budget.goes_on() for _ in range(100))


def test_guest_that_used_its_limit_is_interrupted(cpu: Clock) -> None:
    """It may have run for an epoch before the first one that it sees: it has the rest."""
    budget = CpuBudget(0.1)
    budget.start()
    assert budget.goes_on()
    cpu(89)
    assert budget.goes_on()
    cpu(1)
    assert not budget.goes_on()


def test_next_call_starts_anew(cpu: Clock) -> None:
    """What one call used is not held against the next one."""
    budget = CpuBudget(0.1)
    budget.start()
    budget.goes_on()
    cpu(90)
    assert not budget.goes_on()
    budget.start()
    assert budget.goes_on()


def test_limit_below_an_epoch_still_lets_the_guest_run(cpu: Clock) -> None:
    """A limit smaller than the resolution gives one epoch, never none."""
    budget = CpuBudget(0.001)
    budget.start()
    assert budget.goes_on()
    cpu(1)
    assert not budget.goes_on()


def test_message_tells_the_limit() -> None:
    """The message of an overrun names the limit in milliseconds."""
    assert "250 ms" in CpuBudget(0.25).message()


def test_each_call_is_measured_from_its_own_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that reaches its first deadline is not held to what the call before it used."""
    now, looks = [0], [0]

    def cpu() -> int:
        looks[0] += 1
        return now[0]

    monkeypatch.setattr(time, "thread_time_ns", cpu)
    wait = HostFunction("host", "wait", Signature((), (I32,)), lambda until: looks[0] < until[0])
    text = """(module (import "host" "wait" (func $wait (result i32)))
      (func (export "run") (loop (br_if 0 (call $wait)))))"""
    until = [1]
    linker = FastLinker(engine(), [wait])
    instance = linker.instantiate(module(text), until, VmLimits(cpu=0.02))
    run = instance.function("run")
    assert run is not None
    for _ in range(3):
        run()  # until its deadline has been reached
        now[0] += 10_000 * MS
        until[0] = looks[0] + 1
    instance.close()
    linker.close()


def test_loop_is_stopped_while_another_thread_takes_the_processor() -> None:
    """A guest that competes for the processor is stopped after its CPU limit all the same."""
    linker = FastLinker(engine(), [])
    text = '(module (func (export "spin") (loop (br 0))))'
    instance = linker.instantiate(module(text), None, VmLimits(cpu=0.05))
    spin = instance.function("spin")
    assert spin is not None
    stop = threading.Event()

    def compete() -> None:
        while not stop.is_set():
            pass

    rival = threading.Thread(target=compete)
    rival.start()
    try:
        began = time.thread_time()
        with pytest.raises(TrapError) as caught:
            spin()
        used = time.thread_time() - began
    finally:
        stop.set()
        rival.join()
    assert caught.value.kind is TrapKind.DEADLINE
    assert 0.025 <= used < 1.0
    instance.close()
    linker.close()


def test_others_have_turns_while_a_guest_runs() -> None:
    """A guest that runs for long does not keep every other thread waiting until its limit."""
    linker = FastLinker(engine(), [])
    text = '(module (func (export "spin") (loop (br 0))))'
    instance = linker.instantiate(module(text), None, VmLimits(cpu=0.5))
    spin = instance.function("spin")
    assert spin is not None
    turns, ends = [0], threading.Event()

    def take_turns() -> None:
        while not ends.wait(0.001):
            turns[0] += 1

    other = threading.Thread(target=take_turns)
    other.start()
    try:
        before = turns[0]
        with pytest.raises(TrapError):
            spin()
        taken = turns[0] - before
    finally:
        ends.set()
        other.join()
    assert taken >= 10
    instance.close()
    linker.close()
