"""Higress's WasmPlugin, and what its controller makes of it."""

import json
from typing import Any

import pytest
import yaml

from mixer.config import Configuration, WasmPlugin, loads


def load(spec: dict[str, Any], annotations: dict[str, str] | None = None) -> Configuration:
    """The configuration of one plugin of Higress."""
    document = {
        "apiVersion": "extensions.higress.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "p", "annotations": annotations or {}},
        "spec": {"url": "./p.wasm", **spec},
    }
    return loads(yaml.safe_dump(document, sort_keys=False), file="a.yaml")


def plugin(spec: dict[str, Any]) -> WasmPlugin:
    """The plugin, of which nothing has to be said."""
    configuration = load(spec)
    assert not configuration.notices
    return configuration.plugins[0]


def test_the_example_of_higress() -> None:
    """Rules go to the module under ``_rules_``, each with its conditions, in order."""
    made = plugin(
        {
            "phase": "AUTHN",
            "priority": 310,
            "failStrategy": "FAIL_OPEN",
            "imagePullPolicy": "UNSPECIFIED_POLICY",
            "defaultConfig": {"allow": ["a"]},
            "defaultConfigDisable": False,
            "matchRules": [
                {"config": {"allow": ["b"]}, "configDisable": False, "ingress": ["ns/route"]},
                {"config": {"allow": ["c"]}, "domain": ["*.example.com", "foo.com"]},
                {"config": {"allow": ["d"]}, "service": ["a.dns:80"], "ingress": ["r"]},
                {"config": {"allow": ["e"]}, "configDisable": True, "domain": ["gone.com"]},
                {"domain": ["empty.com"]},
            ],
        }
    )
    assert (made.phase, made.priority, made.fail_strategy) == ("AUTHN", 310, "FAIL_OPEN")
    assert json.loads(made.configuration) == {
        "allow": ["a"],
        "_rules_": [
            {"allow": ["b"], "_match_route_": ["ns/route"]},
            {"allow": ["c"], "_match_domain_": ["*.example.com", "foo.com"]},
            {"allow": ["d"], "_match_route_": ["r"], "_match_service_": ["a.dns:80"]},
            {"_match_domain_": ["empty.com"]},
        ],
    }
    assert made.host_rules is not None
    assert [rule.number for rule in made.host_rules.rules] == [0, 1, 2, 4]
    assert [rule.configuration for rule in made.host_rules.rules] == [
        b'{"allow":["b"]}', b'{"allow":["c"]}', b'{"allow":["d"]}', b"",
    ]  # fmt: skip
    assert made.host_rules.default == b'{"allow":["a"]}'


RULE = {"config": {"k": 1}, "domain": ["a"]}
RULES = [{"k": 1, "_match_domain_": ["a"]}]


@pytest.mark.parametrize(
    ("spec", "configuration", "default"),
    [
        ({"matchRules": [RULE]}, {"_rules_": RULES}, None),
        ({"defaultConfig": {}, "matchRules": [RULE]}, {"_rules_": RULES}, None),
        (
            {"defaultConfig": {"d": 1}, "defaultConfigDisable": True, "matchRules": [RULE]},
            {"_rules_": RULES},
            None,
        ),
        ({"defaultConfig": {"d": 1}, "matchRules": [RULE]}, {"d": 1, "_rules_": RULES}, b'{"d":1}'),
    ],
)
def test_what_holds_where_no_rule_does(
    spec: dict[str, Any], configuration: dict[str, Any], default: bytes | None
) -> None:
    """The default configuration, unless it is disabled, or there is nothing in it."""
    made = plugin(spec)
    assert json.loads(made.configuration) == configuration
    assert made.host_rules is not None
    assert made.host_rules.default == default


@pytest.mark.parametrize(
    ("spec", "configuration"),
    [
        ({}, b""),
        ({"defaultConfig": {"d": 1}}, b'{"d":1}'),
        ({"defaultConfig": {"d": 1}, "matchRules": [{"configDisable": True}]}, b'{"d":1}'),
        ({"pluginConfig": {"p": 1}}, b'{"p":1}'),
    ],
)
def test_without_rules(spec: dict[str, Any], configuration: bytes) -> None:
    """There is one configuration for all requests."""
    made = plugin(spec)
    assert (made.configuration, made.host_rules) == (configuration, None)


def test_plugin_config_counts_alone() -> None:
    """As in Higress; what stands beside it is told to have no effect."""
    configuration = load(
        {"pluginConfig": {"p": 1}, "defaultConfig": {"d": 1}, "matchRules": [RULE]}
    )
    assert configuration.plugins[0].configuration == b'{"p":1}'
    assert [str(notice) for notice in configuration.notices] == [
        "a.yaml:10: spec.defaultConfig: has no effect beside pluginConfig, as in Higress",
        "a.yaml:12: spec.matchRules: has no effect beside pluginConfig, as in Higress",
    ]


@pytest.mark.parametrize("rules", [[], [{**RULE, "configDisable": True}]])
def test_a_plugin_that_is_for_nothing_is_not_run(rules: list[Any]) -> None:
    """Its default is disabled, and no rule is enabled."""
    configuration = load({"defaultConfigDisable": True, "matchRules": rules})
    assert configuration.plugins == ()
    (notice,) = configuration.notices
    assert "spec.defaultConfigDisable: the plugin is not run" in str(notice)


def test_routes_of_grpc_have_the_name_that_the_gateway_gives_them() -> None:
    """The type comes first in it."""
    made = plugin({"matchRules": [{"ingress": ["ns/r"], "routeType": "GRPC"}]})
    assert json.loads(made.configuration)["_rules_"] == [{"_match_route_": ["GRPC/ns/r"]}]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            {"matchRules": [{"config": {"secret": 1}}]},
            "a.yaml:8: spec.matchRules[0]: needs at least one of ingress, domain and service",
        ),
        ({"matchRules": [{"domain": [""]}]}, "spec.matchRules[0].domain[0]: must not be empty"),
        ({"matchRules": [{"domains": ["a"]}]}, "unknown field; did you mean 'domain'?"),
        ({"matchRules": [{"domain": ["a"], "config": "secret"}]}, "config: must be a mapping"),
        ({"defaultConfig": ["secret"]}, "spec.defaultConfig: must be a mapping, not a list"),
        ({"match": []}, "spec.match: unknown field"),
        ({"matchRules": [RULE] * 1001}, "spec.matchRules: must have at most 1000 items"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    text_refused: Any, spec: dict[str, Any], problem: str
) -> None:
    """And without what is in a configuration."""
    document = {
        "apiVersion": "extensions.higress.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "p"},
        "spec": {"url": "./p.wasm", **spec},
    }
    found = text_refused(yaml.safe_dump(document, sort_keys=False))
    assert problem in found[0]
    assert "secret" not in "".join(found)
