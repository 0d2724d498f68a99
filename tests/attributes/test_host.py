"""The host of a request, however it is written."""

import pytest

from mixer.attributes.http import host_name


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("acme.example.com", "acme.example.com"),
        ("ACME.Example.com", "acme.example.com"),
        ("acme.example.com:443", "acme.example.com"),
        ("acme.example.com:", "acme.example.com"),
        ("acme.example.com.", "acme.example.com"),
        ("acme.example.com.:8080", "acme.example.com"),
        ("[2001:DB8::1]:443", "[2001:db8::1]"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("2001:db8::1", "2001:db8::1"),
        ("acme.example.com:x", "acme.example.com:x"),
        ("acme.example.com:443:443", "acme.example.com:443:443"),
        ("", ""),
    ],
)
def test_one_host_has_one_name(written: str, host: str) -> None:
    """Capitals, a port and a dot at the end make no other host; what is none stays as it is."""
    assert host_name(written) == host
