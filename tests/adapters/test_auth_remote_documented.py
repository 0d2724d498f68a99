"""The README of the auth adapter on what it asks of others: examples and fields."""

import re
from pathlib import Path
from typing import Any

import yaml

from mixer.config import loads
from mixer.testing import Host, Outcome
from tests.adapters.readme import page
from tests.support.identity_provider import INACTIVE, active, key, key_set, token

_EXAMPLE = re.compile(r"^### ([^\n]+)\n\n```yaml\n(.*?)```", re.MULTILINE | re.DOTALL)
_CONFIG = Path(__file__).parents[2] / "adapters/auth/src/config"


def example(title: str) -> dict[str, Any]:
    """The configuration under this heading."""
    found: dict[str, Any] = yaml.safe_load(dict(_EXAMPLE.findall(page("auth")))[title])
    return found


def test_keys_from_an_identity_provider(proxy_wasm: Host) -> None:
    """They are fetched from where the example says, and a token signed by one passes."""
    plugin = proxy_wasm.load("builtin://auth", example("Keys from an identity provider"))
    signing = key("k")
    bearer = token(signing, iss="https://id.example.com", aud="shop")
    stream = plugin.request({"authorization": f"Bearer {bearer}"})
    (call,) = proxy_wasm.http_calls
    assert (call.call.cluster, call.call.timeout) == ("id", 2.0)
    assert call.headers[":authority"] == "id.example.com"
    assert call.headers[":path"] == "/.well-known/jwks.json"
    call.respond(*key_set(signing))
    assert stream.outcome is Outcome.CONTINUE
    proxy_wasm.advance(272)
    assert len(proxy_wasm.http_calls) == 2


def test_the_cluster_of_the_example() -> None:
    """The service takes it."""
    (text,) = re.findall(r"```yaml\n(apiVersion: mixer.dev.*?)```", page("auth"), re.DOTALL)
    (cluster,) = loads(text, environ={}).mixer.clusters
    assert cluster.name == "id"


def test_opaque_tokens(proxy_wasm: Host) -> None:
    """What the server says of a token is claims to rules and headers."""
    plugin = proxy_wasm.load("builtin://auth", example("Opaque tokens"))

    def asked(name: str, path: str) -> Any:
        return plugin.request({":path": path, "authorization": f"Bearer {name}"})

    stream = asked("t", "/orders/1")
    proxy_wasm.http_calls[0].respond(*active(scope="orders:write x"))
    assert stream.request.headers["x-scope"] == "orders:write x"
    assert asked("t", "/orders/1").outcome is Outcome.CONTINUE
    stream = asked("u", "/orders/1")
    proxy_wasm.http_calls[1].respond(*active(scope="orders:read"))
    assert stream.local_response.details == "claim_forbidden:rules[0]"
    assert asked("u", "/").outcome is Outcome.CONTINUE
    stream = asked("v", "/")
    proxy_wasm.http_calls[2].respond(*INACTIVE)
    assert stream.local_response.details == "token_inactive"
    proxy_wasm.advance(30)
    assert asked("t", "/").waits


def test_every_field_has_a_row() -> None:
    """Those of the two tables are those that the parser knows, with those of `http_uri`."""
    flags = re.MULTILINE | re.DOTALL
    rows = {
        title: set(re.findall(r"^\| `(?:http_uri\.)?(\w+)`", section, re.MULTILINE))
        for title, section in re.findall(r"^### `(\w+)`\n(.*?)(?=^##)", page("auth"), flags)
    }
    remote, uri = known("remote")
    (introspection,) = known("introspection")
    assert rows["remote_jwks"] == remote - {"http_uri"} | uri
    assert rows["introspection"] == introspection


def known(file: str) -> list[set[str]]:
    """The fields of each object that a file of the parser reads."""
    text = (_CONFIG / f"{file}.rs").read_text()
    lists = re.findall(r"object\(&\[(.*?)\]\)", text, re.DOTALL)
    return [set(re.findall(r'"(\w+)"', one)) for one in lists]
