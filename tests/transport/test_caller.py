"""Who calls."""

import pytest

from mixer.transport.caller import caller_of
from mixer.transport.slices import SLICE_S, Slices


@pytest.mark.parametrize(
    ("peer", "caller"),
    [
        ("ipv4:127.0.0.1:5000", "127.0.0.1"),
        ("ipv6:%5B::1%5D:5000", "::1"),
        ("ipv6:[2001:db8::1]:5000", "2001:db8::1"),
        ("unix:", "unix"),
        ("unix:/run/mixer.sock", "unix"),
    ],
)
def test_a_caller_is_an_address_without_port(peer: str, caller: str) -> None:
    """Each connection has another port, and is still the same caller's."""
    assert caller_of(peer) == caller


def test_slices() -> None:
    """Others get their turn once the slice is over, and then the next one begins."""
    now = 0.0
    slices = Slices(lambda: now)
    seen = []
    for half in range(1, 7):
        now = half * SLICE_S / 2
        seen.append(slices.over())
    assert seen == [False, True] * 3
