"""One TCP connection through Envoy's Wasm network filter, to an upstream that echoes."""

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from tests.differential.scripted_exchange import TCP_CALLBACKS, Script, module_text
from tests.support.compile import wasm

_QUIET_S, _LONG_S = 0.25, 15.0
EXTENSIONS = "type.googleapis.com/envoy.extensions.filters.network"


@dataclass(frozen=True)
class Connection:
    """What a module does with a connection, and what the client sends.

    Attributes:
        script: Steps by callback.
        pieces: Each sent once the last one has had its effect; then the client ends its side.
        echoes: Whether the upstream sends back what it gets; else it says ``bye`` and closes.
        held: Whether the module keeps the connection from its start, so that it never ends.
        behind: Steps of a second module, which the client's data passes after the first one.
    """

    script: Script
    pieces: tuple[bytes, ...] = (b"one", b"two")
    echoes: bool = True
    held: bool = False
    behind: Script | None = None

    def modules(self, name: str) -> dict[str, Script]:
        """The script of each module, by the name of its plugin, in the order of the chain."""
        more = {} if self.behind is None else {f"{name}{BEHIND}": self.behind}
        return {name: self.script, **more}


BEHIND = ".behind"
"""Ends the name of a second plugin, and begins its lines."""


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


class Upstream:
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


def tcp_listener(name: str, filters: Sequence[build.Config]) -> build.Config:
    """A listener with these filters before a TCP proxy to the cluster of the same name."""
    proxy = {
        "@type": f"{EXTENSIONS}.tcp_proxy.v3.TcpProxy",
        "stat_prefix": name,
        "cluster": name,
    }
    last = {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}
    return {
        "name": name,
        "address": build.socket_address("127.0.0.1:0"),
        "filter_chains": [{"filters": [*filters, last]}],
    }


def wasm_filter(name: str, module: Path, configuration: str = "") -> build.Config:
    """Envoy's own network filter with a module."""
    http = build.wasm_filter(name, module, configuration, vm_id=name)
    plugin = http["typed_config"]["config"]
    return {
        "name": f"envoy.filters.network.wasm.{name}",
        "typed_config": {"@type": f"{EXTENSIONS}.wasm.v3.Wasm", "config": plugin},
    }


Lines = Callable[[str], list[str]]
"""What the modules of a connection have logged so far, by its name."""


class _Client:
    """Sends the pieces of a connection through its listener.

    Args:
        address: Of the listener.
        name: Of the connection.
        connection: What is sent.
        logged: How many lines the modules have logged when they have seen the connection, and each
            piece with all that follows from it, for as long as the connection lives; None where
            that does not matter.
        lines: Tells them.
    """

    def __init__(
        self,
        address: str,
        name: str,
        connection: Connection,
        logged: Sequence[int | None],
        lines: Lines,
    ) -> None:
        self._address = address
        self._name = name
        self._connection = connection
        self._logged = logged
        self._told = lines

    async def run(self) -> tuple[bytes, list[str]]:
        """What came back, and what the modules logged."""
        host, _, port = self._address.rpartition(":")
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
        plugins = 1 if self._connection.held else len(self._connection.modules(""))
        return got, await self._lines(lambda lines: sum(last in line for line in lines) >= plugins)

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        logged = iter(self._logged)
        await self._until_logged(next(logged))
        for piece in self._connection.pieces:
            writer.write(piece)
            await writer.drain()
            await self._until_logged(next(logged, None))

    async def _until_logged(self, count: int | None) -> None:
        if count is not None:
            await self._lines(lambda lines: len(lines) >= count)

    async def _lines(self, enough: Callable[[list[str]], bool]) -> list[str]:
        deadline = time.monotonic() + _LONG_S
        while True:
            lines = self._told(self._name)
            if enough(lines) or time.monotonic() > deadline:
                return lines
            await asyncio.sleep(0.01)


def lines_of(envoy: EnvoyProcess) -> Lines:
    """Of the modules in this Envoy."""

    def lines(name: str) -> list[str]:
        log = envoy.log.read_text(errors="replace")
        pattern = rf"wasm log {re.escape(name)}({re.escape(BEHIND)})?(?= |:)[^:]*: (.*)"
        found = re.findall(pattern, log)
        return [f"{behind} {line}" if behind else line for behind, line in found]

    return lines


async def _until_quiet(reader: asyncio.StreamReader) -> bytes:
    got = b""
    with contextlib.suppress(TimeoutError):
        while data := await asyncio.wait_for(reader.read(65536), _QUIET_S):
            got += data
    return got


@asynccontextmanager
async def upstreams(
    connections: Mapping[str, Connection],
) -> AsyncIterator[tuple[dict[str, Upstream], list[build.Config]]]:
    """Starts the upstream of each connection; also the clusters of Envoy that lead there."""
    made = {name: Upstream(one) for name, one in connections.items()}
    async with contextlib.AsyncExitStack() as stack:
        clusters = []
        for name, upstream in made.items():
            server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
            await stack.enter_async_context(server)
            port = server.sockets[0].getsockname()[1]
            clusters.append(build.cluster(name, f"127.0.0.1:{port}"))
        yield made, clusters


async def carried(
    connections: Mapping[str, Connection],
    logged: Mapping[str, Sequence[int | None]],
    envoy: EnvoyProcess,
    made: Mapping[str, Upstream],
    lines: Lines,
) -> dict[str, Carried]:
    """Run them, each in the listener of its name; ``logged`` is as of `_Client`."""
    clients = [
        _Client(envoy.address(name), name, one, logged[name], lines)
        for name, one in connections.items()
    ]
    seen = await asyncio.gather(*(one.run() for one in clients))
    return {
        name: Carried(made[name].got, downstream, told)
        for name, (downstream, told) in zip(connections, seen, strict=True)
    }


def modules(connection: Connection, name: str, folder: Path) -> dict[str, Path]:
    """The files of its modules, by the names of the plugins."""
    files = {}
    for plugin, script in connection.modules(name).items():
        files[plugin] = folder / f"{plugin}.wasm"
        files[plugin].write_bytes(wasm(module_text(script, callbacks=TCP_CALLBACKS)))
    return files


async def through_envoy(
    connections: Mapping[str, Connection], logged: Mapping[str, Sequence[int]], folder: Path
) -> dict[str, Carried]:
    """Run them in one Envoy's own Wasm filters."""
    listeners = []
    for name, one in connections.items():
        files = modules(one, name, folder)
        filters = [wasm_filter(plugin, file) for plugin, file in files.items()]
        listeners.append(tcp_listener(name, filters))
    async with upstreams(connections) as (made, clusters):
        bootstrap = build.bootstrap(listeners, clusters)
        async with EnvoyProcess(bootstrap, start_timeout_s=120.0) as envoy:
            return await carried(connections, logged, envoy, made, lines_of(envoy))
