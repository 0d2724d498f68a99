"""Durations that are counted by powers of two."""

from bisect import bisect_left
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mixer.proxywasm import Durations
from mixer.telemetry.bins import CALL_BOUNDS, CALLBACK_BOUNDS, bins_of

BOUNDS = st.builds(
    lambda exponent, beside: (1 << exponent) + beside, st.integers(0, 50), st.integers(-1, 1)
)


@given(st.lists(st.integers(0, 1 << 50) | BOUNDS))
def test_each_is_in_its_bucket(nanoseconds: list[int]) -> None:
    """A duration is in the first bucket whose bound it does not exceed, to the nanosecond."""
    durations = Durations()
    for one in nanoseconds:
        durations.add(one)
    for bounds in (CALL_BOUNDS, CALLBACK_BOUNDS):
        bins = bins_of(durations, bounds)
        exact = [round(bound * 1e9) for bound in bins.bounds]
        expected = Counter(bisect_left(exact, one) for one in nanoseconds)
        assert {n: count for n, count in enumerate(bins.counts) if count} == expected
        assert bins.total == sum(nanoseconds) / 1e9
