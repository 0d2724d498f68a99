"""The reference pages name what the code has."""

import re
from pathlib import Path

import pytest
import yaml

from mixer.api import ext_authz
from mixer.attributes import HeaderChange
from mixer.config import (
    AdapterAnnotations,
    ConnectionLimits,
    HeaderOperationTemplate,
    HttpSettings,
    LatencyShedding,
    LedgerSettings,
    Listener,
    ListenerTls,
    LmdbStore,
    LoadShedding,
    MetricsEndpoint,
    MixerRuleSpec,
    MixerSpec,
    PostgresqlStore,
    QuotaLease,
    QuotaState,
    RateShedding,
    RedisStore,
    ServiceLimits,
    SharedState,
    SqliteStore,
    Traces,
    WasmPluginSpec,
    loads,
)
from mixer.engine import Decision, Engine, Request
from mixer.engine.clusters import configured_clusters
from mixer.engine.expressions import compile_expressions
from mixer.proxywasm import UNSUPPORTED, departures, host_functions
from mixer.proxywasm.foreign import FOREIGN_FUNCTIONS
from mixer.telemetry import OWN
from tests.differential.test_properties import DIFFERENT
from tests.e2e.calls import check_request

_DOCS = Path(__file__).parents[2] / "docs"


def _fields(model: type) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


@pytest.mark.parametrize("name", _fields(WasmPluginSpec))
def test_every_field_of_a_plugin_is_documented(name: str) -> None:
    """The configuration page tells every field of WasmPlugin's spec."""
    assert f"`spec.{name}" in (_DOCS / "configuration.md").read_text()


@pytest.mark.parametrize("name", _fields(MixerSpec))
def test_every_group_of_the_service_is_documented(name: str) -> None:
    """The configuration page tells every group of the Mixer document."""
    assert f"`spec.{name}" in (_DOCS / "configuration.md").read_text()


@pytest.mark.parametrize("name", _fields(AdapterAnnotations))
def test_every_annotation_is_documented(name: str) -> None:
    """The configuration page tells every annotation."""
    assert f"`{name}`" in (_DOCS / "configuration.md").read_text()


def test_the_example_of_the_service_is_its_defaults() -> None:
    """The Mixer document that the page shows is valid, and changes nothing."""
    page = (_DOCS / "configuration.md").read_text()
    example, *_ = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert yaml.safe_load(example)["kind"] == "Mixer"
    assert loads(example).mixer == MixerSpec()


def test_every_metric_of_the_service_is_documented() -> None:
    """The telemetry page lists the metrics of the service as the code has them."""
    page = (_DOCS / "telemetry.md").read_text()
    rows = [
        re.split(r" ?\| ?", line)[1:-1]
        for line in page.splitlines()
        if line.startswith(("| `mixer_", "| `rpc_server_", "| `http_server_"))
    ]
    documented = [(name, otel, kind, told) for name, otel, kind, _, told in rows]
    assert documented == [(f"`{m.name}`", f"`{m.otel_name}`", m.kind.value, m.help) for m in OWN]


@pytest.mark.parametrize(
    ("group", "model"), [("lmdb", LmdbStore), ("redis", RedisStore), ("", SharedState)]
)
def test_every_field_of_shared_state_is_documented(group: str, model: type) -> None:
    """The configuration page tells every field of the stores and of their bounds."""
    page = (_DOCS / "configuration.md").read_text()
    for name in _fields(model):
        path = f"store.{group}.{name}" if group else name
        assert f"`spec.state.{path}`" in page


@pytest.mark.parametrize(("group", "model"), [("", QuotaState), (".lease", QuotaLease)])
def test_every_field_of_quota_counters_is_documented(group: str, model: type) -> None:
    """The configuration page tells every field of where counters are, and of leases."""
    page = (_DOCS / "configuration.md").read_text()
    for name in _fields(model):
        if name != "lease":
            assert f"`spec.state.quota{group}.{name}`" in page


@pytest.mark.parametrize(
    ("group", "model"),
    [("", LedgerSettings), (".sqlite", SqliteStore), (".postgresql", PostgresqlStore)],
)
def test_every_field_of_the_ledger_is_documented(group: str, model: type) -> None:
    """The configuration page tells every field of the ledger."""
    page = (_DOCS / "configuration.md").read_text()
    for name in _fields(model):
        assert f"`spec.ledger{group}.{name}" in page


@pytest.mark.parametrize(
    ("group", "model"), [("", LoadShedding), (".latency", LatencyShedding), (".rate", RateShedding)]
)
def test_every_field_of_load_shedding_is_documented(group: str, model: type) -> None:
    """The configuration page tells every field of load shedding."""
    page = (_DOCS / "configuration.md").read_text()
    for name in _fields(model):
        assert f"`spec.loadShedding{group}.{name}" in page


@pytest.mark.parametrize("name", _fields(HttpSettings))
def test_every_field_of_an_http_listener_is_documented(name: str) -> None:
    """The configuration page tells every field of an HTTP listener."""
    assert f"`spec.listeners[].http.{name}`" in (_DOCS / "configuration.md").read_text()


@pytest.mark.parametrize(
    ("group", "model"),
    [
        ("listeners[]", Listener),
        ("listeners[].tls", ListenerTls),
        ("limits", ServiceLimits),
        ("limits.connections", ConnectionLimits),
        ("telemetry.metrics", MetricsEndpoint),
        ("telemetry.traces", Traces),
    ],
)
def test_every_field_of_listeners_and_limits_is_documented(group: str, model: type) -> None:
    """The configuration page tells every field of listeners, of connections and of limits."""
    page = (_DOCS / "configuration.md").read_text()
    for name in _fields(model):
        assert f"| `spec.{group}.{name}" in page


def test_the_example_of_tls_is_valid() -> None:
    """The Mixer document of the page about TLS has what its text says."""
    (example,) = re.findall(r"```yaml\n(.*?)```", (_DOCS / "tls.md").read_text(), re.DOTALL)
    mixer = loads(example).mixer
    proxies, local = mixer.listeners
    assert proxies.tls is not None
    assert len(proxies.callers or ()) == 3
    assert local.tls is None
    assert mixer.telemetry.metrics.tls is not None


def test_the_example_of_a_store_is_valid() -> None:
    """The other document of the page can be used as it is."""
    page = (_DOCS / "configuration.md").read_text()
    _, example, *_ = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    state = loads(example, environ={"REDIS_PASSWORD": "secret"}).mixer.state
    assert state.store.redis is not None
    assert (state.store.redis.password, state.ttl) == ("secret", 3600.0)


@pytest.mark.parametrize(
    ("group", "model"), [("spec", MixerRuleSpec), ("operations[]", HeaderOperationTemplate)]
)
def test_every_field_of_a_rule_is_documented(group: str, model: type) -> None:
    """The configuration page tells every field of MixerRule."""
    _, _, rules = (_DOCS / "configuration.md").read_text().partition("## `MixerRule`")
    for name in _fields(model):
        assert f"| `{group}.{name}` |" in rules


def test_the_example_of_a_rule_is_valid() -> None:
    """It is accepted, and its expressions are."""
    page = (_DOCS / "configuration.md").read_text()
    *_, example = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert [str(rule) for rule in compile_expressions(loads(example)).rules or ()] == [
        "no-forged-user: request REMOVE x-user",
        "tell-upstream: request REPLACE x-user, REMOVE x-debug; response APPEND x-served-to",
    ]


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [("/", {}, ()), ("/api/", {}, ()), ("/api/", {"x_consumer": "alice"}, (b"alice",))],
)
def test_the_example_of_a_rule_takes_no_forged_header(
    path: str, headers: dict[str, str], expected: tuple[bytes, ...]
) -> None:
    """What a client sends itself never reaches the upstream, with or without a match."""
    page = (_DOCS / "configuration.md").read_text()
    *_, example = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    request = ext_authz.decode(check_request(path, x_user="forged", **headers))
    assert isinstance(request, Request)
    with Engine(loads(example)) as engine:
        decision = engine.decide(request)
    assert isinstance(decision, Decision)
    assert HeaderChange(b"x-user", expected) in decision.request_headers


def test_every_host_call_is_in_the_right_list() -> None:
    """The Proxy-Wasm page lists each host call once, as supported or as not yet."""
    supported, _, rest = (_DOCS / "proxy-wasm.md").read_text().partition("## Not yet")
    not_yet = rest.partition("## Properties")[0]
    for function in host_functions():
        if function.module == "env":
            here = not_yet if function.name in UNSUPPORTED else supported
            there = supported if function.name in UNSUPPORTED else not_yet
            assert f"`{function.name}`" in here
            assert f"`{function.name}`" not in there


@pytest.mark.parametrize("name", FOREIGN_FUNCTIONS)
def test_every_foreign_function_is_documented(name: str) -> None:
    """The Proxy-Wasm page tells every foreign function."""
    page = (_DOCS / "proxy-wasm.md").read_text()
    assert f"`{name}`" in page.partition("## Foreign functions")[2].partition("## Properties")[0]


@pytest.mark.parametrize("name", DIFFERENT)
def test_every_property_that_differs_is_documented(name: str) -> None:
    """The Proxy-Wasm page tells every property that the differential test leaves out."""
    page = (_DOCS / "proxy-wasm.md").read_text().partition("| property | why it differs |")[2]
    assert f"`{name}`" in page.partition("\n\n")[0]


def test_every_departure_is_documented() -> None:
    """The Proxy-Wasm page has the table of lenient statuses as the code has it."""
    page = (_DOCS / "proxy-wasm.md").read_text()
    for one in departures.ALL:
        calls = ", ".join(f"`{call}`" for call in one.calls)
        assert f"| {calls} | {one.when} | {one.envoy.name} | {one.lenient.name} |" in page


@pytest.mark.parametrize(
    "page", [*_DOCS.glob("*.md"), *_DOCS.parent.glob("*.md"), *_DOCS.parent.glob("adapters/*/*.md")]
)
def test_no_page_is_unfinished(page: Path) -> None:
    """No placeholder is left, and every file that a page links to is there."""
    text = page.read_text()
    assert "@@" not in text
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target


def test_the_example_of_callouts_is_valid() -> None:
    """The Mixer document of the callouts page has the clusters that its text names."""
    (example,) = re.findall(r"```yaml\n(.*?)```", (_DOCS / "callouts.md").read_text(), re.DOTALL)
    clusters = configured_clusters(loads(example).mixer)
    for name in ("outbound|80||auth.static", "outbound|8080||auth.dns", "auth.internal:8080",
                 "outbound|8080||auth.internal"):  # fmt: skip
        assert clusters.find(name).name == "auth"
    assert clusters.find("outbound|443|v1|keys.prod.svc.cluster.local").name == "keys"
    assert clusters.find("api.example.org:443").public_only


def test_the_example_of_a_converted_service_is_valid() -> None:
    """The Mixer document of the page about Istio's Mixer has what that had on its command line."""
    (example,) = re.findall(r"```yaml\n(.*?)```", (_DOCS / "convert.md").read_text(), re.DOTALL)
    mixer = loads(example).mixer
    assert [str(one.address) for one in mixer.listeners] == ["0.0.0.0:9091"]
    assert str(mixer.telemetry.metrics.address) == "0.0.0.0:9102"
