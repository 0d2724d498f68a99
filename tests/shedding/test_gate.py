"""What is let in, and what is refused."""

import logging

import pytest

from mixer.shedding import (
    Bounds,
    Gate,
    Kind,
    RateBound,
    Reason,
    Refusal,
    Shedder,
    Ticket,
    WaitBound,
)
from tests.shedding.clock import Clock

WAIT = WaitBound(threshold=0.1, window=0.2)


def gate(shedder: Shedder, kind: Kind = Kind.CHECK) -> Gate:
    return shedder.gate("front", kind)


def let_in(one: Gate, cost: int = 1) -> Ticket:
    ticket = one.admit(cost)
    assert isinstance(ticket, Ticket)
    return ticket


def refusal(one: Gate, cost: int = 1) -> Refusal:
    found = one.admit(cost)
    assert isinstance(found, Refusal)
    return found


def overloaded(bounds: Bounds, clock: Clock, chance: float = 0.0) -> Shedder:
    """One whose callers have waited far too long for two seconds."""
    shedder = Shedder(bounds, clock=clock, chance=lambda: chance)
    assert shedder.wait is not None
    for _ in range(20):
        clock.now += 0.1
        shedder.wait.tell(1.0, clock.now)
    return shedder


def test_concurrency() -> None:
    """As many as the bound are let in at once, and another when one of them is over."""
    checks = gate(Shedder(Bounds(max_concurrent=2)))
    first, _ = let_in(checks), let_in(checks)
    assert refusal(checks).reason is Reason.CONCURRENCY
    first.release()
    first.release()  # counts once
    let_in(checks)
    assert refusal(checks).reason is Reason.CONCURRENCY
    assert (checks.admitted, checks.refused[Reason.CONCURRENCY]) == (3, 2)


def test_a_ticket_is_left_by_an_exception_too() -> None:
    """What fails is over as well."""
    checks = gate(Shedder(Bounds(max_concurrent=1)))
    with pytest.raises(ZeroDivisionError), let_in(checks):
        raise ZeroDivisionError
    let_in(checks)


@pytest.mark.parametrize("bounds", [Bounds(max_concurrent=3), Bounds(rate=RateBound(3, 3))])
def test_a_large_report_is_not_refused_for_ever(bounds: Bounds) -> None:
    """One of more records than any bound is let in as soon as one of a single record would be."""
    clock = Clock()
    reports = gate(Shedder(bounds, clock=clock), Kind.REPORT)
    with let_in(reports, 10_000):
        assert isinstance(reports.admit(), Refusal)
    clock.now += 10_000 / 3
    let_in(reports, 10_000)


def test_reports_and_checks_are_counted_apart() -> None:
    """A report that fills its bounds takes no check's place."""
    shedder = Shedder(Bounds(max_concurrent=1, rate=RateBound(1, 1)), clock=Clock())
    checks, reports = gate(shedder), gate(shedder, Kind.REPORT)
    let_in(reports, 1000)
    let_in(checks)
    assert refusal(checks).reason is refusal(reports).reason is Reason.CONCURRENCY


def test_gates_of_a_kind_share_its_bounds() -> None:
    """Two front ends together have the places of one."""
    shedder = Shedder(Bounds(max_concurrent=1))
    one, other = shedder.gate("one", Kind.CHECK), shedder.gate("other", Kind.CHECK)
    let_in(one)
    assert refusal(other).reason is Reason.CONCURRENCY
    assert (one.refused[Reason.CONCURRENCY], other.refused[Reason.CONCURRENCY]) == (0, 1)
    assert shedder.asked == 2


@pytest.mark.parametrize("chance", [0.0, 0.25])
def test_rate(chance: float) -> None:
    """A burst is let in, then what the rate allows, and the refusal tells when that will be."""
    clock = Clock()
    checks = gate(Shedder(Bounds(rate=RateBound(4, 2)), clock=clock, chance=lambda: chance))
    let_in(checks), let_in(checks)
    refused = refusal(checks)
    assert refused == Refusal(Reason.RATE, 0.25 * (1 + chance))
    clock.now += refused.retry_after
    let_in(checks)
    assert isinstance(checks.admit(), Refusal)


def test_a_clock_that_goes_back() -> None:
    """It takes nothing from the rate, and what comes then is counted from there."""
    clock = Clock()
    checks = gate(Shedder(Bounds(rate=RateBound(4, 2)), clock=clock))
    let_in(checks)
    clock.now -= 10
    let_in(checks)
    assert refusal(checks).reason is Reason.RATE
    clock.now += 0.25
    let_in(checks)
    assert refusal(checks).reason is Reason.RATE


def test_the_time_to_try_again_is_bounded() -> None:
    """Whoever owes for days is told to come back within two minutes."""
    reports = gate(Shedder(Bounds(rate=RateBound(1, 1)), clock=Clock()), Kind.REPORT)
    let_in(reports, 1_000_000)
    assert 60 <= refusal(reports).retry_after < 120


def test_latency() -> None:
    """While callers wait too long a share is refused, and some are let in nevertheless."""
    unlucky = gate(overloaded(Bounds(wait=WAIT), Clock(), chance=0.0))
    lucky = gate(overloaded(Bounds(wait=WAIT), Clock(), chance=0.99))
    assert refusal(unlucky).reason is Reason.LATENCY
    let_in(lucky)


def test_nothing_is_refused_for_a_wait_of_long_ago() -> None:
    """Where nobody measures any more, nobody is refused."""
    clock = Clock()
    checks = gate(overloaded(Bounds(wait=WAIT), clock))
    clock.now += 3.0
    let_in(checks)


def test_what_exceeds_several_bounds_takes_nothing_of_the_rate() -> None:
    """A request that is refused for another reason leaves its place in the rate to others."""
    shedder = Shedder(Bounds(max_concurrent=1, rate=RateBound(1, 2)), clock=Clock())
    checks = gate(shedder)
    with let_in(checks):
        refusal(checks)
    let_in(checks)


def test_log_only(caplog: pytest.LogCaptureFixture) -> None:
    """Everything is let in; what would have been refused is counted and logged."""
    shedder = Shedder(Bounds(enforced=False, max_concurrent=1), clock=Clock())
    checks = gate(shedder)
    tickets = [let_in(checks) for _ in range(5)]
    assert (checks.admitted, checks.refused[Reason.CONCURRENCY]) == (5, 4)
    assert shedder.lanes[Kind.CHECK].in_progress == 5
    assert shedder.asked == 5
    for one in tickets:
        one.release()
    assert shedder.lanes[Kind.CHECK].in_progress == 0
    assert caplog.messages == [
        "1 in progress, maxConcurrent is 1; 1 front check let in, only logged"
    ]


def test_the_log_is_not_flooded(caplog: pytest.LogCaptureFixture) -> None:
    """A bound is told of at once, and then at most every 5 s with how many there were."""
    clock = Clock()
    checks = gate(Shedder(Bounds(max_concurrent=1), clock=clock))
    let_in(checks)
    for _ in range(80):
        checks.admit()
        clock.now += 0.125
    assert caplog.messages == [
        "1 in progress, maxConcurrent is 1; 1 front check refused",
        "1 in progress, maxConcurrent is 1; 40 front check refused in the last 5 s",
    ]


def test_the_log_tells_what_was_measured(caplog: pytest.LogCaptureFixture) -> None:
    """Each bound is named as in the configuration, with what it was compared with."""
    caplog.set_level(logging.WARNING, logger="mixer.shedding")
    gate(overloaded(Bounds(wait=WAIT), Clock())).admit()
    reports = gate(Shedder(Bounds(rate=RateBound(5, 2)), clock=Clock()), Kind.REPORT)
    let_in(reports, 100)
    reports.admit()
    latency, rate = caplog.messages
    assert latency.startswith("callers wait 1000 ms, latency.threshold is 100 ms, the share is ")
    assert rate == ("98 owed, rate.requestsPerSecond is 5 and its burst 2; 1 front report refused")


class _CountingClock(Clock):
    reads = 0

    def __call__(self) -> float:
        self.reads += 1
        return self.now


@pytest.mark.parametrize(
    ("bounds", "reads"),
    [
        (Bounds(max_concurrent=9), 0),
        (Bounds(max_concurrent=9, wait=WAIT), 0),
        (Bounds(max_concurrent=9, wait=WAIT, rate=RateBound(9, 9)), 1),
    ],
)
def test_a_request_that_is_let_in_is_cheap(bounds: Bounds, reads: int) -> None:
    """The clock is read once at the most, and not at all without a rate."""
    clock = _CountingClock()
    checks = gate(Shedder(bounds, clock=clock))
    clock.reads = 0
    let_in(checks)
    assert clock.reads == reads
