"""One TCP connection through Envoy's Wasm network filter, to an upstream that echoes."""

import asyncio
import contextlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from tests.differential.scripted_exchange import TCP_CALLBACKS, Script, module_text
from tests.support.compile import wasm

QUIET_S, LONG_S = 0.25, 15.0
_EXTENSIONS = "type.googleapis.com/envoy.extensions.filters.network"


@dataclass(frozen=True)
class Connection:
    """What a module does with a connection, and what the client sends.

    Attributes:
        script: Steps by callback.
        pieces: Each sent once the last one has had its effect; then the client ends its side, and
            reads what is left.
        echoes: Whether the upstream sends back what it gets; else it says ``bye`` and closes.
        held: Whether the module keeps the connection from its start, so that it never ends.
    """

    script: Script
    pieces: tuple[bytes, ...] = (b"one", b"two")
    echoes: bool = True
    held: bool = False


@dataclass
class Carried:
    """What came of a connection.

    Attributes:
        upstream: What the upstream got.
        downstream: What the client got.
        lines: What the module logged.
    """

    upstream: bytes = b""
    downstream: bytes = b""
    lines: list[str] = field(default_factory=list)


class _Upstream:
    """Echoes, or says goodbye; what it got is kept by the listener's name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.got = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                self.got += data
                writer.write(data if self._connection.echoes else b"bye")
                await writer.drain()
                if not self._connection.echoes:
                    break
        writer.close()


def tcp_listener(name: str, module: Path) -> build.Config:
    """A listener with the module before a TCP proxy."""
    http = build.wasm_filter(name, module, "plugin configuration")
    plugin = http["typed_config"]["config"]
    wasm_filter = {
        "name": f"envoy.filters.network.wasm.{name}",
        "typed_config": {"@type": f"{_EXTENSIONS}.wasm.v3.Wasm", "config": plugin},
    }
    proxy = {
        "@type": f"{_EXTENSIONS}.tcp_proxy.v3.TcpProxy",
        "stat_prefix": name,
        "cluster": name,
    }
    return {
        "name": name,
        "address": build.socket_address("127.0.0.1:0"),
        "filter_chains": [{"filters": [wasm_filter, _named(proxy)]}],
    }


def _named(proxy: build.Config) -> build.Config:
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}


async def _client(connection: Connection, address: str) -> bytes:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    got = b""
    with contextlib.suppress(OSError):
        for piece in connection.pieces:
            writer.write(piece)
            await writer.drain()
            got += await _until_quiet(reader)
        if not connection.held:
            writer.write_eof()
            got += await asyncio.wait_for(reader.read(), LONG_S)
    writer.close()
    return got


async def _until_quiet(reader: asyncio.StreamReader) -> bytes:
    got = b""
    with contextlib.suppress(TimeoutError):
        while data := await asyncio.wait_for(reader.read(65536), QUIET_S):
            got += data
    return got


async def _lines(envoy: EnvoyProcess, name: str, last: str) -> list[str]:
    deadline = time.monotonic() + LONG_S
    while True:
        log = envoy.log.read_text(errors="replace")
        lines = re.findall(rf"wasm log {name}(?= |:)[^:]*: (.*)", log)
        if last in lines or time.monotonic() > deadline:
            return lines
        await asyncio.sleep(0.05)


async def through_envoy(connections: Mapping[str, Connection], folder: Path) -> dict[str, Carried]:
    """Run them in one Envoy, each in a listener of its own."""
    upstreams = {name: _Upstream(one) for name, one in connections.items()}
    listeners, clusters = [], []
    async with contextlib.AsyncExitStack() as stack:
        for name, one in connections.items():
            module = folder / f"{name}.wasm"
            module.write_bytes(wasm(module_text(one.script, callbacks=TCP_CALLBACKS)))
            server = await asyncio.start_server(upstreams[name].serve, "127.0.0.1", 0)
            await stack.enter_async_context(server)
            port = server.sockets[0].getsockname()[1]
            listeners.append(tcp_listener(name, module))
            clusters.append(build.cluster(name, f"127.0.0.1:{port}"))
        bootstrap = build.bootstrap(listeners, clusters)
        envoy = await stack.enter_async_context(EnvoyProcess(bootstrap, start_timeout_s=120.0))
        got = await asyncio.gather(*(_client(c, envoy.address(n)) for n, c in connections.items()))
        return {
            name: Carried(upstreams[name].got, downstream, await _lines(envoy, name, _last(one)))
            for (name, one), downstream in zip(connections.items(), got, strict=True)
        }


def _last(connection: Connection) -> str:
    return "on_new_connection" if connection.held else "on_delete"
