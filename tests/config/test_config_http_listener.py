"""Listeners with ``protocol: HTTP``."""

import pytest

HTTP = "listeners:\n- name: web\n  address: 127.0.0.1:9001\n  protocol: HTTP\n"


def test_defaults(mixer):
    """Without settings, processes of the same machine are trusted."""
    [listener] = mixer(HTTP + "  http: {}").listeners
    assert listener.http.trusted_callers == ("127.0.0.0/8", "::1/128", "unix")
    assert mixer(HTTP).listeners[0].http is None


def test_settings(mixer):
    """Addresses are networks of one, and units are as everywhere."""
    written = (
        "  http: {trustedCallers: [10.0.0.1, 2001:DB8::/32, unix], maxConnections: 7,"
        " maxHeaderBytes: 8Ki, idleTimeout: 90s}"
    )
    http = mixer(HTTP + written).listeners[0].http
    assert http.trusted_callers == ("10.0.0.1/32", "2001:db8::/32", "unix")
    assert (http.max_connections, http.max_header_bytes, http.idle_timeout) == (7, 8192, 90.0)


def test_nobody_may_be_trusted(mixer):
    """An empty list trusts nobody."""
    assert mixer(HTTP + "  http: {trustedCallers: []}").listeners[0].http.trusted_callers == ()


@pytest.mark.parametrize(
    ("http", "problem"),
    [
        ("trustedCallers: [10.0.0.1/8]", "trustedCallers[0]: must be an address, a network"),
        ("trustedCallers: [localhost]", "trustedCallers[0]: must be an address, a network"),
        ("trustedCallers: ['*']", "trustedCallers[0]: must be an address, a network"),
        (f"trustedCallers: [{'unix, ' * 257}]", "trustedCallers: must have at most 256 items"),
        ("maxConnections: 0", "maxConnections: must be at least 1"),
        ("maxHeaderBytes: 1Mi", "maxHeaderBytes: must be from 1Ki to 256Ki"),
        ("idleTimeout: 0s", "idleTimeout: must be from 1s to 1h"),
        ("trusted: []", "trusted: unknown field"),
    ],
)
def test_wrong_settings(mixer_refused, http, problem):
    """They are refused with file and line."""
    [found] = mixer_refused(f"{HTTP}  http: {{{http}}}")
    assert found.startswith(f"a.yaml:9: spec.listeners[0].http.{problem}")


def test_settings_of_another_protocol(mixer_refused):
    """A gRPC listener has none of them."""
    [found] = mixer_refused("listeners:\n- {name: a, address: 'a:1', http: {}}")
    assert "only a listener with protocol: HTTP has these" in found


def test_latency_without_grpc(mixer_refused):
    """What callers wait is measured by gRPC: a service without it cannot bound it."""
    shedding = "loadShedding: {mode: ENFORCE, latency: {threshold: 100ms}}"
    [found] = mixer_refused(f"{HTTP}{shedding}")
    assert found.endswith("latency: is measured by gRPC: there is no such listener")
