"""Scenarios through a real Envoy that asks over ext_proc, of an engine in this process."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import yaml

from mixer.config import loads
from mixer.engine import Engine
from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from mixer.transport import ext_proc
from tests.differential.exchange import (
    Scenario,
    Seen,
    Upstream,
    listen,
    open_callouts,
    plain_cluster,
    plain_listener,
    through_listener,
    without_the_hop,
)
from tests.differential.scripted_exchange import module_text
from tests.support.compile import wasm

_LONG_S = 15.0
_MODE = {
    "request_header_mode": "SEND",
    "response_header_mode": "SEND",
    "request_body_mode": "FULL_DUPLEX_STREAMED",
    "response_body_mode": "FULL_DUPLEX_STREAMED",
    "request_trailer_mode": "SEND",
    "response_trailer_mode": "SEND",
}


class _Switch(grpc.GenericRpcHandler):
    """Serves what is set; one server stands for the services of all scenarios."""

    def __init__(self) -> None:
        self.handler: grpc.GenericRpcHandler | None = None

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return None if self.handler is None else self.handler.service(call)


class _Lines(logging.Handler):
    """Keeps what one module logs as warnings."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.WARNING)
        self.logger = logging.getLogger(f"mixer.adapter.{name}")
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __enter__(self) -> "_Lines":
        self.logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.logger.removeHandler(self)

    async def until(self, last: str) -> list[str]:
        """All lines, once there is one that begins so; or what there is when that takes long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONG_S):
                while not any(line.startswith(last) for line in self.lines):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        return without_the_hop(self.lines)


def _filter() -> build.Config:
    """All of the stream, as it comes."""
    return {
        "name": "envoy.filters.http.ext_proc",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3"
            ".ExternalProcessor",
            "grpc_service": {"envoy_grpc": {"cluster_name": "mixer"}, "timeout": "0s"},
            "message_timeout": "10s",
            "processing_mode": _MODE,
            "mutation_rules": {
                "allow_all_routing": True,
                "allow_envoy": True,
                "disallow_system": False,
            },
            "request_attributes": ["request.time", "request.protocol", "source.address"],
        },
    }


def _engine(name: str, scenario: Scenario, folder: Path, callouts: object) -> Engine:
    (folder / f"{name}.wasm").write_bytes(wasm(module_text(scenario.script, scenario.abi)))
    annotations = {"mixer.dev/cpu-limit": "5s", "mixer.dev/root-id": name}
    if scenario.stop_iteration:
        annotations["mixer.dev/allow-on-headers-stop-iteration"] = "true"
    plugin = {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"url": f"./{name}.wasm"},
    }
    configuration = loads(yaml.safe_dump(plugin), base=folder, environ={})
    return Engine(configuration, callouts=callouts)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def _serving(switch: _Switch) -> AsyncIterator[str]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((switch,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def through_ext_proc(scenarios: dict[str, Scenario], folder: Path) -> dict[str, Seen]:
    """Run them through one Envoy, one after the other, each in a listener of its own."""
    answering, switch = Upstream(scenarios), _Switch()
    upstream = await listen(answering)
    port = upstream.sockets[0].getsockname()[1]
    callouts = await open_callouts(port)
    listeners = [plain_listener(name, _filter()) for name in scenarios]
    async with upstream, _serving(switch) as address:
        clusters = [
            plain_cluster("upstream", f"127.0.0.1:{port}"),
            build.cluster("mixer", address, http2=True),
        ]
        async with EnvoyProcess(build.bootstrap(listeners, clusters)) as envoy:
            answering.envoy = envoy
            found = {}
            for name, scenario in scenarios.items():
                with _engine(name, scenario, folder, callouts) as engine, _Lines(name) as log:
                    switch.handler = ext_proc.handler(engine, None)
                    waiting = replace(scenario, hangs=False)  # nothing waits in vain here
                    found[name] = await through_listener(waiting, name, envoy)
                    found[name].lines = await log.until(scenario.ends_with)
    await callouts.close()
    return found
