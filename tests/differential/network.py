"""TCP connections through the NETWORK adapters of an engine: directly, and behind ext_proc."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio
import yaml

from mixer.attributes import AttributeBag
from mixer.config import loads
from mixer.engine import Engine, TcpExchange
from mixer.proxywasm import Peer
from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from mixer.transport import network_ext_proc
from tests.differential.tcp import (
    BEHIND,
    EXTENSIONS,
    Carried,
    Connection,
    carried,
    modules,
    tcp_listener,
    upstreams,
)

_CALL = {
    "source.address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "destination.address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "connection.id": "%CONNECTION_ID%",
}
"""What the filter is configured to say of a connection with each call."""


class _Log(logging.Handler):
    """The lines of modules, by the name of their connection."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: dict[str, list[str]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        plugin = record.name.removeprefix("mixer.adapter.")
        name, behind, _ = plugin.partition(BEHIND)
        said = record.getMessage().replace("\\x00", "\0")  # the log of the service escapes it
        line = f"{behind} {said}" if behind else said
        self._lines.setdefault(name, []).append(line)

    def lines(self, name: str) -> list[str]:
        return list(self._lines.get(name.replace("_", "-"), ()))


@contextmanager
def _logged() -> Iterator[_Log]:
    log, logger = _Log(), logging.getLogger("mixer.adapter")
    logger.addHandler(log)
    try:
        yield log
    finally:
        logger.removeHandler(log)


def make_engine(connection: Connection, name: str, folder: Path) -> Engine:
    """An engine with the modules of a connection."""
    documents = [
        {
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "WasmPlugin",
            "metadata": {"name": plugin.replace("_", "-")},
            "spec": {
                "type": "NETWORK",
                "url": f"file://{file}",
                "pluginName": plugin,
                "priority": -number,
            },
        }
        for number, (plugin, file) in enumerate(modules(connection, name, folder).items())
    ]
    mixer = {
        "apiVersion": "mixer.dev/v1alpha1",
        "kind": "Mixer",
        "metadata": {"name": "mixer"},
        "spec": {"compileCache": {"directory": str(folder / "cache")}},
    }
    return Engine(loads(yaml.safe_dump_all([mixer, *documents]), base=folder, environ={}))


class _Echo:
    """The upstream and the client of a connection, around an exchange.

    Attributes:
        logged: How many lines there are after each step, while the connection lives.
    """

    def __init__(
        self, exchange: TcpExchange, connection: Connection, lines: Callable[[], list[str]]
    ) -> None:
        self.carried = Carried()
        self._lines = lines
        self.logged: list[int] = []
        self._exchange = exchange
        self._connection = connection
        self._upstream_ended = False

    def run(self) -> None:
        exchange = self._exchange
        exchange.new_connection()
        self.logged.append(len(self._lines()))
        for piece in (*self._connection.pieces, None):
            if exchange.answer is not None:
                break
            exchange.downstream_data(piece or b"", end_of_stream=piece is None)
            self._reply(last=piece is None)
            self.logged.append(len(self._lines()))
        local = self._connection.echoes or exchange.answer is not None
        exchange.close(Peer.LOCAL if local else Peer.REMOTE)
        self.carried.lines = self._lines()

    def _reply(self, *, last: bool) -> None:
        exchange = self._exchange
        fresh = exchange.downstream.take()
        self.carried.upstream += fresh
        if exchange.answer is None and not self._upstream_ended:
            if not self._connection.echoes:
                self._upstream_ended = True
                exchange.upstream_data(b"bye", end_of_stream=True)
            elif fresh or last:
                self._send_back(fresh, last=last)
        self.carried.downstream += exchange.upstream.take()

    def _send_back(self, fresh: bytes, *, last: bool) -> None:
        """What is sent with the end comes apart from it in Envoy, which has the two one by one."""
        if fresh:
            self._exchange.upstream_data(fresh, end_of_stream=False)
        if last and self._exchange.answer is None:
            self._exchange.upstream_data(b"", end_of_stream=True)


def through_exchanges(
    connections: Mapping[str, Connection], attributes: AttributeBag, folder: Path
) -> tuple[dict[str, Carried], dict[str, list[int]]]:
    """Run them here; also how many lines there were after each step."""
    came, logged = {}, {}
    with _logged() as log:
        for name, one in connections.items():
            with make_engine(one, name, folder) as engine:
                echo = _Echo(engine.connect(attributes), one, partial(log.lines, name))
                echo.run()
            came[name], logged[name] = echo.carried, echo.logged
    return came, logged


def ext_proc_filter(name: str, **options: Any) -> build.Config:
    """The filter that asks the service of this name about each connection."""
    said = [{"key": key, "value": value} for key, value in _CALL.items()]
    service = {"envoy_grpc": {"cluster_name": _service(name)}, "initial_metadata": said}
    return {
        "name": f"envoy.filters.network.ext_proc.{name}",
        "typed_config": {
            "@type": f"{EXTENSIONS}.ext_proc.v3.NetworkExternalProcessor",
            "stat_prefix": name,
            "grpc_service": service,
            "message_timeout": "30s",
            **options,
        },
    }


def _service(name: str) -> str:
    return f"mixer-{name}"


async def through_ext_proc(
    connections: Mapping[str, Connection], logged: Mapping[str, Sequence[int]], folder: Path
) -> dict[str, Carried]:
    """Run them behind one Envoy whose ext_proc filters ask an engine each."""
    # The proxy tells of a connection only with its first piece.
    told: dict[str, Sequence[int | None]] = {n: [None, *some[1:]] for n, some in logged.items()}
    async with AsyncExitStack() as stack:
        log = stack.enter_context(_logged())
        made, clusters = await stack.enter_async_context(upstreams(connections))
        for name, one in connections.items():
            engine = stack.enter_context(make_engine(one, name, folder))
            port = await stack.enter_async_context(_serving(engine))
            clusters.append(build.cluster(_service(name), f"127.0.0.1:{port}", http2=True))
        listeners = [tcp_listener(name, [ext_proc_filter(name)]) for name in connections]
        bootstrap = build.bootstrap(listeners, clusters)
        envoy = await stack.enter_async_context(EnvoyProcess(bootstrap, start_timeout_s=120.0))
        return await carried(connections, told, envoy, made, log.lines)


@contextlib.asynccontextmanager
async def _serving(engine: Engine) -> AsyncIterator[int]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((network_ext_proc.handler(engine),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)
