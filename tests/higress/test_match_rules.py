"""``matchRules`` with real plugins: matched by the module, and by this host, alike."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from mixer.config import loads
from mixer.engine import Decision, Engine
from tests.engine.conftest import request
from tests.higress.host import module_file

HOSTS = ("a.test", "a.test:8080", "x.b.test", "b.test", "c.d", "other")
ROUTES = (None, "r1", "r2", "GRPC/r1")
CLUSTERS = (None, "outbound|80||s.dns", "outbound|81||s.dns", "outbound|80||t.dns", "s.dns")


def sets(value: str) -> dict[str, Any]:
    """A configuration of the transformer: it sets a header."""
    header = {"key": "x-by", "value": value}
    return {"reqRules": [{"operate": "add", "headers": [header]}]}


RULES = [
    {"config": sets("route"), "ingress": ["r1"]},
    {"config": sets("disabled"), "domain": ["a.test"], "configDisable": True},
    {"config": sets("domain"), "domain": ["a.test", "*.b.test", "c.*"]},
    {"config": sets("service"), "service": ["s.dns:80", "t.dns"]},
    {"config": sets("grpc"), "ingress": ["r1"], "routeType": "GRPC"},
]
SPECS: dict[str, dict[str, Any]] = {
    "with a default": {"defaultConfig": sets("default"), "matchRules": RULES},
    "without": {"matchRules": RULES},
    "disabled": {
        "defaultConfig": sets("default"),
        "defaultConfigDisable": True,
        "matchRules": RULES,
    },
}


def engine(module: Path, compiled: Path, spec: dict[str, Any], who: str | None) -> Engine:
    """An engine with one plugin."""
    annotations = {} if who is None else {"mixer.dev/match-rules": who}
    plugin = {
        "apiVersion": "extensions.higress.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "p", "annotations": annotations},
        "spec": {"url": f"file://{module}", **spec},
    }
    mixer = {
        "apiVersion": "mixer.dev/v1alpha1",
        "kind": "Mixer",
        "metadata": {"name": "mixer"},
        "spec": {"compileCache": {"directory": str(compiled)}},
    }
    made = Engine(loads(yaml.safe_dump_all([plugin, mixer])))
    assert not made.broken, [str(one.problem) for one in made.broken]
    return made


def asked(engine: Engine, host: str, route: str | None, cluster: str | None) -> Decision:
    """The decision about a request."""
    names = {"xds.route_name": route, "xds.cluster_name": cluster}
    attributes = {name: value for name, value in names.items() if value is not None}
    decision = engine.decide(
        request((":authority", host), (":method", "GET"), attributes=attributes)
    )
    assert isinstance(decision, Decision)
    return decision


def set_by(decision: Decision) -> str:
    """Which configuration did it; empty for none."""
    found = [one.values[0].decode() for one in decision.request_headers if one.name == b"x-by"]
    return found[0] if found else ""


@pytest.fixture(scope="module")
def transformer(higress: Path, compiled: Path) -> Iterator[dict[tuple[str, str | None], Engine]]:
    """Engines by what is configured, and by who matches."""
    module = module_file(higress, "transformer")
    engines = {
        (name, who): engine(module, compiled, spec, who)
        for name, spec in SPECS.items()
        for who in (None, "module", "host")
    }
    yield engines
    for made in engines.values():
        made.close()


@pytest.mark.parametrize("name", SPECS)
def test_the_module_and_the_host_match_alike(
    transformer: dict[tuple[str, str | None], Engine], name: str
) -> None:
    """Whatever host, route and upstream a request has."""
    seen = set()
    for host, route, cluster in product(HOSTS, ROUTES, CLUSTERS):
        by_module = asked(transformer[name, "module"], host, route, cluster)
        by_host = asked(transformer[name, "host"], host, route, cluster)
        assert set_by(by_host) == set_by(by_module), (host, route, cluster)
        assert not by_module.rule
        assert bool(by_host.rule) is (set_by(by_host) not in ("", "default"))
        seen.add(set_by(by_host))
    default = "default" if name == "with a default" else ""
    assert seen == {"route", "domain", "service", "grpc", default}


def test_who_matches_is_found_out(transformer: dict[tuple[str, str | None], Engine]) -> None:
    """The module of Higress's Go SDK does: in one plugin, with all rules."""
    by_itself = transformer["with a default", None]
    decision = asked(by_itself, "a.test", None, None)
    assert (set_by(decision), decision.rule) == ("domain", "")
    (slot,) = by_itself.selector.slots
    assert len(slot.adapters) == 1


@pytest.mark.parametrize("who", ["module", "host"])
def test_the_example_of_the_page(higress: Path, compiled: Path, who: str) -> None:
    """Each rule of it is for what the page says it is for."""
    page = (Path(__file__).parents[2] / "docs" / "higress.md").read_text()
    (text,) = [t for t in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL) if "team\n" in t]
    spec = yaml.safe_load(text)["spec"]
    del spec["url"]
    asking = {
        ("a.example.com", None): "blue",
        ("foo.com:443", "default/checkout"): "blue",
        ("b.com", "default/checkout"): "red",
        ("example.com", "default/other"): "everybody",
    }
    with engine(module_file(higress, "transformer"), compiled, spec, who) as made:
        for (host, route), team in asking.items():
            changes = {
                one.name: one.values for one in asked(made, host, route, None).request_headers
            }
            assert changes[b"x-team"] == (team.encode(),)


def test_a_module_of_the_rust_sdk(higress: Path, compiled: Path) -> None:
    """It is found to match for itself as well, and does."""
    module = module_file(higress, "ai-data-masking")
    refuses = {"deny_words": ["secret"], "deny_code": 403, "deny_raw": True, "deny_openai": False}
    spec = {"matchRules": [{"config": refuses, "domain": ["a.test"]}]}
    with engine(module, compiled, spec, None) as made:
        (slot,) = made.selector.slots
        assert len(slot.adapters) == 1
        for host, verdict in (("a.test", "deny"), ("b.test", "allow")):
            headers = [(":authority", host), (":method", "POST"), ("content-type", "text/plain")]
            decision = made.decide(request(*headers, body=b"a secret"))
            assert isinstance(decision, Decision)
            assert decision.verdict == verdict
