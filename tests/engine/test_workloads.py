"""Which workloads a plugin is for: Istio's selector and targetRefs, by the labels that are told."""

from typing import Any

import pytest

from mixer.engine import Decision
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support.adapters import adapter

APP = {"selector": {"matchLabels": {"app": "shop", "tier": "web"}}}
ALL = {"selector": {}}
SHOP = {"app": "shop", "tier": "web", "version": "v1"}
OTHER = {"app": "other", "tier": "web"}
NAME = "gateway.networking.k8s.io/gateway-name"
GATEWAY = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "g"}
SERVICE = {"group": "", "kind": "Service", "name": "s"}


@pytest.mark.parametrize(
    ("spec", "attributes", "runs"),
    [
        (APP, {}, True),
        (APP, {"destination.labels": {}}, True),
        (APP, {"destination.labels": SHOP}, True),
        (APP, {"destination.labels": OTHER}, False),
        (APP, {"destination.labels": {"app": "shop"}}, False),
        (APP, {"destination.labels": SHOP, "xds.listener_direction": 1}, True),
        (APP, {"destination.labels": OTHER, "xds.listener_direction": 1}, False),
        (APP, {"source.labels": OTHER, "xds.listener_direction": 1}, True),
        (APP, {"source.labels": OTHER, "destination.labels": SHOP}, True),
        (APP, {"destination.labels": OTHER, "xds.listener_direction": 2}, True),
        (APP, {"source.labels": SHOP, "xds.listener_direction": 2}, True),
        (APP, {"source.labels": OTHER, "xds.listener_direction": 2}, False),
        (ALL, {"destination.labels": OTHER}, True),
        ({"targetRef": GATEWAY}, {"destination.labels": {NAME: "g"}}, True),
        ({"targetRef": GATEWAY}, {"destination.labels": {NAME: "h"}}, False),
        ({"targetRef": GATEWAY}, {}, True),
        ({"targetRefs": [GATEWAY, {**GATEWAY, "name": "h"}]},
         {"destination.labels": {NAME: "h"}}, True),
        ({"targetRefs": [GATEWAY, SERVICE]}, {"destination.labels": OTHER}, True),
    ],
)  # fmt: skip
def test_labels_that_contradict_exclude(
    make_engine: MakeEngine,
    plugins: Plugins,
    spec: dict[str, Any],
    attributes: dict[str, Any],
    runs: bool,
) -> None:
    """Those of the workload whose proxy asks; what is not told excludes nothing."""
    engine = make_engine(plugins.plugin("a", adapter(), **spec))
    decision = engine.decide(request(attributes=attributes))
    assert isinstance(decision, Decision)
    assert bool(decision.adapters) is runs


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (APP, "spec.selector: excludes only requests whose caller tells the labels"),
        (ALL, None),
        ({"targetRef": GATEWAY}, "spec.targetRef: excludes only requests"),
        ({"targetRefs": [SERVICE]}, "spec.targetRefs: has no effect: only of a Gateway"),
    ],
)
def test_what_a_selector_needs_is_told(
    plugins: Plugins, spec: dict[str, Any], told: str | None
) -> None:
    """A mesh knows more than a caller may tell."""
    notices = [str(one) for one in plugins.configuration(plugins.document("a", **spec)).notices]
    assert bool(notices) is (told is not None)
    assert all(told in notice for notice in notices if told is not None)
