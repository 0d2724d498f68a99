"""Modules built with the SDKs: the same in Envoy's own Wasm filter and here."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2_grpc

from mixer.study import bootstrap as build
from tests.differential.sdk_cases import CASES
from tests.e2e.stack import MODULES
from tests.higress.cases import Seen
from tests.higress.envoy import through_envoy
from tests.higress.host import Host


def module_file(name: str) -> Path:
    return MODULES / f"{name}.wasm"


@pytest.fixture(scope="module")
def host(compiled: Path) -> Iterator[Host]:
    """This host."""
    made = Host(module_file, compiled)
    yield made
    made.close()


@pytest.fixture(scope="module")
def in_envoy(envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Seen]]:
    """Every case in Envoy's own filter."""
    return asyncio.run(beside_a_grpc_server(tmp_path_factory.mktemp("modules")))


async def beside_a_grpc_server(folder: Path) -> dict[str, list[Seen]]:
    modules = {case.plugin: module_file(case.plugin) for case in CASES.values()}
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        others = [build.cluster("grpc", f"127.0.0.1:{port}", http2=True)]
        return await through_envoy(CASES, folder, modules, others)
    finally:
        await server.stop(None)


@pytest.mark.parametrize("name", CASES)
def test_here(name: str, host: Host) -> None:
    """The client and the upstream see what the module is there for."""
    case = CASES[name]
    for step, seen in zip(case.steps, host.run(case), strict=True):
        step.expected.check(seen)


@pytest.mark.parametrize("name", CASES)
def test_same(name: str, in_envoy: dict[str, list[Seen]], host: Host) -> None:
    """The client and the upstream see the same, and the module logs the same."""
    here = [seen.comparable() for seen in host.run(CASES[name])]
    assert here == [seen.comparable() for seen in in_envoy[name]]
