"""The README of the auth adapter on what it decides by itself: examples and fields."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mixer.testing import Host, Plugin, PluginStartError
from tests.adapters.readme import page
from tests.adapters.test_auth_local import basic, token, told

if TYPE_CHECKING:
    from mixer.attributes import Value

NOW = 1_800_000_000
KEY = {"keys": [{"sha256": "0" * 64, "consumer": "c"}]}
_EXAMPLE = re.compile(r"^### ([^\n]+)\n\n```yaml\n(.*?)```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def host() -> Iterator[Host]:
    """A host with a clock of its own."""
    with Host(now=NOW) as one:
        yield one


def load(host: Host, title: str) -> Plugin:
    """With the configuration under this heading."""
    return host.load("builtin://auth", yaml.safe_load(dict(_EXAMPLE.findall(page("auth")))[title]))


def test_users_with_passwords(host: Host) -> None:
    """The password of the comment is that of the hash, which the page's program makes."""
    plugin = load(host, "Users with passwords")
    stream = plugin.request(basic("alice:correct horse"))
    assert stream.request.headers["x-consumer"] == "alice"
    assert "authorization" not in stream.request.headers
    (program,) = re.findall(r"```python\n(.*?)print", page("auth"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)
    assert names["password_hash"]("correct horse", b"mixer-salt") in page("auth")


def test_a_signed_request(host: Host) -> None:
    """The request of the page passes, once."""
    plugin = load(host, "Signed requests")
    (text,) = re.findall(r"```http\n(.*?)\n```", page("auth"), re.DOTALL)
    head, _, body = text.partition("\n\n")
    first, *lines = head.split("\n")
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    headers |= {":method": method, ":path": path, ":authority": headers.pop("host")}
    stream = plugin.request(headers, body)
    assert (stream.local_response, stream.request.headers["x-consumer"]) == (None, "billing")
    assert told(plugin, headers) == "signature_replayed"


def test_workloads(host: Host) -> None:
    """Each has its paths."""
    plugin = load(host, "Workloads of a mesh")

    def by(name: str, path: str, method: str = "GET") -> str | None:
        peer: dict[str, Value] = {
            "connection__uri_san_peer_certificate": f"spiffe://cluster.local/ns/{name}"
        }
        return told(plugin, {":path": path, ":method": method}, **peer)

    scraper = "spiffe://cluster.local/ns/monitoring/sa/x"
    assert by("monitoring/sa/x", "/metrics") == scraper
    assert by("monitoring/sa/x", "/metrics", "POST") == "default_forbidden"
    assert by("shop/sa/checkout", "/metrics") == "condition_forbidden:rules[0]"
    assert by("shop/sa/checkout", "/orders/1") == "checkout"
    assert by("monitoring/sa/x", "/orders/1") == "consumer_forbidden:rules[1]"


def test_networks_and_guests(host: Host) -> None:
    """Guests come from inside; some networks not at all."""
    plugin = load(host, "Networks and guests")

    def at(address: str, **headers: str) -> str | None:
        return told(plugin, {":path": "/status", "x-forwarded-for": address, **headers})

    assert at("10.1.1.1") == at("fd00::1") == at("::ffff:10.1.1.1") == "guest"
    assert at("192.0.2.1") == "api_key_missing"
    assert at("203.0.113.7", **{"x-api-key": "foo"}) == "address_denied"
    assert at("192.0.2.1", **{"x-api-key": "foo"}) == "batch"


def test_conditions_over_claims(host: Host) -> None:
    """A tier, and a tenant's own paths."""
    plugin = load(host, "Conditions over claims")

    def with_claims(path: str, **claims: Any) -> str | None:
        own = {"iss": "https://id.example.com", "aud": "shop", "exp": NOW + 60, **claims}
        return told(plugin, {":path": path, **token(own, bytes(range(32)))})

    assert with_claims("/premium/1", tier="gold") == "carol"
    assert with_claims("/premium/1") == "condition_forbidden:rules[0]"
    assert with_claims("/tenants/a/1", tenant="a") == "carol"
    assert with_claims("/tenants/ab/1", tenant="a") == "condition_forbidden:rules[1]"
    assert with_claims("/tenants/a/1") == "condition_not_evaluated:rules[1]"


@pytest.mark.parametrize(
    ("heading", "configuration"),
    [
        ("## Configuration", {"x": 1}),
        ("### `basic`", {"basic": {"x": 1}}),
        ("### `signatures`", {"signatures": {"x": 1}}),
        ("### `mtls`", {"mtls": {"x": 1}}),
        ("### `addresses`", {"addresses": {"x": 1}}),
        ("### Rule", {"api_keys": KEY, "rules": [{"x": 1}]}),
    ],
)
def test_every_field_is_described(host: Host, heading: str, configuration: dict[str, Any]) -> None:
    """The table has the fields that the module knows, and no others."""
    section = page("auth").split(f"\n{heading}\n")[1].split("\n## ")[0].split("\n### ")[0]
    described = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))
    with pytest.raises(PluginStartError) as refused:
        host.load("builtin://auth", configuration)
    known = re.findall(r"\w+", str(refused.value).partition("known here: ")[2].split("\n")[0])
    assert described == set(known)
