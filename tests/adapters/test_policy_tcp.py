"""The adapter policy for TCP connections."""

from collections.abc import Mapping
from typing import Any

import pytest

from mixer.attributes import Value
from mixer.proxywasm import PluginStartError
from mixer.testing import Host, Outcome
from mixer.vm import TrapError

NETWORKS = {
    "name": "networks",
    "list": {
        "value": "source.address",
        "type": "IP_ADDRESSES",
        "entries": ["10.0.0.0/8", "2001:db8::/32"],
    },
}
SERVER_NAMES = {
    "name": "sni",
    "match": "connection.requested_server_name != ''",
    "list": {"value": "connection.requested_server_name", "entries": ["db.example.com"]},
}
NO_CERTIFICATE = {"name": "mtls", "match": "!connection.mtls", "deny": {}}


def asked(host: Host, rules: list[dict[str, Any]], properties: Mapping[str, Value]) -> str | None:
    """Why a connection is closed; None where it may go on."""
    plugin = host.load("builtin://policy", {"protocol": "TCP", "rules": rules})
    connection = plugin.connection(properties)
    outcome = connection.new_connection()
    said = connection.properties.get(b"mixer.deny.reason")
    assert connection.closed == (said is not None) == (outcome is Outcome.RESET)
    return None if said is None else said.decode()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("10.1.2.3:5000", None),
        ("[2001:db8::1]:5000", None),
        ("11.1.2.3:5000", "denied_by_networks"),
        ("/run/client.sock", "denied_by_networks"),
    ],
)
def test_addresses(proxy_wasm: Host, address: str, reason: str | None) -> None:
    """A list of networks lets in whose address is in it; what is no address is not."""
    assert asked(proxy_wasm, [NETWORKS], {"source.address": address}) == reason


def test_an_address_that_is_not_told(proxy_wasm: Host) -> None:
    """What cannot be looked up is no permission."""
    assert asked(proxy_wasm, [NETWORKS], {}) == "not_evaluated_in_networks"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("", None), ("db.example.com", None), ("other.example.com", "denied_by_sni")],
)
def test_server_names(proxy_wasm: Host, name: str, reason: str | None) -> None:
    """Rules may look at what TLS tells."""
    properties = {"connection.requested_server_name": name}
    assert asked(proxy_wasm, [SERVER_NAMES], properties) == reason


@pytest.mark.parametrize(("mtls", "reason"), [(True, None), (False, "denied_by_mtls")])
def test_certificates(proxy_wasm: Host, mtls: bool, reason: str | None) -> None:
    """A denial with a condition."""
    assert asked(proxy_wasm, [NO_CERTIFICATE], {"connection.mtls": mtls}) == reason


def test_data_is_carried(proxy_wasm: Host) -> None:
    """Of a connection that may go on, nothing is held back or changed."""
    plugin = proxy_wasm.load("builtin://policy", {"protocol": "TCP", "rules": [NETWORKS]})
    connection = plugin.connection({"source.address": "10.0.0.1:1"})
    connection.new_connection()
    connection.downstream_data("up")
    connection.upstream_data("down", end_of_stream=True)
    connection.close()
    assert (connection.to_upstream, connection.to_downstream) == (b"up", b"down")


def test_the_wrong_protocol(proxy_wasm: Host) -> None:
    """Rules for requests let no connection in, nor those for connections a request: it traps."""
    plugin = proxy_wasm.load("builtin://policy", {"rules": [NETWORKS]})
    with pytest.raises(TrapError):
        plugin.connection({"source.address": "10.0.0.1:1"}).new_connection()
    plugin = proxy_wasm.load("builtin://policy", {"protocol": "TCP", "rules": [NETWORKS]})
    with pytest.raises(TrapError):
        plugin.request({})


def test_an_unknown_protocol(proxy_wasm: Host) -> None:
    """A mistake is named."""
    with pytest.raises(PluginStartError, match="protocol must be HTTP or TCP"):
        proxy_wasm.load("builtin://policy", {"protocol": "tcp", "rules": [NETWORKS]})
