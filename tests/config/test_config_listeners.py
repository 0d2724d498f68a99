"""TLS, callers and limits of listeners."""

from pathlib import Path

import pytest

TLS = "tls: {certFile: tls/tls.crt, keyFile: /run/tls.key, clientCaFile: ca.pem}"


def listener(text):
    """One listener with more fields."""
    fields = "\n".join(f"  {line}" for line in text.splitlines())
    return f"listeners:\n- name: a\n  address: 127.0.0.1:1\n{fields}"


def test_files_are_relative_to_the_folder_of_the_file(mixer, tmp_path):
    """As everywhere else."""
    [found] = mixer(listener(TLS)).listeners
    assert found.tls.key_file == Path("/run/tls.key")
    assert found.tls.cert_file.is_absolute()
    assert found.tls.cert_file.parts[-2:] == ("tls", "tls.crt")
    assert found.tls.client_ca_file == found.tls.cert_file.parents[1] / "ca.pem"
    assert found.callers is None


def test_callers(mixer):
    """SPIFFE IDs, all below one, and DNS names."""
    callers = ["spiffe://a.b/ns/c", "spiffe://a.b/ns/*", "spiffe://a_b/*", "envoy.example"]
    [found] = mixer(listener(f"{TLS}\ncallers: {callers}")).listeners
    assert found.callers == tuple(callers)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tls: {keyFile: a}", "8: spec.listeners[0].tls.certFile: is required"),
        ("tls: {certFile: ''}", "8: spec.listeners[0].tls.certFile: must not be empty"),
        (
            "tls: {certfile: a, certFile: b}",
            "8: spec.listeners[0].tls.certfile: unknown field; did you mean 'certFile'?",
        ),
        ("callers: [a.example]", "8: spec.listeners[0].callers: needs tls.clientCaFile"),
        (
            "tls: {certFile: a}\ncallers: [a.example]",
            "9: spec.listeners[0].callers: needs tls.clientCaFile",
        ),
        (f"{TLS}\ncallers: []", "9: spec.listeners[0].callers: must have at least 1 item"),
    ],
)
def test_what_is_refused(mixer_refused, text, message):
    """A listener is never more open than its settings look."""
    [found] = mixer_refused(listener(text))
    assert found.startswith(f"a.yaml:{message}")


@pytest.mark.parametrize(
    ("caller", "message"),
    [
        ("'*'", "must be a SPIFFE ID"),
        ("''", "must be a SPIFFE ID"),
        ("'*.example'", "must be a SPIFFE ID"),
        ("Envoy.example", "must be a SPIFFE ID"),
        ("spiffe:///*", "a SPIFFE ID is spiffe:// and a trust domain"),
        ("spiffe://A/b", "a SPIFFE ID is spiffe:// and a trust domain"),
        ("spiffe://a*", "a SPIFFE ID is spiffe:// and a trust domain"),
        ("https://a/b", "a SPIFFE ID is spiffe:// and a trust domain"),
        ("spiffe://a/b*", "the segments of a SPIFFE ID's path"),
        ("spiffe://a/*/b", "the segments of a SPIFFE ID's path"),
        ("spiffe://a/b/../c", "the segments of a SPIFFE ID's path"),
        ("spiffe://a/b//*", "the segments of a SPIFFE ID's path"),
        ("spiffe://a/", "the segments of a SPIFFE ID's path"),
        (f"spiffe://a/{'b' * 2048}", "a SPIFFE ID has at most 2048 characters"),
    ],
)
def test_what_names_no_caller(mixer_refused, caller, message):
    """A pattern that could be meant otherwise than it would be taken is refused."""
    [found] = mixer_refused(listener(f"{TLS}\ncallers: [a.example, {caller}]"))
    assert found.startswith(f"a.yaml:9: spec.listeners[0].callers[1]: {message}")


def test_limits_of_connections(mixer):
    """Each has its unit."""
    found = mixer(
        "limits:\n  connections: {maxConnections: 5, maxConcurrentStreams: 6,"
        " maxMetadataBytes: 8Ki, handshakeTimeout: 1s, idleTimeout: 2m, maxAge: 1h,"
        " maxAgeGrace: 5s, keepaliveInterval: 10s, keepaliveTimeout: 200ms}"
    ).limits.connections
    assert (found.max_connections, found.max_concurrent_streams) == (5, 6)
    assert found.max_metadata_bytes == 8192
    assert (found.handshake_timeout, found.idle_timeout) == (1.0, 120.0)
    assert (found.max_age, found.max_age_grace) == (3600.0, 5.0)
    assert (found.keepalive_interval, found.keepalive_timeout) == (10.0, 0.2)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("maxConnections", "0", "must be at least 1"),
        ("maxConcurrentStreams", "1000001", "must be at most 1000000"),
        ("maxMetadataBytes", "1", "must be from 1Ki to 1Mi, not '1'"),
        ("handshakeTimeout", "0s", "must be from 100ms to 10m, not '0s'"),
        ("idleTimeout", "25h", "must be from 100ms to 24h, not '25h'"),
        ("maxAge", "10ms", "must be from 1s to 8760h, not '10ms'"),
        ("maxAgeGrace", "11m", "must be from 100ms to 10m, not '11m'"),
        ("keepaliveInterval", "0.5s", "must be from 1s to 24h, not '0.5s'"),
        ("keepaliveTimeout", "1", "must be a duration such as 100ms, 0.5s or 2s, not '1'"),
    ],
)
def test_bounds_of_the_limits(mixer_refused, name, value, message):
    """Each has bounds, which its error names."""
    [found] = mixer_refused(f"limits:\n  connections: {{{name}: {value}}}")
    assert found == f"a.yaml:6: spec.limits.connections.{name}: {message}"
