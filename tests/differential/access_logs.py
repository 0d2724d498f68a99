"""What Envoy's own Wasm access logger tells of a request, and what its gRPC access logger does.

Both are in one access log, so that they are about the same requests. The gRPC messages are kept as
they came.
"""

import asyncio
import contextlib
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from mixer.api import access_log
from mixer.api.access_log.messages import Message
from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from mixer.study.upstream import EchoUpstream

_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_LONG_S = 60.0
END = "end"
"""What a module logs when it was told of a request."""

_OK = b"HTTP/1.1 200 OK\r\nx-r: 1\r\ncontent-length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Exchange:
    """One connection of a client to a listener of its own.

    Attributes:
        sends: What the client writes.
        tcp: Whether it is a TCP proxy, and not an HTTP connection manager.
        upstream: The cluster: ``echo``, ``down``, or ``silent``, which never answers.
        hangs_up: Whether the client goes away once the upstream has the request.
        is_told_before: Whether something is told before the client goes away.
        tls: Whether client and listener show each other certificates.
        manager: More fields of the HTTP connection manager, or of the TCP proxy.
        filters: HTTP filters.
        tags: Custom tags of the gRPC logger: names and format strings.
    """

    sends: bytes = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    tcp: bool = False
    upstream: str = "echo"
    hangs_up: bool = False
    is_told_before: bool = False
    tls: bool = False
    manager: Mapping[str, Any] = field(default_factory=dict)
    filters: Sequence[build.Config] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Told:
    """What came of an exchange.

    Attributes:
        lines: What the module logged in Envoy.
        messages: What the gRPC logger sent.
    """

    lines: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)


HEADERS = {
    "additional_request_headers_to_log": ["x-a", ":method", "content-length", "content-type"],
    "additional_response_headers_to_log": ["x-r", "content-length", "grpc-status"],
    "additional_response_trailers_to_log": ["grpc-status", "x-t"],
}


def _access_log(name: str, module: Path, exchange: Exchange) -> list[build.Config]:
    wasm = build.wasm_filter(name, module, "")["typed_config"]["config"]
    common = {
        "log_name": name,
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": "logs"}},
        "buffer_size_bytes": 0,
        "custom_tags": [{"tag": tag, "value": text} for tag, text in exchange.tags.items()],
        "filter_state_objects_to_log": ["envoy.string"],
    }
    kind = "Tcp" if exchange.tcp else "Http"
    told = {
        "@type": f"{_EXTENSIONS}.access_loggers.grpc.v3.{kind}GrpcAccessLogConfig",
        "common_config": common,
        **({} if exchange.tcp else HEADERS),
    }
    log = {"@type": f"{_EXTENSIONS}.access_loggers.wasm.v3.WasmAccessLog", "config": wasm}
    return [{"name": f"{name}.wasm", "typed_config": log}, {"name": name, "typed_config": told}]


def _listener(name: str, module: Path, exchange: Exchange, tls: build.Config) -> build.Config:
    listener = build.listener(name, exchange.upstream, list(exchange.filters))
    chain = listener["filter_chains"][0]
    if exchange.tcp:
        proxy = {
            "@type": f"{_EXTENSIONS}.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": name,
            "cluster": exchange.upstream,
        }
        chain["filters"] = [{"name": "tcp", "typed_config": proxy}]
    if exchange.tls:
        chain["transport_socket"] = tls
    logs = {"access_log": _access_log(name, module, exchange)}
    chain["filters"][0]["typed_config"] |= logs | dict(exchange.manager)
    return listener


class _Logs:
    """An access log service that keeps what it gets, by the name of the log."""

    def __init__(self, told: Mapping[str, Told]) -> None:
        self._told = told

    async def take(self, messages: AsyncIterator[bytes], _context: object) -> bytes:
        name = ""
        async for data in messages:
            name = Message.FromString(data).identifier.log_name or name
            self._told[name].messages.append(data)
        return b""

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serves; gives the address."""
        server = grpc.aio.server()
        methods = {access_log.METHOD: grpc.stream_unary_rpc_method_handler(self.take)}
        handler = grpc.method_handlers_generic_handler(access_log.SERVICE, methods)
        server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(0)


class _Silent:
    """An upstream that says nothing, and knows when it was asked."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        self.asked.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()


async def through_envoy(
    exchanges: Mapping[str, Exchange], module: Path, tls: tuple[Path, Path]
) -> dict[str, Told]:
    """Run them in one Envoy.

    Args:
        exchanges: By name.
        module: What Envoy's Wasm access logger runs.
        tls: The files of the certificate that both sides show, and of its key.
    """
    told = {name: Told() for name in exchanges}
    silent = _Silent()
    async with contextlib.AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(EchoUpstream())
        waiting = await asyncio.start_server(silent.serve, "127.0.0.1", 0)
        await stack.enter_async_context(waiting)
        logs = await stack.enter_async_context(_Logs(told).serving())
        clusters = [
            build.cluster("echo", upstream.address),
            build.cluster("down", "127.0.0.1:1"),
            build.cluster("silent", f"127.0.0.1:{waiting.sockets[0].getsockname()[1]}"),
            build.cluster("logs", logs, http2=True),
        ]
        context = _tls(*tls)
        listeners = [_listener(name, module, one, context) for name, one in exchanges.items()]
        bootstrap = build.bootstrap(listeners, clusters) | {"node": {"id": "n", "cluster": "c"}}
        envoy = await stack.enter_async_context(EnvoyProcess(bootstrap, start_timeout_s=120.0))
        for name, one in exchanges.items():
            before = len(_lines(envoy))
            await _send(envoy.address(name), one, silent, tls, told[name])
            await _until(lambda name=name: _has_the_end(told[name].messages))
            await _until(lambda before=before: END in _lines(envoy)[before:])
            told[name].lines = _lines(envoy)[before:]
    return told


def _has_the_end(messages: Sequence[bytes]) -> bool:
    logs = access_log.AccessLogs()
    return any(record for data in messages for record in logs.read(data).records())


def _lines(envoy: EnvoyProcess) -> list[str]:
    log = envoy.log.read_text(errors="surrogateescape")
    return re.findall(r"wasm log: (.*)", log)


async def _send(
    address: str, exchange: Exchange, silent: _Silent, tls: tuple[Path, Path], told: Told
) -> None:
    host, _, port = address.rpartition(":")
    context = _client(*tls) if exchange.tls else None
    name = "demo.mixer.dev" if exchange.tls else None
    silent.asked.clear()
    reader, writer = await asyncio.open_connection(
        host, int(port), ssl=context, server_hostname=name
    )
    with contextlib.suppress(ConnectionError):
        writer.write(exchange.sends)
        if exchange.hangs_up:
            await asyncio.wait_for(silent.asked.wait(), _LONG_S)
        else:
            await asyncio.wait_for(reader.read(), _LONG_S)
        if exchange.is_told_before:
            await _until(lambda: bool(told.messages))
        writer.close()
        await writer.wait_closed()


async def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LONG_S
    while not true():
        assert time.monotonic() < deadline, "nothing was told"
        await asyncio.sleep(0.02)


def _tls(certificate: Path, key: Path) -> build.Config:
    chain = {"filename": str(certificate)}
    context = {
        "@type": f"{_EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": {
            "tls_certificates": [
                {"certificate_chain": chain, "private_key": {"filename": str(key)}}
            ],
            "validation_context": {"trusted_ca": chain},
        },
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _client(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificate))
    context.load_cert_chain(certificate, key)
    return context
