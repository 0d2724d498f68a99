"""Who calls."""

import pytest

from mixer.transport.caller import address_of


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
    assert address_of(peer) == caller
