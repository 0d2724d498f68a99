"""HTTP/2 METADATA in Envoy's own filter and in the runner: the same callbacks and the same log."""

import asyncio
import contextlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mixer.proxywasm import LogLevel, PluginSettings
from mixer.runner import Pieces, RunPlugin, RunRequest, RunResponse, run_request
from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from tests.differential.scripted_exchange import (
    METADATA_CALLBACKS,
    Script,
    Step,
    add,
    answer,
    body,
    close,
    module_text,
    pairs,
    respond,
    resume,
    size,
    value,
)
from tests.support import canned_http2 as http2
from tests.support.compile import wasm

_DEADLINE_S = 15.0
_OPTIONS = {"http2_protocol_options": {"allow_metadata": True}}
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

Block = Sequence[tuple[str, str]]
TWO: Block = (("one", "1"), ("two", "2"))
AGAIN: Block = (("one", "1"), ("one", "2"), ("Three", ""))


@dataclass(frozen=True)
class Scenario:
    """What a module does, and which metadata comes.

    Attributes:
        script: Steps by callback.
        request: The blocks behind the headers of the request.
        response: Those behind the headers of the response.
        stop_iteration: Envoy's option ``allow_on_headers_stop_iteration``.
    """

    script: Script
    request: Sequence[Block] = (TWO, AGAIN)
    response: Sequence[Block] = (TWO,)
    stop_iteration: bool = False


MAPS: list[Step] = [
    *(pairs(kind) for kind in range(1, 8)),
    *(value(kind, "one") for kind in range(8)),
    *(size(kind, told=False) for kind in range(8)),
    *(add(kind, "x-new", "1") for kind in (0, 2)),
    *(body(kind) for kind in (0, 1, 8)),
]
BOTH = ("request_metadata", "response_metadata")
SCENARIOS = {
    "told": Scenario({}),
    "none": Scenario({}, (), ()),
    "maps": Scenario(dict.fromkeys(BOTH, MAPS)),
    "held": Scenario(
        {"request_headers": [answer(1)], "request_metadata": MAPS}, stop_iteration=True
    ),
    "held-response": Scenario(
        {"response_headers": [answer(1)], "response_metadata": MAPS}, stop_iteration=True
    ),
    "what-it-returns": Scenario({name: [answer(1)] for name in BOTH}),
    "resumed": Scenario({"request_metadata": [resume(0)]}),
    "answered": Scenario({"request_metadata": [respond(403, "no")]}),
    "answered-late": Scenario({"response_metadata": [respond(502, "no")]}),
    "closed": Scenario({"request_metadata": [close(0)]}),
    "closed-response": Scenario({"response_metadata": [close(1)]}),
}  # fmt: skip


def _code(scenario: Scenario) -> bytes:
    return wasm(module_text(scenario.script, callbacks=METADATA_CALLBACKS))


def here(name: str) -> list[str]:
    """What the module logs in the runner."""
    scenario = SCENARIOS[name]
    settings = PluginSettings(name, allow_on_headers_stop_iteration=scenario.stop_iteration)
    run = RunRequest(
        headers=((":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")),
        plugin=RunPlugin(settings),
        body=b"up",
        metadata=[dict(one) for one in scenario.request],
        response=RunResponse(
            ((":status", "200"),),
            Pieces((b"down",), metadata=[dict(one) for one in scenario.response]),
        ),
    )
    report = run_request(_code(scenario), run)
    assert not report.trap, report.trap
    return _comparable([line for level, line in report.logs if level is LogLevel.WARN])


def _comparable(lines: list[str]) -> list[str]:
    """Without how many headers a response has: Envoy adds some."""
    return [re.sub(r"^(on_response_headers) \d+", r"\1", line) for line in lines]


async def _in_envoy(folder: Path) -> dict[str, list[str]]:
    async with contextlib.AsyncExitStack() as stack:
        listeners, clusters = [], []
        for name, scenario in SCENARIOS.items():
            frames = [
                http2.headers([(":status", "200")]),
                *map(http2.metadata, scenario.response),
                http2.data(b"down", end=True),
            ]
            upstream = await stack.enter_async_context(http2.canned(frames))
            module = folder / f"{name}.wasm"
            module.write_bytes(_code(scenario))
            listeners.append(_listener(name, module, scenario))
            clusters.append(_cluster(name, upstream))
        bootstrap = build.bootstrap(listeners, clusters)
        envoy = await stack.enter_async_context(EnvoyProcess(bootstrap, start_timeout_s=120.0))
        return {name: await _logged(envoy, name) for name in SCENARIOS}


def _listener(name: str, module: Path, scenario: Scenario) -> build.Config:
    wasm_filter = build.wasm_filter(
        name, module, "", allow_on_headers_stop_iteration=scenario.stop_iteration
    )
    listener = build.listener(name, name, [wasm_filter])
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager.update(_OPTIONS)
    manager["http_filters"][-1]["typed_config"]["suppress_envoy_headers"] = True
    return listener


def _cluster(name: str, upstream: str) -> build.Config:
    cluster = build.cluster(name, upstream, http2=True)
    options = cluster["typed_extension_protocol_options"][_HTTP_OPTIONS]
    options["explicit_http_config"] = _OPTIONS
    return cluster


async def _logged(envoy: EnvoyProcess, name: str) -> list[str]:
    """Send the request, and wait until the module's stream is deleted."""
    host, _, port = envoy.address(name).rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    fields = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
    blocks = map(http2.metadata, SCENARIOS[name].request)
    writer.write(http2.request([http2.headers(fields), *blocks, http2.data(b"up", end=True)]))
    deadline = time.monotonic() + _DEADLINE_S
    while True:
        log = envoy.log.read_text(errors="replace")
        lines = re.findall(rf"wasm log {name}(?= |:)[^:]*: (.*)", log)
        if "on_delete" in lines or time.monotonic() > deadline:
            writer.close()
            return _comparable(lines)
        with contextlib.suppress(TimeoutError):
            if not await asyncio.wait_for(reader.read(65_536), 0.05):
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def in_envoy(envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[str]]:
    """What the module logs in Envoy, by scenario."""
    return asyncio.run(_in_envoy(tmp_path_factory.mktemp("metadata")))


@pytest.mark.parametrize("name", SCENARIOS)
def test_metadata(name: str, in_envoy: Mapping[str, list[str]]) -> None:
    """The same callbacks are made in the same order, and the module can reach the same."""
    assert in_envoy[name][-1] == "on_delete"
    assert here(name) == in_envoy[name]
