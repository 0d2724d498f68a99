"""Ticks: when they come, and when they no longer do."""

import pytest

from mixer.proxywasm import ManualScheduler
from mixer.vm import TrapKind, VmLimits
from tests.support.guest import BYTES, OK, Answer, Call, Guest, Phase, call


def period(milliseconds: int) -> Call:
    return call("proxy_set_tick_period_milliseconds", milliseconds)


def ticks(guest: Guest) -> int:
    return [phase for phase, *_ in guest.events()].count(Phase.TICK)


def test_ticks_come_in_their_period() -> None:
    """A tick is due a period after it was asked for, then a period after the last, in the root."""
    with Guest(script=[period(100)]) as guest:
        assert guest.answers() == [Answer(OK)]
        counts = []
        for _ in range(4):
            guest.time.advance(0.09)
            counts.append(ticks(guest))
        guest.time.advance(0.3)
        assert [*counts, ticks(guest)] == [0, 1, 2, 3, 6]
        assert guest.root is not None
        assert {a for phase, a, *_ in guest.events() if phase is Phase.TICK} == {guest.root.id}


def test_stream_sets_the_tick_of_its_plugin() -> None:
    """A tick that a stream asks for is the plugin's, and outlives the stream."""
    with Guest() as guest:
        assert guest.in_headers(period(10)) == [Answer(OK)]
        guest.time.advance(0.015)
        assert ticks(guest) == 1


def test_new_period_replaces_the_old_one() -> None:
    """There is one tick for each plugin: a new period begins at once."""
    with Guest(script=[period(100)]) as guest:
        guest.time.advance(0.09)
        guest.in_headers(period(50))
        guest.time.advance(0.04)
        assert ticks(guest) == 0
        guest.time.advance(0.02)
        assert ticks(guest) == 1
        guest.time.advance(0.05)
        assert ticks(guest) == 2


def test_zero_ends_ticks_at_once() -> None:
    """A period of 0 is none, also where a tick asks for it."""
    with Guest(script=[period(10)]) as guest:
        guest.in_headers(period(0))
        guest.time.advance(1)
        assert ticks(guest) == 0
        guest.in_headers(period(10))
        guest.script([period(0)], Phase.TICK)
        guest.time.advance(1)
        assert ticks(guest) == 1


def test_tick_may_change_its_period() -> None:
    """Within a tick a new period counts from there."""
    with Guest(script=[period(10)]) as guest:
        guest.script([period(100)], Phase.TICK)
        guest.time.advance(0.05)
        assert ticks(guest) == 1
        guest.time.advance(0.07)
        assert ticks(guest) == 2


@pytest.mark.parametrize("again", [[], [period(1)]], ids=["as set", "set again in each tick"])
def test_long_tick_neither_overlaps_nor_is_caught_up(again: list[Call]) -> None:
    """The next tick waits for a period after the last returned, and at least as long as it took."""
    scheduler, busy = ManualScheduler(), [0]

    def work(*_: object) -> None:
        busy[0] += 35_000_000

    services = {
        "scheduler": scheduler,
        "monotonic_clock": lambda: round(scheduler.now * 1e9) + busy[0],
        "log": work,
    }
    with Guest(script=[period(1)], services=services) as guest:
        guest.script([call("proxy_log", 2, b"work"), *again], Phase.TICK)
        scheduler.advance(0.002)
        assert ticks(guest) == 1
        scheduler.advance(0.030)
        assert ticks(guest) == 1
        scheduler.advance(0.010)
        assert ticks(guest) == 2


def test_no_tick_of_a_closed_vm() -> None:
    """A closed VM is never entered again."""
    guest = Guest(script=[period(10)])
    guest.close()
    guest.time.advance(1)
    assert guest.failures == []


def test_trap_in_a_tick_closes_the_vm() -> None:
    """A trap is told once; the VM is closed, and no tick follows."""
    with Guest(script=[period(10)], configuration=b"vm") as guest:
        nested = call("proxy_get_configuration", BYTES, phase=Phase.ALLOCATE)
        guest.script([call("proxy_get_configuration", BYTES), nested], Phase.TICK)
        guest.time.advance(1)
        (failure,) = guest.failures
    assert failure.kind is TrapKind.HOST_CALL


@pytest.mark.parametrize("milliseconds", [1, 2**31, 2**32 - 1])
def test_any_period(milliseconds: int) -> None:
    """A period is unsigned; the longest is some 50 days."""
    with Guest(limits=VmLimits(cpu=1.0)) as guest:
        assert guest.in_headers(period(milliseconds)) == [Answer(OK)]
        guest.time.advance(milliseconds / 1000 - 0.0005)
        assert ticks(guest) == 0
        guest.time.advance(0.001)
        assert ticks(guest) == 1
