"""What comes of Mixer's resources."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from mixer.cel import Program, Result, checked_program
from mixer.config import loads
from mixer.convert import Conversion, Outcome, as_yaml, convert

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(scope="module")
def samples() -> Conversion:
    return convert(SAMPLES)


def _document(conversion: Conversion, kind: str, name: str) -> dict[str, Any]:
    (found,) = (one for one in conversion.outputs if (one.kind, one.name) == (kind, name))
    return found.document()


def _config(conversion: Conversion, name: str) -> dict[str, Any]:
    config: dict[str, Any] = _document(conversion, "WasmPlugin", name)["spec"]["pluginConfig"]
    return config


def _convert(tmp_path: Path, text: str) -> Conversion:
    path = tmp_path / "istio.yaml"
    path.write_text(text)
    return convert(path)


def _told(conversion: Conversion, outcome: Outcome = Outcome.LOST) -> list[str]:
    return [
        f"{one.problem.line} {one.problem.field}: {one.problem.message}"
        for one in conversion.findings
        if one.outcome is outcome
    ]


def test_everything_of_the_samples_is_carried_over(samples: Conversion) -> None:
    """Nothing is lost; what differs is told with its line, and what is not Mixer's is left."""
    assert samples.complete
    assert _told(samples, Outcome.PASSED_OVER) == [
        "17 kind: 'VirtualService' is no configuration of Mixer (config.istio.io/v1alpha2)"
    ]
    assert [line.partition(":")[0] for line in _told(samples, Outcome.DIFFERS)] == [
        "10 items[0].spec.quotas",
        "24 items[1].metadata.name",
        "31 spec.params.metricsExpirationPolicy",
        "38 spec.params.metrics[1].name",
        "42 spec.params.metrics[1].buckets",
        "62 spec.timestamp",
    ]


def test_every_expression_is_one_that_the_host_takes(samples: Conversion) -> None:
    """Whatever text mentions attributes in what was written parses as CEL."""

    def texts(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [one for inner in value.values() for one in texts(inner)]
        if isinstance(value, list):
            return [one for inner in value for one in texts(inner)]
        return [value] if isinstance(value, str) and "mixer.attribute" in value else []

    found = [text for output in samples.outputs for text in texts(dict(output.spec))]
    assert len(found) > 20
    for text in found:
        Program(text.encode())


def test_a_denier(samples: Conversion) -> None:
    """Its rules refuse with its status, and its answer holds as long as it says."""
    document = _document(samples, "WasmPlugin", "refuse")
    assert document["metadata"] == {"name": "refuse", "namespace": "istio-system"}
    spec = document["spec"]
    assert (spec["url"], spec["phase"]) == ("builtin://policy", "AUTHZ")
    config = spec["pluginConfig"]
    (rule,) = config.pop("rules")
    assert config == {"validDuration": "120s", "validUseCount": 1000}
    assert rule.pop("match").startswith('"request.headers" in mixer.attribute && ')
    assert rule == {"name": "no-old-clients", "deny": {"code": 7, "message": "not for you"}}


def test_a_list_checker_of_the_older_form(samples: Conversion) -> None:
    """Its kind is in its name, as in Mixer's messages; its rule is for its own namespace."""
    config = _config(samples, "versions.listchecker")
    (rule,) = config["rules"]
    assert 'mixer.attribute["destination.namespace"]' in rule.pop("match")
    value = rule["list"].pop("value")
    assert value.startswith('"source.labels" in mixer.attribute && "version" in ')
    assert rule == {
        "name": "known-versions",
        "list": {"type": "STRINGS", "blacklist": False, "entries": ["v1", "v2"]},
    }
    assert (config["validDuration"], config["validUseCount"]) == ("300s", 10_000)


def test_a_list_of_addresses(samples: Conversion) -> None:
    """The value that is checked is the address's bytes, as the proxy tells them."""
    config = _config(samples, "offices")
    (rule,) = config["rules"]
    assert rule["list"] == {
        "value": '"source.ip" in mixer.attribute ? mixer.attribute["source.ip"]'
        ' : b"\\x00\\x00\\x00\\x00"',
        "type": "IP_ADDRESSES",
        "blacklist": False,
        "entries": ["10.57.0.0/16", "192.168.7.7"],
    }
    assert config["validDuration"] == "30s"


def test_a_quota(samples: Conversion) -> None:
    """Callers ask for it by the instance's name; it is for what any of its rules matches."""
    document = _document(samples, "WasmPlugin", "handler.memquota")
    assert document["metadata"]["annotations"] == {"mixer.dev/quotas": "requestcount"}
    config = document["spec"]["pluginConfig"]
    (quota,) = config["quotas"]
    assert config["deduplication"] == {"window": "1s"}
    assert (quota["name"], quota["max"], quota["window"]) == ("requestcount", 500, "1s")
    assert quota["dimensions"]["code"].startswith("string(")
    first, second = quota["match"].split(" || ")
    assert first.startswith("(")
    assert '"bot"' in second
    assert quota["overrides"] == [
        {"dimensions": {"destination": "reviews"}, "max": 1, "window": "5s"},
        {
            "dimensions": {"destination": "front", "source": "10.28.11.20"},
            "max": 50,
            "window": "500ms",
        },
    ]


def test_metrics(samples: Conversion) -> None:
    """The label names choose the dimensions; durations are in milliseconds, and named so."""
    document = _document(samples, "WasmPlugin", "prometheus")
    assert document["spec"]["failStrategy"] == "FAIL_OPEN"
    calls, took = document["spec"]["pluginConfig"]["metrics"]
    assert (calls["name"], calls["kind"], calls["value"]) == (
        "istio_requests_total",
        "COUNTER",
        "1",
    )
    assert list(calls["dimensions"]) == ["reporter", "destination_app", "response_code", "security"]
    assert (took["name"], took["kind"]) == ("istio_request_duration_milliseconds", "HISTOGRAM")
    assert calls["match"] == took["match"]


def test_log_entries(samples: Conversion) -> None:
    """Severities become levels, and a metric is written as an entry with its value."""
    access, alarm, calls = _config(samples, "log.stdio")["logs"]
    assert (access["name"], access["severity"]) == ("access.logentry.istio-system", "INFO")
    assert list(access["fields"]) == ["sourceIp", "apiKey", "latency", "responseTimestamp"]
    assert (alarm["severity"], alarm["fields"]) == ("ERROR", {})
    assert calls["fields"]["value"] == "1"
    assert {one["format"] for one in (access, alarm, calls)} == {"TEXT"}


def test_header_operations(samples: Conversion) -> None:
    """A rule's operations are a MixerRule with its match."""
    document = _document(samples, "MixerRule", "marks")
    assert document["apiVersion"] == "mixer.dev/v1alpha1"
    spec = document["spec"]
    assert '"partners"' in spec["match"]
    append, remove = spec["requestHeaderOperations"]
    assert (append["name"], append["operation"]) == ("x-tenant", "APPEND")
    assert append["values"][0] == (
        '"shop.tenant" in mixer.attribute ? mixer.attribute["shop.tenant"] : "none"'
    )
    assert remove == {"name": "cookie", "operation": "REMOVE"}
    assert spec["responseHeaderOperations"] == [
        {"name": "x-served-by", "operation": "REPLACE", "values": ['"mixer"']}
    ]


def test_attribute_manifests(samples: Conversion) -> None:
    """What is declared is declared for the service, and expressions can name it."""
    assert _document(samples, "Mixer", "mixer")["spec"] == {
        "attributeManifest": {
            "request.headers": "STRING_MAP",
            "source.ip": "IP_ADDRESS",
            "source.metadata": "STRING_MAP",
            "shop.tenant": "STRING",
            "shop.risk": "DOUBLE",
        }
    }


_REDIS = """
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {name: redis, namespace: istio-system}
spec:
  compiledAdapter: redisquota
  params:
    redisServerUrl: cache.example:6379
    connectionPoolSize: 10
    quotas:
    - name: calls.instance.istio-system
      maxAmount: 500
      validDuration: 1s
      bucketDuration: 500ms
      rateLimitAlgorithm: ROLLING_WINDOW
      overrides: [{dimensions: {app: ratings}, maxAmount: 1}]
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: calls, namespace: istio-system}
spec:
  compiledTemplate: quota
  params: {dimensions: {app: 'source.labels["app"] | "unknown"'}}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: r, namespace: istio-system}
spec:
  actions: [{handler: redis, instances: [calls]}]
---
apiVersion: config.istio.io/v1alpha2
kind: QuotaSpec
metadata: {name: q, namespace: istio-system}
spec: {rules: [{quotas: [{charge: 1, quota: calls}]}]}
"""


def test_quotas_in_redis(tmp_path: Path) -> None:
    """The service's state moves to the server, and what is not the same is told."""
    conversion = _convert(tmp_path, _REDIS)
    assert _document(conversion, "Mixer", "mixer")["spec"] == {
        "state": {"store": {"redis": {"url": "redis://cache.example:6379"}}}
    }
    (quota,) = _config(conversion, "redis")["quotas"]
    assert quota["overrides"] == [{"dimensions": {"app": "ratings"}, "max": 1, "window": "1s"}]
    assert [one.partition(":")[0] for one in _told(conversion, Outcome.DIFFERS)] == [
        "8 spec.params.redisServerUrl",
        "9 spec.params.connectionPoolSize",
        "15 spec.params.quotas[0].rateLimitAlgorithm",
    ]
    (lost,) = _told(conversion)
    assert lost.startswith("32 kind: QuotaSpec 'q': which requests ask for which quota")


def test_two_redis_servers(tmp_path: Path) -> None:
    """A service has one store: that a second server is left out is told."""
    other = _REDIS.replace("name: redis,", "name: other,").replace("cache", "second")
    other = other.replace("handler: redis", "handler: other").replace("name: r,", "name: s,")
    first, second = _REDIS.split("---"), other.split("---")
    conversion = _convert(tmp_path, "---".join([*first[:3], second[0], second[2]]))
    assert "two handlers have two servers" in " ".join(_told(conversion))
    assert "cache.example" in as_yaml(conversion.outputs)
    assert "second.example" not in as_yaml(conversion.outputs)


def test_what_is_written_is_yaml_in_full(samples: Conversion) -> None:
    """Each document stands for itself, without anchors, and reads back as it was."""
    text = as_yaml(samples.outputs)
    assert list(yaml.safe_load_all(text)) == [one.document() for one in samples.outputs]
    assert "&id" not in text


def _handler(adapter: str, params: str) -> str:
    return f"""
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {{name: h, namespace: istio-system}}
spec:
  compiledAdapter: {adapter}
  params: {params}
---
"""


def _instance(template: str, params: str) -> str:
    return f"""
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {{name: i, namespace: istio-system}}
spec:
  compiledTemplate: {template}
  params: {params}
---
"""


def _rule(match: str = '""') -> str:
    return f"""
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {{name: r, namespace: istio-system}}
spec:
  match: {match}
  actions: [{{handler: h, instances: [i]}}]
"""


_LIST = _instance("listentry", "{value: request.path}")
_NOTHING = _instance("checknothing", "{}")
_QUOTA = _instance("quota", "{dimensions: {ip: source.ip, path: request.path}}")
_METRIC = _instance("metric", "{value: '1', dimensions: {a: request.path}}")


def _quotas(rest: str) -> str:
    return _handler("memquota", f"{{quotas: [{{name: i.instance.istio-system, {rest}}}]}}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            _handler("listchecker", "{providerUrl: http://a.example, overrides: [x]}") + _LIST,
            "7 spec.params.providerUrl: lists are not fetched",
        ),
        (
            _handler("listchecker", "{entryType: IP_ADDRESSES, overrides: [10.0.0.0/40]}") + _LIST,
            "7 spec.params.overrides[0]: is no IP address",
        ),
        (
            _handler("listchecker", "{entryType: REGEX, overrides: ['a(']}") + _LIST,
            "7 spec.params.overrides[0]: is no regular expression",
        ),
        (
            _handler("listchecker", "{}") + _instance("listentry", "{value: response.code}"),
            "15 spec.params.value: must be a IP_ADDRESS or STRING, not INT64",
        ),
        (
            _handler("denier", "{status: {code: 0}}") + _NOTHING,
            "7 spec.params.status.code: must be a gRPC code from 1 to 16",
        ),
        (
            _handler("denier", "{}") + _instance("quota", "{}"),
            "12 metadata.name: a denier refuses this quota",
        ),
        (
            _handler("denier", "{status: [7]}") + _NOTHING,
            "7 spec.params.status: must be a mapping, not a list",
        ),
        (
            _handler("denier", "{validUseCuont: 5}") + _NOTHING,
            "7 spec.params.validUseCuont: unknown field; did you mean 'validUseCount'?",
        ),
        (
            _quotas("maxAmount: 5") + _QUOTA,
            "7 spec.params.quotas[0]: a limit is an amount from 1 on in a validDuration",
        ),
        (
            _quotas("maxAmount: '5.5', validDuration: 1s") + _QUOTA,
            "7 spec.params.quotas[0].maxAmount: must be an integer of 64 bits, not a string",
        ),
        (
            _quotas("maxAmount: 5, validDuration: 1") + _QUOTA,
            "7 spec.params.quotas[0].validDuration: must be a duration such as 500ms",
        ),
        (
            _quotas(
                "maxAmount: 5, validDuration: 1s,"
                " overrides: [{dimensions: {ip: 1.2.3.4}, maxAmount: 1}]"
            )
            + _QUOTA,
            "7 spec.params.quotas[0].overrides[0].dimensions.ip: an address, which is no text",
        ),
        (
            _handler("memquota", "{quotas: []}") + _QUOTA,
            "12 metadata.name: the handler has no limit for 'i.instance.istio-system'",
        ),
        (
            _handler("redisquota", "{redisServerUrl: 'a b', quotas: []}") + _QUOTA,
            "7 spec.params.redisServerUrl: must be host:port",
        ),
        (
            _handler("prometheus", "{metrics: [{instanceName: i.instance.istio-system}]}")
            + _METRIC,
            "7 spec.params.metrics[0].kind: must be GAUGE, COUNTER or DISTRIBUTION",
        ),
        (
            _handler(
                "prometheus",
                "{metrics: [{instanceName: i.instance.istio-system, kind: 2, labelNames: [b]}]}",
            )
            + _METRIC,
            "7 spec.params.metrics[0].labelNames[0]: the instance has no dimension 'b'",
        ),
        (
            _handler("stdio", "{}") + _instance("logentry", "{severity: request.path}"),
            "15 spec.params.severity: must be a constant",
        ),
        (
            _handler("stdio", "{}") + _instance("logentry", "{variables: {level: request.path}}"),
            "15 spec.params.variables.level: must be 1 to 64 letters",
        ),
        (
            _handler("stdio", "{severityLevels: {a: LOUD}}") + _instance("logentry", "{}"),
            "7 spec.params.severityLevels.a: must be one of INFO, WARNING, ERROR, not 'LOUD'",
        ),
        (_handler("opa", "{}") + _NOTHING, "4 metadata.name: adapter 'opa' has no counterpart"),
        (
            _handler("denier", "{}") + _instance("tracespan", "{}"),
            "23 spec.actions[0].instances[0]: 'i' is of template 'tracespan', which denier does",
        ),
        (_handler("denier", "{}"), "15 spec.actions[0].instances[0]: there is no instance 'i'"),
        (_NOTHING, "15 spec.actions[0].handler: there is no handler 'h'"),
    ],
)
def test_what_cannot_be_carried_over_is_told(tmp_path: Path, text: str, told: str) -> None:
    """With its line and its field."""
    conversion = _convert(tmp_path, text + _rule())
    assert any(one.startswith(told) for one in _told(conversion)), _told(conversion)
    assert not conversion.complete


@pytest.mark.parametrize(
    ("match", "told"),
    [
        ("request.path == 5", "character 17: '==' wants STRING here, not INT64"),
        ("request.paht == `x`", "unknown attribute 'request.paht'; did you mean 'request.path'?"),
        ("request.path", "must be a BOOL, not STRING"),
        ("reverse(request.path) == `x`", "character 1: unknown function 'reverse'"),
        ("request.path ==", "character 16: the expression ends where a value is expected"),
        ("request.size - 1 == 0", "character 14: '-' is no operator of Mixer's expressions"),
        ("source.ip == ip(request.path)", "ip() of a constant only"),
        ("toLower(request.path) == source.name", "CEL has no lower case"),
        ("match(request.path, request.host)", "with a constant pattern only"),
        ("5", "must be a string, not an integer: put quotes around it"),
    ],
)
def test_a_match_that_cannot_be_carried_over(tmp_path: Path, match: str, told: str) -> None:
    """The whole rule is left out: without its match it would be for other requests."""
    quoted = match if match == "5" else f"'{match}'"
    conversion = _convert(tmp_path, _handler("denier", "{}") + _NOTHING + _rule(quoted))
    (lost,) = _told(conversion)
    assert lost.startswith("22 spec.match: ")
    assert told in lost
    assert not conversion.outputs


def test_a_value_that_a_handler_gives(tmp_path: Path) -> None:
    """What a handler gives back is not known here, and neither are other templates."""
    conversion = _convert(
        tmp_path,
        """
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: r, namespace: istio-system}
spec:
  requestHeaderOperations:
  - {name: x-a, values: [x.output.value]}
  - {name: x-b, values: ['"{{ b }}"']}
  - {name: x c, values: ['"c"']}
  - {name: x-d, values: ['"d"']}
""",
    )
    assert [one.partition(":")[0] for one in _told(conversion)] == [
        "7 spec.requestHeaderOperations[0].values[0]",
        "8 spec.requestHeaderOperations[1].values[0]",
        "9 spec.requestHeaderOperations[2].name",
    ]
    (output,) = conversion.outputs
    assert [one["name"] for one in output.spec["requestHeaderOperations"]] == ["x-d"]


def test_a_rule_is_one_that_the_configuration_takes(samples: Conversion) -> None:
    """The document of header operations is valid, and its expressions have the right types."""
    rules = [one for one in samples.outputs if one.kind == "MixerRule"]
    (rule,) = loads(as_yaml(rules)).rules
    assert rule.qualified_name == "shop/marks"
    assert rule.spec.match is not None
    checked_program(rule.spec.match, Result.BOOL)
    for template in rule.spec.request_header_operations:
        for value in template.values:
            checked_program(value, Result.TEXT)


def test_adapters_of_reports_have_no_say_in_how_long_a_check_holds(samples: Conversion) -> None:
    """Without a validity of theirs no answer of all adapters could be kept."""
    telemetry = [
        one.document()["metadata"]
        for one in samples.outputs
        if one.spec.get("url") == "builtin://telemetry"
    ]
    assert telemetry
    for metadata in telemetry:
        assert metadata["annotations"] == {
            "mixer.dev/valid-duration": "1m",
            "mixer.dev/valid-use-count": "10000",
        }
