"""What is told of plugins that name what the service does not have."""

import json
import re

import pytest

from mixer.config import loads
from mixer.engine.unmet import unmet
from tests.adapters.readme import examples

_PLUGIN = """
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: one}
spec:
  url: URL
  pluginConfig:
    CONFIG
---
apiVersion: mixer.dev/v1alpha1
kind: Mixer
metadata: {name: mixer}
spec: SPEC
"""
_CLUSTER = re.compile(r'"cluster": "(.*?)"')
_JWKS = "jwt: {providers: [{}, {remote_jwks: {http_uri: {cluster: id}}}]}"
_ASKED = "introspection: {http_uri: {cluster: id}}"
_OTLP = "otlp: {cluster: collector}"
_PLANS = "plans: []"
_HAS_ID = "{clusters: [{name: id, endpoints: ['127.0.0.1:1']}]}"


def told(url: str, config: str, spec: str = "{}") -> list[str]:
    text = _PLUGIN.replace("URL", url).replace("CONFIG", config).replace("SPEC", spec)
    return [str(one) for one in unmet(loads(text, file="a.yaml"))]


@pytest.mark.parametrize(
    ("module", "config", "where", "effect"),
    [
        (
            "auth",
            _JWKS,
            "8: spec.pluginConfig.jwt.providers[1].remote_jwks.http_uri.cluster",
            "503",
        ),
        ("auth", _ASKED, "8: spec.pluginConfig.introspection.http_uri.cluster", "503"),
        ("telemetry", _OTLP, "8: spec.pluginConfig.otlp.cluster", "requests go on"),
        ("billing", _PLANS, "6: spec.url", "requests get 503"),
        ("billing", "onError: allow", "6: spec.url", "pass without a record"),
    ],
)
def test_what_is_not_there(module: str, config: str, where: str, effect: str) -> None:
    """The place, what becomes of requests, and what to add."""
    (notice,) = told(f"builtin://{module}", config)
    assert notice.startswith(f"a.yaml:{where}: ")
    assert effect in notice
    assert "add " in notice


@pytest.mark.parametrize(
    ("url", "config", "spec"),
    [
        ("builtin://auth", _JWKS, _HAS_ID),
        ("builtin://auth", "jwt: {providers: 1}", "{}"),
        ("builtin://auth", "introspection: {http_uri: {cluster: 1}}", "{}"),
        ("builtin://auth", _ASKED.replace("id", "'id.example:443'"),
         "{dynamicUpstreams: [{hosts: [id.example], ports: [443]}]}"),
        ("builtin://quota", _ASKED, "{}"),
        ("file:///auth.wasm", _ASKED, "{}"),
        ("builtin://billing", _PLANS, "{ledger: {sqlite: {path: /ledger.db}}}"),
    ],
)  # fmt: skip
def test_what_is_there(url: str, config: str, spec: str) -> None:
    """Nothing is told of what can be reached, nor of fields of other modules."""
    assert told(url, config, spec) == []


@pytest.mark.parametrize("module", ["auth", "telemetry"])
def test_what_the_pages_of_adapters_name(module: str) -> None:
    """Every cluster of their examples is found: the fields are those that the module reads."""
    shown = [one for one in examples(module) if "kind" not in one]
    named = [name for one in shown for name in _CLUSTER.findall(json.dumps(one))]
    found = [told(f"builtin://{module}", json.dumps(one)) for one in shown]
    notices = [notice for some in found for notice in some]
    assert named
    assert len(notices) == len(named)
    for name, notice in zip(named, notices, strict=True):
        assert f"no cluster '{name}'" in notice


_RULE = """
---
apiVersion: mixer.dev/v1alpha1
kind: MixerRule
metadata: {name: acme}
spec:
  adapters:
  - {name: other, pluginConfig: {introspection: {http_uri: {cluster: elsewhere}}}}
  - name: one
    pluginConfig:
      jwt:
        providers:
        - remote_jwks:
            http_uri: {cluster: id}
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: other}
spec: {url: file:///other.wasm}
"""


def test_what_rules_name() -> None:
    """A configuration of a rule is looked at as the plugin's own, and told with its own place."""
    (notice,) = told("builtin://auth", "{}", "{}" + _RULE)
    assert notice.startswith(
        "a.yaml:26: spec.adapters[1].pluginConfig.jwt.providers[0].remote_jwks.http_uri.cluster: "
    )
    assert told("builtin://auth", "{}", _HAS_ID + _RULE) == []


_BILLING_RULE = """
---
apiVersion: mixer.dev/v1alpha1
kind: MixerRule
metadata: {name: acme}
spec: {adapters: [{name: one, pluginConfig: {onError: EFFECT}}]}
"""


@pytest.mark.parametrize(("own", "ruled"), [("allow", "deny"), ("deny", "allow")])
def test_one_configuration_denies(own: str, ruled: str) -> None:
    """Without a ledger the worst is told once, be it of the plugin's own configuration or not."""
    rule = _BILLING_RULE.replace("EFFECT", ruled)
    (notice,) = told("builtin://billing", f"onError: {own}", "{}" + rule)
    assert "requests get 503" in notice


_HIGRESS = """
apiVersion: extensions.higress.io/v1alpha1
kind: WasmPlugin
metadata: {name: one}
spec:
  url: builtin://telemetry
  defaultConfig: {otlp: {cluster: first}}
  matchRules:
  - {domain: [a.example], config: {}}
  - domain: [b.example]
    config:
      otlp: {cluster: second}
"""


def test_what_rules_of_higress_name() -> None:
    """The default and each of `matchRules` are configurations of their own."""
    notices = [str(one) for one in unmet(loads(_HIGRESS, file="a.yaml"))]
    first, second = (notice.split(": ")[:2] for notice in notices)
    assert first == ["a.yaml:7", "spec.defaultConfig.otlp.cluster"]
    assert second == ["a.yaml:12", "spec.matchRules[1].config.otlp.cluster"]
