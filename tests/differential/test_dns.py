"""Envoy's own host call for DNS, in Envoy and here, without any DNS server."""

import asyncio
import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from mixer.callouts.addresses import Addresses
from mixer.callouts.assembly import ClusterCallouts
from mixer.callouts.clusters import Cluster, Endpoint
from mixer.callouts.naming import Clusters
from mixer.proxywasm import LogLevel, PluginSettings
from mixer.runner import RunPlugin, RunRequest, run_request
from mixer.runner.waiting import LoopWaiter
from mixer.study import bootstrap as build
from mixer.study.client import get
from mixer.study.envoy import EnvoyProcess
from tests.differential.scripted_exchange import (
    DNS_CALLBACKS,
    data_of_callback,
    module_text,
    resolve_dns,
)
from tests.support.compile import wasm

NAMES = ("127.0.0.1", "::1", "10.1.2.3", "localhost")
_DEADLINE_S = 20.0
_HEADERS = ((":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"))
_TTL_OF_A_NAME = 5


def code() -> bytes:
    """A module that asks for each name, and logs what it is told."""
    script = {
        "request_headers": [resolve_dns(name) for name in NAMES],
        "resolve_dns": [data_of_callback],
    }
    return wasm(module_text(script, callbacks=DNS_CALLBACKS))


async def lookup(_host: str) -> Sequence[str]:
    """What is known of `localhost`, whatever this machine says."""
    return ["127.0.0.1", "::1"]


async def _open() -> ClusterCallouts:
    cluster = Cluster("all", tuple(Endpoint(name, 80) for name in NAMES))
    return ClusterCallouts(Clusters([cluster]), addresses=Addresses(lookup))


def here() -> list[str]:
    """What the module logs here."""
    with asyncio.Runner() as runner:
        callouts = runner.run(_open())
        try:
            run = RunRequest(headers=_HEADERS, plugin=RunPlugin(PluginSettings("dns")))
            report = run_request(code(), run, waiter=LoopWaiter(runner, callouts))
        finally:
            runner.run(callouts.close())
    assert not report.trap, report.trap
    return [line for level, line in report.logs if level is LogLevel.WARN]


async def in_envoy(folder: Path) -> list[str]:
    """What the module logs in Envoy."""
    module = folder / "dns.wasm"
    module.write_bytes(code())
    listener = build.listener("dns", None, [build.wasm_filter("dns", module, "")])
    async with EnvoyProcess(build.bootstrap([listener], []), start_timeout_s=120.0) as envoy:
        await get(envoy.address("dns"), "/")
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            log = envoy.log.read_text(errors="replace")
            lines = re.findall(r"wasm log(?: dns)?(?= |:)[^:]*: (.*)", log)
            told = sum(line.startswith("data ") for line in lines)
            if told == len(NAMES) or time.monotonic() > deadline:
                return lines
            await asyncio.sleep(0.05)


def of(lines: list[str], first: str) -> list[str]:
    return [line for line in lines if line.startswith(first)]


@pytest.fixture(scope="module")
def both(envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """What is logged here, and in Envoy."""
    del envoy
    return here(), asyncio.run(in_envoy(tmp_path_factory.mktemp("dns")))


def test_statuses_and_tokens(both: tuple[list[str], list[str]]) -> None:
    """Each name that is asked for has the same status and token."""
    mine, theirs = both
    assert len(of(mine, "asked ")) == len(NAMES)
    assert of(mine, "asked ") == of(theirs, "asked ")


def test_what_is_told(both: tuple[list[str], list[str]]) -> None:
    """The same tokens and sizes, in the same order, and the same bytes but for one time to live.

    Envoy takes `localhost` from its resolver's own table, which has no time to live.
    """
    mine, theirs = both
    assert len(of(mine, "on_resolve_dns ")) == len(NAMES)
    assert of(mine, "on_resolve_dns ") == of(theirs, "on_resolve_dns ")
    never = (0).to_bytes(4, "little").hex()
    known = _TTL_OF_A_NAME.to_bytes(4, "little").hex()
    assert [line.replace(known, never) for line in of(mine, "data ")] == of(theirs, "data ")


def test_when_it_is_told(both: tuple[list[str], list[str]]) -> None:
    """Envoy tells what it knows already within the call; here nothing is told within a call."""
    mine, _ = both
    first = [next(line for line in lines if not line.startswith("on_req")) for lines in both]
    assert [line.partition(" ")[0] for line in first] == ["asked", "on_resolve_dns"]
    told = [n for n, line in enumerate(mine) if line.startswith("on_resolve_dns ")]
    assert min(told) > max(n for n, line in enumerate(mine) if line.startswith("asked "))
