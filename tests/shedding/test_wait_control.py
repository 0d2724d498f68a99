"""Which share is refused while callers wait."""

import random
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.shedding import WaitBound, WaitControl
from mixer.shedding.wait_control import LARGEST_SHARE

THRESHOLD, WINDOW, STEP = 0.1, 0.2, 0.05
BOUND = WaitBound(THRESHOLD, WINDOW)

waits = st.lists(st.floats(0, 100))


def told(values: Sequence[float], step: float = STEP) -> tuple[WaitControl, list[float]]:
    """A control that was told waits in even steps, and the share after each."""
    control, shares = WaitControl(BOUND, 0.0), []
    for number, wait in enumerate(values, 1):
        control.tell(wait, number * step)
        shares.append(control.share)
    return control, shares


@given(st.lists(st.floats(0, THRESHOLD)))
def test_below_the_threshold_nothing_is_refused(values: list[float]) -> None:
    """However the wait changes below the threshold, the share is 0."""
    assert not any(told(values)[1])


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-1e6, 1e6))))
def test_the_share_is_one(values: list[tuple[float, float]]) -> None:
    """Whatever is told at whatever time, the share stays between 0 and its largest value."""
    control = WaitControl(BOUND, 0.0)
    for wait, now in values:
        control.tell(wait, now)
        assert 0 <= control.share <= LARGEST_SHARE


@given(st.lists(st.floats(THRESHOLD * 1.01, 100), max_size=int(WINDOW / STEP)))
def test_a_short_excess_is_no_load(values: list[float]) -> None:
    """What is over within the window, such as the start of a VM, has nothing refused."""
    assert not any(told([*values, 0.0])[1])


@given(waits)
def test_calm_ends_it(values: list[float]) -> None:
    """Three seconds without a wait, and nothing is refused, whatever was before."""
    assert told([*values, *[0.0] * int(3 / STEP)])[0].share == 0


@given(waits, st.floats(2.01, 1e9))
def test_silence_ends_it(values: list[float], silence: float) -> None:
    """Where nothing is told any more, nothing is refused after a while."""
    control, _ = told(values)
    control.forget_if_stale(len(values) * STEP + silence)
    assert control.share == 0


def test_it_grows_by_steps() -> None:
    """A wait that stays too long has the share grow gradually, and up to nearly all."""
    _, shares = told([THRESHOLD * 2] * 100)
    steps = [b - a for a, b in pairwise(shares)]
    assert min(steps) >= 0
    assert 0 < max(steps) < 0.2
    assert shares[-1] == LARGEST_SHARE


def test_it_does_not_end_at_the_threshold() -> None:
    """What began above the threshold goes on below it for a time: it does not go on and off."""
    control, shares = told([THRESHOLD * 2] * 30)
    control.tell(THRESHOLD * 0.9, 31 * STEP)
    assert 0 < control.share < shares[-1]


def queued(load: float, cost: float, refusing: float, seconds: float) -> tuple[list[float], int]:
    """Simulate a service that does one thing after the other; see the test for the arguments."""
    chance, control = random.Random(7), WaitControl(BOUND, 0.0)
    arrived: deque[float] = deque()
    now = coming = probed = 0.0
    served: list[float] = []
    refused = 0
    while now < seconds:
        while coming <= now:
            arrived.append(coming)
            coming += chance.expovariate(load / cost)
        if now - probed >= THRESHOLD / 2:
            probed = now
            control.tell(now - arrived[0] if arrived else 0.0, now)
        if not arrived:
            now = coming
            continue
        waited = now - arrived.popleft()
        if chance.random() < control.share:
            refused += 1
            now += refusing
        else:
            served.append(waited)
            now += cost
    return served, refused


@pytest.mark.parametrize("load", [1.2, 2, 5, 15])
@pytest.mark.parametrize(("cost", "refusing"), [(0.010, 0.0003), (0.001, 0.00003)])
def test_under_load_the_wait_is_bounded(load: float, cost: float, refusing: float) -> None:
    """With up to 15 times what can be served, half wait for the threshold, few much longer."""
    seconds = 30.0
    served, refused = queued(load, cost, refusing, seconds)
    half, most = (sorted(served)[int(len(served) * share)] for share in (0.5, 0.95))
    assert half < 1.25 * THRESHOLD
    assert most < 2.5 * THRESHOLD
    busy = (len(served) * cost + refused * refusing) / seconds
    assert busy > 0.95  # what is refused is not more than needed


def test_a_load_that_can_be_served_is_served() -> None:
    """At 70 percent of what can be served nothing is refused."""
    assert queued(0.7, 0.001, 0.0003, 30.0)[1] == 0
