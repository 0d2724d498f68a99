"""One TCP connection through Envoy's Wasm network filter, to an upstream that echoes."""

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from tests.differential.scripted_exchange import TCP_CALLBACKS, Script, module_text
from tests.support.compile import wasm

_QUIET_S, _LONG_S = 0.25, 15.0
_EXTENSIONS = "type.googleapis.com/envoy.extensions.filters.network"


@dataclass(frozen=True)
class Connection:
    """What a module does with a connection, and what the client sends.

    Attributes:
        script: Steps by callback.
        pieces: Each sent once the last one has had its effect; then the client ends its side.
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
                if not self._connection.echoes:
                    _end_with(writer, b"bye")
                    break
                writer.write(data)
                await writer.drain()
        writer.close()


def _end_with(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write data that leaves together with the end of the connection."""
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    writer.write(data)


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


class _Client:
    """Sends the pieces of a connection through its listener.

    Args:
        envoy: It runs.
        name: Of the listener and of the plugin.
        connection: What is sent.
        logged: How many lines the module has logged when it has seen the connection, and each
            piece with all that follows from it, for as long as the connection lives.
    """

    def __init__(
        self, envoy: EnvoyProcess, name: str, connection: Connection, logged: Sequence[int]
    ) -> None:
        self._envoy = envoy
        self._name = name
        self._connection = connection
        self._logged = list(logged)

    async def run(self) -> tuple[bytes, list[str]]:
        """What came back, and what the module logged."""
        host, _, port = self._envoy.address(self._name).rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        got = b""
        with contextlib.suppress(OSError):
            await self._send(writer)
            if self._connection.held:
                got = await _until_quiet(reader)
            else:
                writer.write_eof()
                got = await asyncio.wait_for(reader.read(), _LONG_S)
        writer.close()
        last = "on_new_connection" if self._connection.held else "on_delete"
        return got, await self._lines(lambda lines: last in lines)

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        logged = iter(self._logged)
        await self._until_logged(next(logged))
        for piece in self._connection.pieces:
            writer.write(piece)
            await writer.drain()
            await self._until_logged(next(logged, 0))

    async def _until_logged(self, count: int) -> None:
        await self._lines(lambda lines: len(lines) >= count)

    async def _lines(self, enough: Callable[[list[str]], bool]) -> list[str]:
        deadline = time.monotonic() + _LONG_S
        while True:
            log = self._envoy.log.read_text(errors="replace")
            lines = re.findall(rf"wasm log {self._name}(?= |:)[^:]*: (.*)", log)
            if enough(lines) or time.monotonic() > deadline:
                return lines
            await asyncio.sleep(0.01)


async def _until_quiet(reader: asyncio.StreamReader) -> bytes:
    got = b""
    with contextlib.suppress(TimeoutError):
        while data := await asyncio.wait_for(reader.read(65536), _QUIET_S):
            got += data
    return got


async def through_envoy(
    connections: Mapping[str, Connection], logged: Mapping[str, Sequence[int]], folder: Path
) -> dict[str, Carried]:
    """Run them in one Envoy, each in a listener of its own; ``logged`` is as of `_Client`."""
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
        seen = await asyncio.gather(
            *(_Client(envoy, name, c, logged[name]).run() for name, c in connections.items())
        )
        return {
            name: Carried(upstreams[name].got, downstream, lines)
            for name, (downstream, lines) in zip(connections, seen, strict=True)
        }
