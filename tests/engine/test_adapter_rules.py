"""Rules that say how adapters run: for which requests, and with which configuration."""

import logging
from typing import Any, ClassVar

import pytest

from mixer.config import ConfigError
from mixer.engine import Adapter, AdapterState, Decision, Engine, Record, Request, Verdict
from mixer.engine.cache.reads import AttributeRead
from mixer.engine.cache.traced_bag import TracedBag
from mixer.engine.restart import RestartPolicy
from mixer.proxywasm import ManualScheduler
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.engine.test_adapters import policy
from tests.engine.test_rules import at
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.tenants import TEXT, gets, off, rule

BY_HOST = [
    rule("acme", 'request.host == "acme.test"', gets("t", "acme")),
    rule("beta", 'request.host == "beta.test"', gets("t", "beta")),
]


def of(host: str, *headers: tuple[str, str], **more: Any) -> Request:
    """A request to a host."""
    return request((":authority", host), *headers, **more)


def decided(engine: Engine, asked: Request) -> Decision:
    decision = engine.decide(asked)
    assert isinstance(decision, Decision)
    return decision


def got(engine: Engine, asked: Request) -> list[str]:
    """The configurations of the plugins that ran, in order."""
    changes = decided(engine, asked).request_headers
    return [value.decode() for one in changes if one.name == b"x-config" for value in one.values]


def every(engine: Engine) -> list[Adapter]:
    """Each adapter, and what rules make of it."""
    return [one for slot in engine.selector.slots for one in slot.adapters]


def test_each_tenant_has_its_configuration(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Whom no rule is for gets what the WasmPlugin says."""
    own = plugins.plugin("t", TEXT, pluginConfig={"own": 1})
    engine = make_engine(own, *BY_HOST)
    hosts = {"acme.test": "acme", "beta.test": "beta", "other.test": "own"}
    for host, key in (*hosts.items(), *hosts.items()):
        assert got(engine, of(host)) == [f'{{"{key}":1}}']


def test_the_decision_tells_the_rule(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The adapter keeps its name; the rule is told beside it, whatever was decided."""
    engine = make_engine(
        plugins.plugin("t", TEXT),
        rule("no", 'request.host == "no.test"', gets("t", "-")),
        *BY_HOST,
    )
    told = [
        ("acme.test", (), Verdict.ALLOW, "acme"),
        ("no.test", (), Verdict.DENY, "no"),
        ("other.test", (), Verdict.ALLOW, ""),
        ("beta.test", (("x-trap", "1"),), Verdict.ERROR, "beta"),
    ]
    for host, headers, verdict, name in told:
        decision = decided(engine, of(host, *headers))
        assert (decision.verdict, decision.adapter, decision.rule) == (verdict, "t", name)
    (one,) = engine.adapters
    assert (one.stats.requests, one.stats.denied, one.stats.failures) == (4, 1, 1)


def test_the_first_rule_that_is_for_a_request_counts(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """By priority, then by name, and for each adapter by itself."""
    engine = make_engine(
        plugins.plugin("t", TEXT, priority=2),
        plugins.plugin("u", TEXT),
        rule("b", None, gets("t", "b"), gets("u", "b")),
        rule("a", None, gets("t", "a")),
        rule("first", 'request.host == "x"', gets("u", "first"), priority=1),
    )
    assert got(engine, of("x")) == ['{"a":1}', '{"first":1}']
    assert got(engine, of("y")) == ['{"a":1}', '{"b":1}']


def test_a_rule_can_have_an_adapter_not_run(make_engine: MakeEngine, plugins: Plugins) -> None:
    """And a rule before it can have it run all the same, as its WasmPlugin says."""
    engine = make_engine(
        plugins.plugin("t", TEXT, pluginConfig={"own": 1}),
        rule("open", 'request.path.startsWith("/open")', off("t")),
        rule("but", '"x-but" in request.headers', {"name": "t"}, priority=1),
    )
    assert got(engine, at("/")) == ['{"own":1}']
    assert decided(engine, at("/open")).adapters == ()
    assert got(engine, at("/open", ("x-but", "1"))) == ['{"own":1}']


def test_only_a_rule_that_is_true_switches_off(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What cannot be evaluated says nothing: an adapter that denies runs then."""
    engine = make_engine(
        plugins.plugin("t", TEXT, pluginConfig={"-": 1}),
        rule("open", 'request.headers["x-open"] == "1"', off("t")),
    )
    cases = [((), "deny"), ((("x-open", "0"),), "deny"), ((("x-open", "1"),), "allow")]
    for headers, verdict in cases:
        assert decided(engine, request(*headers)).verdict == verdict


def test_an_adapter_that_only_rules_run(make_engine: MakeEngine, plugins: Plugins) -> None:
    """With default disabled its own configuration is not even tried."""
    engine = make_engine(
        plugins.plugin("t", TEXT, {"default": "disabled"}, pluginConfig={"!": 1}), *BY_HOST
    )
    assert got(engine, of("acme.test")) == ['{"acme":1}']
    assert got(engine, of("beta.test")) == ['{"beta":1}']
    assert decided(engine, of("other.test")).adapters == ()
    (one,) = engine.adapters
    assert (one.state, engine.broken) == (AdapterState.READY, ())


def test_match_of_the_plugin_comes_first(make_engine: MakeEngine, plugins: Plugins) -> None:
    """No rule has an adapter run for requests that its WasmPlugin is not for."""
    engine = make_engine(
        plugins.plugin("t", TEXT, {"match": 'request.host != "beta.test"'}), *BY_HOST
    )
    assert got(engine, of("acme.test")) == ['{"acme":1}']
    assert decided(engine, of("beta.test")).adapters == ()


def test_a_rule_sees_what_adapters_before_changed(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """So the tenant can be whom an adapter found the caller to be."""
    who = adapter(do.remove("x-who"), do.when("x-key", do.add("x-who", "acme")))
    engine = make_engine(
        plugins.plugin("who", who, phase="AUTHN"),
        plugins.plugin("t", TEXT),
        *(rule(n, f'request.headers["x-who"] == "{n}"', gets("t", n)) for n in ("acme", "beta")),
        *(rule(f"r{n}", f'request.headers["x-who"] == "r{n}"', gets("t", "r")) for n in range(8)),
    )
    assert got(engine, request(("x-key", "1"), ("x-who", "beta"))) == ['{"acme":1}']
    assert got(engine, request(("x-who", "beta"))) == [""]


def test_streams_choose_alike(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A stream that comes piece by piece runs through the same adapters as a decision."""
    who = adapter(do.when("x-key", do.add("x-who", "acme")))
    engine = make_engine(
        plugins.plugin("who", who, phase="AUTHN"),
        plugins.plugin("t", TEXT),
        rule("acme", 'request.headers["x-who"] == "acme"', gets("t", "acme")),
        rule("off", '"x-off" in request.headers', off("t")),
    )
    asked: list[tuple[tuple[str, str], ...]] = [(("x-key", "1"),), (), (("x-off", "1"),)]
    for headers in asked:
        stream = engine.open(request(*headers))
        stream.request_headers(end_of_stream=True)
        assert stream.request.complete
        changes = {c.name: c.values for c in stream.request.header_changes()}
        decision = decided(engine, request(*headers))
        assert changes == {c.name: c.values for c in decision.request_headers}
        ended = stream.close()
        assert (ended.adapters, ended.rule) == (decision.adapters, decision.rule)


def test_reports_choose_alike(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """What is over is told to the plugin of its tenant."""
    caplog.set_level(logging.INFO)
    engine = make_engine(plugins.plugin("t", TEXT), *BY_HOST)
    for host in ("acme.test", "other.test", "beta.test"):
        asked = of(host)
        engine.report(Record(asked.headers, asked.attributes))
    told = [r.getMessage() for r in caplog.records if r.name == "mixer.adapter.t"]
    assert told == ['{"acme":1}', "", '{"beta":1}']


def test_quotas_choose_alike(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The plugin of a tenant answers for its quota."""
    engine = make_engine(plugins.plugin("t", TEXT, {"quotas": "rates"}), *BY_HOST)
    decision = engine.allocate(of("beta.test"), "rates")
    assert isinstance(decision, Decision)
    assert decision.rule == "beta"


def test_one_vm_for_all(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Each configuration is one more plugin of one VM; equal ones are one."""
    engine = make_engine(
        plugins.plugin("t", TEXT, pluginConfig={"own": 1}),
        *(rule(f"r{n}", f'request.host == "h{n}"', gets("t", "ab"[n % 2])) for n in range(10)),
        rule("same", 'request.host == "same"', gets("t", "own")),
        rule("as-it-is", 'request.host == "as-it-is"', {"name": "t"}),
    )
    (vm,) = {one._root.vm for one in every(engine) if one._root}
    assert (len(every(engine)), len(vm.roots)) == (13, 3)
    assert got(engine, of("h3")) == ['{"b":1}']
    assert [decided(engine, of(h)).rule for h in ("same", "as-it-is")] == ["same", "as-it-is"]


def test_a_thousand_tenants(make_engine: MakeEngine, plugins: Plugins) -> None:
    """One VM, and of the rules one is looked at."""
    rules = [rule(f"r{n}", f'request.host == "h{n}"', gets("t", f"k{n}")) for n in range(1000)]
    engine = make_engine(plugins.plugin("t", TEXT), *rules)
    assert engine.broken == ()
    (vm,) = {one._root.vm for one in every(engine) if one._root}
    assert len(vm.roots) == 1001
    for number in (0, 500, 999):
        assert got(engine, of(f"h{number}")) == [f'{{"k{number}":1}}']
    (slot,) = engine.selector.slots
    reads: list[Any] = []
    watched = TracedBag(of("h7").attributes, reads.append)
    assert slot.choose(watched) is not None
    assert reads == [AttributeRead("request.host")] * 2, "to find the rule, and to evaluate it"


def test_a_configuration_that_is_refused_is_told_by_its_rule(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """With its line, and without what is in it; the other tenants run."""
    engine = make_engine(
        plugins.plugin("t", TEXT),
        rule("bad", 'request.host == "bad.test"', gets("t", "!secret")),
        *BY_HOST,
    )
    (broken,) = engine.broken
    assert broken.problem.field == "spec.adapters[0].pluginConfig"
    assert "adapter t: the module refused its configuration" in str(broken.problem)
    assert "secret" not in str(broken.problem)
    assert got(engine, of("acme.test")) == ['{"acme":1}']
    decision = decided(engine, of("bad.test"))
    assert (decision.verdict, decision.rule, decision.reason) == ("error", "bad", "adapter_broken")


def test_a_configuration_that_traps_is_the_trouble_of_its_tenant(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """At the start the others get a VM without it."""
    engine = make_engine(
        plugins.plugin("t", TEXT),
        *BY_HOST,
        rule("bad", 'request.host == "bad.test"', gets("t", "#")),
        rule("last", 'request.host == "last.test"', gets("t", "last")),
    )
    assert [one.rule for one in engine.broken] == ["bad"]
    assert got(engine, of("acme.test")) == ['{"acme":1}']
    assert got(engine, of("last.test")) == ['{"last":1}']
    assert decided(engine, of("bad.test")).verdict is Verdict.ERROR


def test_after_a_trap_tenants_start_as_they_are_asked_for(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Not all at once: of a thousand, most are not waited for by anybody."""
    rules = [rule(f"r{n}", f'request.host == "h{n}"', gets("t", f"k{n}")) for n in range(20)]
    engine = make_engine(plugins.plugin("t", TEXT), *rules, scheduler=ManualScheduler())
    (one,) = engine.adapters
    assert one.owner is not None
    one.owner.restart = policy()
    assert decided(engine, of("h7", ("x-trap", "1"))).verdict is Verdict.ERROR
    assert one.state is AdapterState.FAILED
    for number in (3, 3, 7, 5):
        assert got(engine, of(f"h{number}")) == [f'{{"k{number}":1}}']
    assert one._root is not None
    assert len(one._root.vm.roots) == 4
    assert (one.state, one.stats.starts) == (AdapterState.READY, 2)
    assert {a.state for a in every(engine)} == {AdapterState.READY}


def test_tenants_that_are_waited_for_by_nobody_start_for_their_ticks(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """A plugin that asked for ticks goes on with them after the trap of another."""
    caplog.set_level(logging.INFO)
    time = ManualScheduler()
    ticking = rule("ticks", 'request.host == "ticks"', gets("t", "~"))
    engine = make_engine(plugins.plugin("t", TEXT), ticking, *BY_HOST, scheduler=time)
    decided(engine, of("acme.test", ("x-trap", "1")))
    caplog.clear()
    for _ in range(5):
        time.advance(1.0)
    assert '{"~":1}' in [r.getMessage() for r in caplog.records if r.name == "mixer.adapter.t"]
    (one,) = engine.adapters
    assert one._root is not None
    assert len(one._root.vm.roots) == 2


def test_a_tenant_without_the_plugin_s_own(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Where that was refused and the VM traps, a tenant that is asked for gets another VM."""
    engine = make_engine(plugins.plugin("t", TEXT, pluginConfig={"!": 1}), *BY_HOST)
    assert [one.rule for one in engine.broken] == [""]
    for one in every(engine):
        assert one.owner is not None
        one.owner.restart = policy()
    decided(engine, of("acme.test", ("x-trap", "1")))
    for host, key in (("beta.test", "beta"), ("acme.test", "acme")):
        assert got(engine, of(host)) == [f'{{"{key}":1}}']


def test_a_vm_that_is_replaced_takes_its_tenants_along(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Those that are asked for, when they are."""
    time = ManualScheduler()
    plugin = plugins.plugin("t", TEXT, {"max-vm-age": "5s"})
    engine = make_engine(plugin, *BY_HOST, scheduler=time)
    (one,) = engine.adapters
    assert one._root is not None
    old = one._root.vm
    owner: Any = one.owner
    owner.restart, owner.factory.clock = policy(), lambda: 1e9
    owner._recycling._clock = owner.factory.clock
    time.advance(1.0)
    assert one._root is not None
    assert one._root.vm is not old
    assert old.closed
    assert got(engine, of("beta.test")) == ['{"beta":1}']


def test_fresh_vms_have_the_tenant_s_configuration(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """With a VM for each stream, it is started with what its rule says."""
    engine = make_engine(plugins.plugin("t", TEXT, {"isolation": "request"}), *BY_HOST)
    for host, key in (("acme.test", "acme"), ("beta.test", "beta"), ("acme.test", "acme")):
        assert got(engine, of(host)) == [f'{{"{key}":1}}']
    assert got(engine, of("other.test")) == [""]


def test_a_tenant_that_is_refused_keeps_no_other_one_waiting(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Where each stream has a VM of its own, each tenant's start is its own matter."""
    bad = rule("bad", 'request.host == "bad.test"', gets("t", "!"))
    engine = make_engine(plugins.plugin("t", TEXT, {"isolation": "request"}), *BY_HOST, bad)
    assert [one.rule for one in engine.broken] == ["bad"]
    assert got(engine, of("acme.test")) == ['{"acme":1}']
    assert decided(engine, of("bad.test")).reason == "adapter_broken"


class _Noting(RestartPolicy):
    """Notes what it is told."""

    told: ClassVar[list[str]] = []

    def started(self, now: float, took: float) -> None:
        """See `RestartPolicy`."""
        self.told.append("started")

    def joined(self, now: float, took: float) -> None:
        """See `RestartPolicy`."""
        self.told.append("joined")


def test_tenants_that_start_again_are_paid_for(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A request that traps costs no more than a share of the time, with all that follows of it."""
    engine = make_engine(plugins.plugin("t", TEXT), *BY_HOST)
    owner = engine.adapters[0].owner
    assert owner is not None
    owner.restart = noting = _Noting()
    noting.told.clear()
    decided(engine, of("acme.test", ("x-trap", "1")))
    for host in ("other.test", "acme.test", "beta.test", "acme.test"):
        decided(engine, of(host))
    assert noting.told == ["started", "joined", "joined"]


def test_what_joins_puts_the_next_start_off() -> None:
    """By as much as a start that takes as long; never to an earlier time."""
    one = RestartPolicy(jitter=lambda: 0.0)
    one.started(now=10.0, took=0.5)
    assert one.wait(10.0) == pytest.approx(5.0)
    one.joined(now=11.0, took=0.1)
    assert one.wait(11.0) == pytest.approx(5.0)
    one.joined(now=20.0, took=0.1)
    assert one.wait(20.0) == pytest.approx(1.0)
    reload = RestartPolicy(jitter=lambda: 0.0, reload_backoff=3.0)
    reload.started(now=10.0, took=0.5)
    reload.joined(now=12.0, took=0.5)
    assert reload.wait(12.0) == pytest.approx(1.0)


def test_a_module_that_does_not_load_is_told_once(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Not for each tenant again; requests are answered by its failStrategy, and tell the rule."""
    engine = make_engine(plugins.document("t"), *BY_HOST)
    (broken,) = engine.broken
    assert broken.problem.field == "spec.url"
    assert decided(engine, of("acme.test")).verdict is Verdict.ERROR


@pytest.mark.parametrize("match", ['request.hots == "a"', "1", "request.host =="])
def test_a_match_that_is_wrong_refuses_the_configuration(plugins: Plugins, match: str) -> None:
    """Before anything is loaded, with the line."""
    with pytest.raises(ConfigError, match=r":\d+: spec.match: "):
        Engine(plugins.configuration(plugins.document("t"), rule("r", match, off("t"))))
