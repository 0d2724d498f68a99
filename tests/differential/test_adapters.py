"""The adapters policy and telemetry in Envoy's own Wasm filter, and in this host."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families as parse

from mixer.config.module import module_path
from mixer.study import bootstrap as build
from mixer.study.client import HttpConnection, Request
from mixer.study.envoy import EnvoyProcess
from mixer.telemetry import PrometheusText
from mixer.telemetry.modules import ModuleMetrics
from mixer.testing import Host, Plugin, Stream
from tests.adapters import readme

SETTLE_S = 20.0
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]

RULES: list[dict[str, Any]] = [
    {
        "name": "denyall",
        "match": 'request.headers["x-rule"] == "deny" // or not',
        "deny": {"code": 7, "message": "Not allowed"},
    },
    {"name": "status", "match": 'request.headers["x-rule"] == "status"',
     "deny": {"code": 16, "status": 418, "message": "tea"}},
    {"match": 'request.headers["x-rule"] == "broken" && int(request.path) > 1', "deny": {}},
    {"match": 'request.headers["x-rule"] == "typo" && request.heders["x"] == "1"', "deny": {}},
    {"match": 'mixer.attribute["source.user"] != "admin"', "deny": {}},
    {"match": "request.path", "deny": {}, "name": "no-bool"},
]  # fmt: skip
LISTS: list[dict[str, Any]] = [
    {"name": "methods", "list": {"value": "request.method", "entries": ["GET", "PUT"]}},
    {"name": "inside", "list": {"value": "source.address", "type": "IP_ADDRESSES",
                                "entries": ["127.0.0.0/8", "::1"]}},
    {"name": "paths", "match": '"x-list" in request.headers',
     "list": {"value": 'request.headers["x-list"]', "type": "REGEX", "entries": ["a+b", "^x$"],
              "blacklist": True}},
    {"name": "bytes", "match": '"x-bytes" in request.headers',
     "list": {"value": 'bytes(request.headers["x-bytes"])', "type": "IP_ADDRESSES",
              "entries": ["49.58.58.50"]}},
    {"name": "number", "match": 'request.path == "/number"',
     "list": {"value": "request.size", "entries": []}},
]  # fmt: skip
ASKED = {
    "rules": (RULES[:5], [{}, {"x-rule": "deny"}, {"x-rule": "status"}, {"x-rule": "broken"},
                          {"x-rule": "typo"}]),
    "no-bool": (RULES[5:], [{}]),
    "lists": (LISTS, [{}, {":method": "POST"}, {"x-list": "aab"}, {"x-list": "x"},
                      {"x-list": "yx"}, {"x-bytes": "1::2"}, {"x-bytes": "1::3"},
                      {":path": "/number"}]),
}  # fmt: skip

METRICS: dict[str, Any] = {
    "metrics": [
        {
            "name": "requests_total",
            "kind": "COUNTER",
            "dimensions": {
                "code": "response.code",
                "method": "request.method",
                "user": 'request.headers["x-user"]',
                "tail": 'request.path.endsWith("/")',
                "mtls": "connection.mtls",
                "size": "request.size + 1",
                "what": '"constant"',
                "peer": 'mixer.attribute["source.user"]',
            },
        },
        {"name": "last_size", "kind": "GAUGE", "value": "request.size"},
        {"name": "sizes", "kind": "HISTOGRAM", "value": "response.code"},
        {"name": "errors_total", "kind": "COUNTER", "match": "response.code >= 500"},
    ],
    "logs": [
        {"name": "json", "severity": "warning",
         "fields": {"code": "response.code", "path": "request.path",
                    "user": 'request.headers["x-user"]',
                    "slow": "request.duration > duration('1h')"}},
        {"name": "text", "format": "TEXT", "match": 'request.path == "/"', "severity": "WARN",
         "fields": {"code": "response.code", "user": 'request.headers["x-user"]'}},
    ],
}  # fmt: skip
LABELS = ("code", "method", "user", "tail", "mtls", "size", "what", "peer", "overflow")
COUNTED = [{}, {"x-user": "al bo;.;%"}, {":path": "/a/b", ":method": "PUT"}, {"x-user": "z.=.=."}]

in_one_loop = pytest.mark.usefixtures("envoy")


async def ask(envoy: EnvoyProcess, name: str, headers: dict[str, str]) -> tuple[int, bytes]:
    own = tuple((k, v) for k, v in headers.items() if not k.startswith(":"))
    request = Request(headers.get(":method", "GET"), headers.get(":path", "/"), own)
    async with HttpConnection(envoy.address(name)) as connection:
        response = await connection.send(request)
    return response.status, response.body


def listener(name: str, adapter: str, configuration: dict[str, Any]) -> build.Config:
    module = module_path(f"builtin://{adapter}", Path())
    filters = [build.wasm_filter(name, module, json.dumps(configuration))]
    return build.listener(name, None, filters)


def asked_here(host: Host, rules: list[Any], headers: dict[str, str]) -> tuple[int, bytes]:
    plugin = host.load("builtin://policy", {"rules": rules})
    properties = {"source.address": "127.0.0.1:80"}
    response = plugin.request(headers, properties=properties).local_response
    return (response.status, response.body) if response else (200, b"")


@in_one_loop
async def test_what_policy_answers(proxy_wasm: Host) -> None:
    """Each request has the same status and body."""
    listeners = [listener(name, "policy", {"rules": rules}) for name, (rules, _) in ASKED.items()]
    async with EnvoyProcess(build.bootstrap(listeners, []), start_timeout_s=120.0) as envoy:
        seen = {name: [await ask(envoy, name, one) for one in requests]
                for name, (_, requests) in ASKED.items()}  # fmt: skip
    here = {name: [asked_here(proxy_wasm, rules, one) for one in requests]
            for name, (rules, requests) in ASKED.items()}  # fmt: skip
    assert [status for status, _ in here["rules"]] == [200, 403, 418, 503, 503]
    assert {
        name: [(s, b if s != 200 else b"") for s, b in all_] for name, all_ in seen.items()
    } == here


async def told_by(envoy: EnvoyProcess) -> str:
    """What Envoy tells once its histograms are merged, which it does now and then."""
    async with asyncio.timeout(SETTLE_S):
        while True:
            async with HttpConnection(envoy.admin_address) as connection:
                answer = await connection.send(Request("GET", "/stats/prometheus"))
            text = answer.body.decode()
            if f"sizes_count{{}} {len(COUNTED)}\n" in text:
                return text
            await asyncio.sleep(0.1)


def series(text: str, *names: str) -> Series:
    found: Series = {}
    for family in parse(text):
        for sample in family.samples:
            if sample.name.startswith(names) and not sample.name.endswith("_sum"):
                found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


def over(plugin: Plugin, headers: dict[str, str]) -> Stream:
    properties = {"connection.mtls": False, "request.size": 0}
    stream = plugin.stream(properties)
    stream.request_headers(headers)
    stream.response_headers(status=200)
    stream.close()
    return stream


async def counted_in_envoy(stats: build.Config) -> tuple[str, list[str]]:
    bootstrap = build.bootstrap([listener("telemetry", "telemetry", METRICS)], [])
    bootstrap |= {"stats_flush_interval": "0.1s", **stats}
    async with EnvoyProcess(bootstrap, start_timeout_s=120.0) as envoy:
        for headers in COUNTED:
            assert (await ask(envoy, "telemetry", headers))[0] == 200
        text = await told_by(envoy)
        log = envoy.log.read_text(errors="replace")
    return text, re.findall(r"wasm log telemetry[^:]*: (.*)", log)


def described() -> build.Config:
    """The rule that the page has for tags, for each label of the test."""
    _, _, page = readme.page("telemetry").partition("**A plain Envoy**")
    (block,) = re.findall(r"```yaml\n(stats_config.*?)```", page, flags=re.DOTALL)
    config: build.Config = yaml.safe_load(block)
    (first, *_) = config["stats_config"]["stats_tags"]
    tags = [{"tag_name": label, "regex": first["regex"].replace(first["tag_name"], label)}
            for label in LABELS]  # fmt: skip
    return {"stats_config": {"stats_tags": tags}}


NAMES = ("requests_total", "last_size", "sizes", "errors_total")


@in_one_loop
async def test_what_telemetry_counts_and_logs(proxy_wasm: Host) -> None:
    """With Envoy's rules for tags its series are the same, but that their values stay escaped."""
    there, logged = await counted_in_envoy(described())
    plugin = proxy_wasm.load("builtin://telemetry", METRICS)
    for headers in COUNTED:
        over(plugin, headers)
    metrics = ModuleMetrics(proxy_wasm.metrics, ())
    metrics.take_over(1000)
    parts = [part for number in range(len(metrics)) for part in metrics.parts(number)]
    here = PrometheusText().write(parts)
    unescaped = there.replace("%3B", ";").replace("%2E", ".").replace("%25", "%")
    assert "al bo%3B.%3B%25" in there
    assert series(here, *NAMES) == series(unescaped, *NAMES)
    assert len(series(here, "requests_total")) == 4 + 1, "and that of what is beyond the bound"
    assert plugin.messages() == logged
    assert len(logged) == len(COUNTED) + 3


@in_one_loop
async def test_without_rules_for_tags() -> None:
    """A plain Envoy tells one metric for each combination, as the page says."""
    there, _ = await counted_in_envoy({})
    name = "code___200___method___PUT___mtls___false___peer___unknown___size___1"
    assert re.search(rf"(?m)^{name}___tail___false___user___unknown___what___constant___req", there)
