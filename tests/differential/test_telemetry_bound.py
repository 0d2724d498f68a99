"""The bound of series of the adapter telemetry in a real Envoy: its store of stats stays flat."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from mixer.config.module import module_path
from mixer.study import bootstrap as build
from mixer.study.client import HttpConnection, Request
from mixer.study.envoy import EnvoyProcess

SERIES, METRICS = 8, 2
TENANTS = 120
CONFIGURATION = {
    "maxSeries": SERIES,
    "istio": {
        "overrides": [
            {"match": {"metric": "REQUEST_COUNT"},
             "tagOverrides": {"tenant": {"value": 'request.headers["x-tenant"]'}}},
            {"match": {"metric": "REQUEST_SIZE"}, "disabled": True},
            {"match": {"metric": "RESPONSE_SIZE"}, "disabled": True},
        ]
    },
}  # fmt: skip


async def ask(envoy: EnvoyProcess, first: int, last: int) -> None:
    async with HttpConnection(envoy.address("telemetry")) as connection:
        for number in range(first, last):
            answer = await connection.send(Request("GET", "/", (("x-tenant", f"t{number}"),)))
            assert answer.status == 200


async def stats(envoy: EnvoyProcess) -> dict[str, int]:
    async with HttpConnection(envoy.admin_address) as connection:
        answer = await connection.send(Request("GET", "/stats?filter=istio_requests_total"))
    found = re.findall(r"(?m)^(.*istio_requests_total): (\d+)$", answer.body.decode())
    return {name: int(value) for name, value in found}


@pytest.mark.usefixtures("envoy")
def test_tenants_without_end() -> None:
    """Beyond the bound Envoy gets no more stats, and none of the requests is lost."""
    asyncio.run(check())


async def check() -> None:
    module = module_path("builtin://telemetry", Path())
    filters = [build.wasm_filter("telemetry", module, json.dumps(CONFIGURATION))]
    listeners = [build.listener("telemetry", None, filters)]
    async with EnvoyProcess(build.bootstrap(listeners, []), start_timeout_s=120.0) as envoy:
        await ask(envoy, 0, TENANTS)
        before = await stats(envoy)
        await ask(envoy, TENANTS, 3 * TENANTS)
        after = await stats(envoy)
    assert after.keys() == before.keys()
    assert sum(after.values()) == 3 * TENANTS
    # Each worker has a VM of its own; one connection is one worker's.
    told_apart = [name for name in after if "tenant" in name]
    assert SERIES // METRICS <= len(told_apart) <= 2 * SERIES // METRICS
    (overflow,) = (name for name in after if name.partition("istio")[0].endswith("true;.;"))
    assert after[overflow] >= 3 * TENANTS - len(told_apart)
