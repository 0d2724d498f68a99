"""What the adapter telemetry tells in a real Envoy of a request whose client is gone."""

import asyncio
from pathlib import Path

import pytest

from mixer.config.module import module_path
from mixer.study import bootstrap as build
from mixer.study.client import HttpConnection, Request
from mixer.study.envoy import EnvoyProcess

SETTLE_S = 30.0
REQUEST = b"GET / HTTP/1.1\r\nhost: a.b\r\n\r\n"


@pytest.mark.usefixtures("envoy")
def test_a_client_that_is_gone() -> None:
    """The request is counted with the code 0 and Envoy's flag for it, as in Istio's proxies."""
    asyncio.run(check())


async def check() -> None:
    arrived = asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await reader.read()  # until Envoy gives up
        writer.close()

    async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with EnvoyProcess(config(f"{host}:{port}"), start_timeout_s=120.0) as envoy:
            await leave(envoy, arrived)
            told = await counted(envoy)
    assert "response_code___0___" in told
    assert "response_flags___DC___" in told


def config(upstream: str) -> build.Config:
    module = module_path("builtin://telemetry", Path())
    filters = [build.wasm_filter("telemetry", module, "{}")]
    listeners = [build.listener("telemetry", "upstream", filters)]
    return build.bootstrap(listeners, [build.cluster("upstream", upstream)])


async def leave(envoy: EnvoyProcess, arrived: asyncio.Event) -> None:
    host, _, port = envoy.address("telemetry").rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(REQUEST)
    await asyncio.wait_for(arrived.wait(), SETTLE_S)
    writer.close()
    await writer.wait_closed()


async def counted(envoy: EnvoyProcess) -> str:
    """The one series of requests that has counted something, once there is one."""
    path = "/stats/prometheus?usedonly&filter=istio_requests_total"
    async with asyncio.timeout(SETTLE_S):
        while True:
            async with HttpConnection(envoy.admin_address) as connection:
                text = (await connection.send(Request("GET", path))).body.decode()
            for line in text.splitlines():
                if line.endswith(" 1"):
                    return line
            await asyncio.sleep(0.05)
