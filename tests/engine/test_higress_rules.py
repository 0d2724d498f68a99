"""Higress's ``matchRules``, matched by this host as a module of Higress's SDK matches them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.config import MatchRule
from mixer.engine import AdapterState, Decision, Engine
from mixer.engine.selection import Ordered
from mixer.engine.selection.higress import condition
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.engine.test_selection import bag
from tests.support.tenants import TEXT, off, rule


def higress(plugins: Plugins, annotations: dict[str, str] | None = None, **spec: Any) -> Any:
    """Higress's document for a module without a matcher."""
    document = plugins.plugin("t", TEXT, annotations, **spec)
    return {**document, "apiVersion": "extensions.higress.io/v1alpha1"}


def of(key: str, **conditions: Any) -> dict[str, Any]:
    """A rule with a configuration of one key."""
    return {"config": {key: 1}, **conditions}


def got(engine: Engine, host: str, **attributes: Any) -> tuple[str, str]:
    """The configuration of the plugin that ran, and by which rule."""
    names = {name.replace("_", ".", 1): value for name, value in attributes.items()}
    decision = engine.decide(request((":authority", host), attributes=names))
    assert isinstance(decision, Decision)
    if not decision.adapters:
        return "", ""
    (change,) = [one for one in decision.request_headers if one.name == b"x-config"]
    return change.values[0].decode(), decision.rule


def test_the_host_matches_where_the_module_cannot(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """The first rule counts; each has a plugin of its own in the one VM."""
    engine = make_engine(
        higress(
            plugins,
            defaultConfig={"own": 1},
            matchRules=[
                of("route", ingress=["r1", "r2"]),
                of("both", ingress=["r3"], service=["s.dns"]),
                of("domain", domain=["a.test", "*.b.test", "c.*"]),
                of("service", service=["s.dns:80", "t.dns"]),
            ],
        )
    )
    own = ('{"own":1}', "")
    route = ('{"route":1}', "matchRules[0]")
    both = ('{"both":1}', "matchRules[1]")
    domain = ('{"domain":1}', "matchRules[2]")
    service = ('{"service":1}', "matchRules[3]")
    assert got(engine, "x") == own
    assert got(engine, "a.test", xds_route_name="r2") == route
    assert got(engine, "a.test", xds_route_name="r3") == domain
    cluster = "outbound|80||s.dns"
    assert got(engine, "x", xds_route_name="r3", xds_cluster_name=cluster) == both
    assert got(engine, "x", xds_cluster_name=cluster) == service
    assert got(engine, "x", xds_cluster_name="outbound|81||s.dns") == own
    assert got(engine, "x", xds_cluster_name="outbound|81||t.dns") == service
    assert got(engine, "x", xds_cluster_name="s.dns") == own
    for host in ("a.test", "a.test:8080", "q.b.test", "q.b.test:1", "c.anything"):
        assert got(engine, host) == domain
    for host in ("b.test", "A.test", "[a.test", "xa.test"):
        assert got(engine, host) == own


def test_without_a_default_it_runs_for_its_rules(make_engine: MakeEngine, plugins: Plugins) -> None:
    """And is as well as the first of them."""
    engine = make_engine(higress(plugins, matchRules=[of("a", domain=["a"])]))
    assert got(engine, "a") == ('{"a":1}', "matchRules[0]")
    assert got(engine, "b") == ("", "")
    assert engine.adapters[0].state is AdapterState.READY


def test_who_matches_can_be_chosen(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Also against what the module seems to know."""
    rules = {"defaultConfig": {"own": 1}, "matchRules": [of("a", domain=["a"])]}
    engine = make_engine(higress(plugins, {"match-rules": "module"}, **rules))
    module = '{"own":1,"_rules_":[{"a":1,"_match_domain_":["a"]}]}'
    assert got(engine, "a") == (module, "")
    knows = TEXT.replace('"x-trap")', '"x-trap") (data (i32.const 1080) "_match_domain_")', 1)
    for annotations, expected in (({}, module), ({"match-rules": "host"}, '{"a":1}')):
        document = plugins.plugin("t", knows, annotations, **rules)
        engine = make_engine({**document, "apiVersion": "extensions.higress.io/v1alpha1"})
        assert got(engine, "a")[0] == expected


def test_rules_of_mixer_come_first(make_engine: MakeEngine, plugins: Plugins) -> None:
    """They say more than a document that was written for another place."""
    engine = make_engine(
        higress(plugins, defaultConfig={"own": 1}, matchRules=[of("a", domain=["a"])]),
        rule("off", 'request.path == "/" && request.host == "a"', off("t")),
    )
    assert got(engine, "a") == ("", "")
    assert got(engine, "b") == ('{"own":1}', "")


def test_a_configuration_that_is_refused_is_told_by_its_rule(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """With its line, and without what is in it."""
    rules = [of("a", domain=["a"]), of("!secret", domain=["b"])]
    engine = make_engine(higress(plugins, defaultConfig={"own": 1}, matchRules=rules))
    (broken,) = engine.broken
    assert broken.problem.field == "spec.matchRules[1].config"
    assert "secret" not in str(broken.problem)


LABELS = st.sampled_from(["a", "b.", "*", "*a", "a*", "*.b", ":", "a:1", "*b*", "]", "[::1]", ""])
WRITTEN = st.lists(LABELS.filter(bool), min_size=1, max_size=3)
HOSTS = st.lists(LABELS, max_size=4).map("".join)


def _go(domains: list[str], host: str) -> bool:
    """As the matcher of Higress's Go SDK says it."""
    colon = host.rfind(":")
    if colon != -1 and host.rfind("]") < colon:
        host = host[:colon]
    for domain in domains:
        if domain.startswith("*"):
            if host.endswith(domain[1:]):
                return True
        elif domain.endswith("*"):
            if host.startswith(domain[:-1]):
                return True
        elif host == domain:
            return True
    return False


@settings(deadline=None)
@given(st.lists(WRITTEN, min_size=1, max_size=8), HOSTS)
def test_domains_match_as_in_higress(rules: list[list[str]], host: str) -> None:
    """Whatever stands where, by index or one by one."""
    given_rules = [MatchRule(domain=tuple(domains)) for domains in rules]
    ordered = Ordered([(condition(one), number) for number, one in enumerate(given_rules)])
    expected = [number for number, domains in enumerate(rules) if _go(domains, host)]
    assert list(ordered.matching(bag({"request.host": host}))) == expected


@pytest.mark.parametrize("attributes", [{}, {"request.host": 7, "xds.route_name": 7}])
def test_what_is_absent_matches_nothing(attributes: dict[str, Any]) -> None:
    """Nor does what is no text."""
    rules = [MatchRule(domain=("*",)), MatchRule(ingress=("7",)), MatchRule(service=("7",))] * 2
    ordered = Ordered([(condition(one), number) for number, one in enumerate(rules)])
    assert list(ordered.matching(bag(attributes))) == []
