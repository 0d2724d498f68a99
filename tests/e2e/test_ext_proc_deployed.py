"""The configuration of ext_proc for users, with modules of the SDKs and of Higress behind it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from mixer.study.service import ServiceProcess
from tests.differential.exchange import Message
from tests.e2e.guests import Guests
from tests.e2e.pieces import Came, Upstream, exchange, upstream
from tests.e2e.stack import START_TIMEOUT_S, Services, adapter
from tests.higress.host import module_file
from tests.support import adapters as do
from tests.support.adapters import adapter as text
from tests.support.compile import wasm

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("envoy")]

_ROOT = Path(__file__).parents[2]
DEPLOYED = _ROOT / "deploy" / "envoy" / "ext_proc.yaml"
PAGE = _ROOT / "docs" / "ext-proc.md"

RESPONSE = Message(
    (b'{"userId": 12, "secret": "al"}',),
    headers=(("content-type", "application/json"), ("x-dup", "a"), ("x-dup", "b")),
)
TRANSFORMER = {
    "reqRules": [
        {
            "operate": "add",
            "headers": [{"key": "X-add", "value": "v"}],
            "querys": [{"key": "k2", "value": "v2"}],
        },
        {
            "operate": "map",
            "mapSource": "body",
            "headers": [{"fromKey": "userId", "toKey": "x-user-id"}],
        },
        {"operate": "replace", "body": [{"key": "name", "newValue": "bob"}]},
    ],
}
READS = text(
    do.where_property("connection\0mtls", None, do.add("x-mtls", "known")),
    do.where_property("destination\0address", None, do.add("x-destination", "known")),
    do.where_property("xds\0cluster_name", "upstream", do.add("x-cluster", "upstream")),
    do.where_property("request\0protocol", "HTTP/1.1", do.add("x-protocol", "1.1")),
    response_headers=[
        do.where_property("upstream\0address", None, do.add_to_response("x-upstream", "known")),
        do.where_property(
            "response\0code_details", "via_upstream", do.add_to_response("x-via", "upstream")
        ),
    ],
)


@dataclass
class World:
    """What runs."""

    envoy: EnvoyProcess
    upstream: Upstream
    service: ServiceProcess

    async def send(self, target: str, request: Message | None = None) -> tuple[Came, Came]:
        """What the client got, and what came to the upstream."""
        self.upstream.came.clear()
        came = await exchange(self.envoy.address("ingress"), target, request)
        (seen,) = self.upstream.came.values()
        return came, seen


def deployed(addresses: dict[str, str]) -> dict[str, Any]:
    """The configuration with other addresses."""
    config: dict[str, Any] = yaml.safe_load(DEPLOYED.read_text())
    resources = config["static_resources"]
    resources["listeners"][0]["address"] = build.socket_address("127.0.0.1:0")
    for cluster in resources["clusters"]:
        endpoint = {"endpoint": {"address": build.socket_address(addresses[cluster["name"]])}}
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"] = [endpoint]
    return config


def documented(module: Path) -> dict[str, Any]:
    """The adapter that the page shows."""
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    document: dict[str, Any] = yaml.safe_load(example)
    document["spec"]["url"] = f"file://{module}"
    return document


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    envoy: Path, services: Services, guests: Guests, higress: Path
) -> AsyncIterator[World]:
    adapters = [
        documented(module_file(higress, "transformer")),
        adapter("requests", module_file(higress, "transformer"), TRANSFORMER, phase="AUTHN"),
        adapter("reads", guests.file("reads", wasm(READS)), phase="AUTHZ"),
    ]
    async with (
        upstream({"/get": RESPONSE, "/post": RESPONSE}) as served,
        services.service("mixer", adapters) as service,
    ):
        config = deployed({"mixer": service.address, "upstream": served.address})
        async with EnvoyProcess(config, start_timeout_s=START_TIMEOUT_S) as running:
            yield World(running, served, service)


async def test_a_plugin_that_changes_requests(world: World) -> None:
    """Higress's transformer changes path, headers and body."""
    body = b'{"userId": 12, "name": "al"}'
    request = Message((body,), headers=(("content-type", "application/json"),))
    came, seen = await world.send("/post?k1=v1", request)
    assert seen.start == "POST /post?k1=v1&k2=v2"
    assert (seen.values("x-add"), seen.values("x-user-id")) == (["v"], ["12"])
    assert json.loads(seen.body) == {"userId": 12, "name": "bob"}
    assert came.start == 200


async def test_the_documented_adapter(world: World) -> None:
    """The one of the page changes headers and body of a response."""
    came, _ = await world.send("/get")
    assert (came.values("x-dup"), came.values("x-renamed")) == ([], ["a", "b"])
    assert json.loads(came.body) == {"userId": 12}


async def test_what_a_module_reads(world: World) -> None:
    """The attributes that the filter is told to send are there, in the response as well."""
    came, seen = await world.send("/get")
    found = [seen.values(f"x-{name}") for name in ("mtls", "destination", "cluster", "protocol")]
    assert found == [["known"], ["known"], ["upstream"], ["1.1"]]
    assert (came.values("x-upstream"), came.values("x-via")) == (["known"], ["upstream"])


async def test_the_access_log_tells_who_decided(world: World) -> None:
    """From the dynamic metadata of the filter."""
    await world.send("/get")
    deadline = asyncio.get_running_loop().time() + 30
    line = "GET /get 200 adapter=transformer reason="
    while line not in world.envoy.log_text():
        assert asyncio.get_running_loop().time() < deadline, world.envoy.log_text()
        await asyncio.sleep(0.05)


async def test_an_answer_of_envoy_itself(world: World) -> None:
    """A path that Envoy refuses is refused as without the service, which sees only the answer."""
    came = await exchange(world.envoy.address("ingress"), "/a%2Fb")
    assert came.start == 400
