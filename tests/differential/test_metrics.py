"""What Envoy's /stats/prometheus tells of a module's metrics, and what this service does."""

import asyncio
import re
from pathlib import Path

import pytest
import yaml

from mixer.config import loads
from mixer.engine import Engine
from mixer.proxywasm import ManualScheduler
from mixer.study import bootstrap as build
from mixer.study.client import get
from mixer.study.envoy import EnvoyProcess
from mixer.telemetry import OWN, Metrics
from tests.differential.scripted import RESULT, Step, step, text
from tests.engine.conftest import request
from tests.support.compile import wasm
from tests.support.envoy import installed_envoy
from tests.telemetry.reading import written

SETTLE_S = 20.0

COUNTERS = (
    b"requests", b"a.b.c", b"with-dash", b"with space", "\u00fcn\u00efc\u00f6de".encode(),
    b"_under", b"a:b",
    b'quote"s\\b', b"new\nline", b"", b"wasmcustom.twice", b"envoy.known", b"UPPER", b"x_total",
    b"reporter=.=source;.;code=.=200;.;", b"cluster.foo.upstream_rq_total",
    b"vhost.a.vcluster.b.c", b'a{b="c"}', b".leading", b"..twice", b"n..n", b"with_bucket",
    b"trailing.", b"trailing", b"many...", b"tab\tbed", b"9lives",
    b"y_rq", b"y_rq_200", b"y_rq_503", b"y_rq_2xx", b"y_rq_5xx", b"z_rq_5xx_rq_200",
    b"z_rq_200_rq_5xx", b"_rq_4xx", "arabic_rq_\u0661\u0661\u0661".encode(), b"w_rq_99",
    b"w_rq_2XX",
)  # fmt: skip
UNTOUCHED = (b"never", b"never_rq_200")
GAUGES = ((b"g.one", 5), (b"g.big", -1), (b"g.zero", 0), (b"g_rq_3xx", 7))
EDGES = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000,
         600_000, 1_800_000, 3_600_000)  # fmt: skip
HISTOGRAMS: tuple[tuple[bytes, tuple[int, ...]], ...] = (
    (b"h.empty", ()),
    (b"h.one", (7,)),
    (b"h.at", EDGES),
    (b"h.below", tuple(edge - 1 for edge in EDGES)),
    (b"h.above", tuple(edge + 1 for edge in EDGES)),
    (b"h.near", tuple(edge + edge // 10 for edge in EDGES)),
    (b"h.nearly", tuple(edge + edge // 25 - 1 for edge in EDGES)),
    (b"h.big", (0, 10**12, 2**62)),
    (b"h.negative", (-1, -(2**63))),
    (b"h_rq_200", (3, 4)),
    (b"h_rq_404", (500,)),
)
TWICE = (b"both", b"same.name", b"same-name")
ELSEWHERE = b"http_local_rate_limit.x"


def define(kind: int, name: bytes) -> Step:
    return step("define_metric", kind, name, RESULT, shows="word")


def record(kind: int, number: int, value: int) -> Step:
    return step("record_metric", number << 2 | kind, value)


def counted() -> list[Step]:
    """Counters get values of their own: 1, 2, 4, ...; those that are one add up."""
    names = (*COUNTERS, *UNTOUCHED)
    moved = [record(0, n, 1 << n - 1) for n in range(1, len(COUNTERS) + 1)]
    return [*(define(0, name) for name in names), *moved]


def measured() -> list[Step]:
    gauges = [define(1, name) for name, _ in GAUGES] + [define(1, b"g.never")]
    histograms = [define(2, name) for name, _ in HISTOGRAMS]
    set_ = [record(1, n, value) for n, (_, value) in enumerate(GAUGES, 1)]
    put = [record(2, n, value) for n, (_, values) in enumerate(HISTOGRAMS, 1) for value in values]
    return [*gauges, *histograms, *set_, *put]


def clashing() -> list[Step]:
    first = len(COUNTERS) + len(UNTOUCHED)
    names = [*TWICE, ELSEWHERE]
    moved = [record(0, first + n, n) for n in range(1, len(names) + 1)]
    return [*(define(0, name) for name in names), *moved, define(1, b"both"), define(2, b"both")]


MODULE = text([counted(), measured(), clashing()], {})
CLASHES = {"both", "same_name", "http_local_rate_limit_x"}


async def in_envoy(module: Path) -> str:
    """What Envoy tells once its histograms are merged, which it does now and then."""
    filters = [build.wasm_filter("counts", module, "")]
    bootstrap = build.bootstrap([build.listener("wasm", None, filters)], [])
    bootstrap["stats_flush_interval"] = "0.1s"
    async with EnvoyProcess(bootstrap, start_timeout_s=120.0) as envoy:
        for _ in range(3):
            assert (await get(envoy.address("wasm"), "/")).status == 200
        async with asyncio.timeout(SETTLE_S):
            while True:
                answer = await get(envoy.admin_address, "/stats/prometheus")
                told = answer.body.decode()
                if 'h_rq_count{envoy_response_code="404"} 1' in told:
                    return told
                await asyncio.sleep(0.1)


def in_this_service(module: Path) -> str:
    plugin = {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "counts"},
        "spec": {"url": f"file://{module}"},
    }
    with Engine(loads(yaml.safe_dump(plugin)), scheduler=ManualScheduler()) as engine:
        for _ in range(3):
            assert engine.decide(request()).verdict == "allow"
        return written(Metrics(engine))


Told = dict[tuple[str, str], dict[str, float]]
"""Series and their values, by name and type."""


def families(told: str) -> Told:
    """Families of the module: those of Envoy and of this service are left out."""
    own = {one.name for one in OWN}
    found: Told = {}
    for line in told.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            family = found.setdefault((name, kind), {})
        elif line and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            family[series.replace("{}", "")] = float(value)
    return {
        key: family
        for key, family in found.items()
        if key[0] not in own and (not key[0].startswith("envoy_") or key[0] == "envoy_wasmcustom")
    }


def without_sums(told: Told) -> Told:
    return {
        key: {s: v for s, v in family.items() if not re.match(r"\w+_sum\b", s)}
        for key, family in told.items()
    }


def sums(told: Told) -> dict[str, float]:
    return {
        series: value
        for (_, kind), family in told.items()
        for series, value in family.items()
        if kind == "histogram" and re.match(r"\w+_sum\b", series)
    }


async def test_both_tell_the_same(tmp_path: Path) -> None:
    """Names, types, labels, buckets and values are Envoy's; it only estimates the sums."""
    installed_envoy()
    module = tmp_path / "counts.wasm"
    module.write_bytes(wasm(MODULE))
    raw = await in_envoy(module)
    theirs, ours = families(raw), families(in_this_service(module))
    assert {key for key in theirs if key[0] in CLASHES} == {
        ("both", "counter"), ("both", "gauge"), ("both", "histogram"), ("same_name", "counter")
    }  # fmt: skip
    assert raw.count("# TYPE same_name counter\n") == 2
    assert {key for key in ours if key[0] in CLASHES} == {(name, "counter") for name in CLASHES}
    assert 'envoy_http_local_rate_limit_x{envoy_local_http_ratelimit_prefix="wasmcustom"}' in raw
    theirs, ours = (
        {key: family for key, family in told.items() if key[0] not in CLASHES}
        for told in (theirs, ours)
    )
    assert len(theirs) > len(COUNTERS) // 2
    assert without_sums(ours) == without_sums(theirs)
    expected = sums(theirs)
    assert sums(ours) == {name: pytest.approx(value, rel=0.05) for name, value in expected.items()}
