"""A collector of OTLP over gRPC that can be slow, talk rubbish, and go away and come back."""

import asyncio
from collections.abc import Callable
from types import TracebackType

import grpc
import grpc.aio
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.adapters.telemetering import TRACES, records, spans

_LONG_S = 30.0
_LOGS = "opentelemetry.proto.collector.logs.v1.LogsService"
Context = grpc.aio.ServicerContext[bytes, bytes]


class Collector(grpc.GenericRpcHandler):
    """Keeps what it gets.

    Attributes:
        answer: What it answers, as bytes.
        answers: While this is not set it answers nobody.
    """

    def __init__(self) -> None:
        self.answer = b""
        self.answers = asyncio.Event()
        self.answers.set()
        self._got: dict[str, list[bytes]] = {TRACES: [], _LOGS: []}
        self._more = asyncio.Event()
        self._server: grpc.aio.Server | None = None
        self.address = "127.0.0.1:0"

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Both services have the method Export."""
        name, _, method = call.method.strip("/").partition("/")
        if name not in self._got or method != "Export":
            return None

        async def export(message: bytes, _context: Context) -> bytes:
            self._got[name].append(message)
            self._more.set()
            await self.answers.wait()
            return self.answer

        return grpc.unary_unary_rpc_method_handler(export)

    @property
    def spans(self) -> list[Span]:
        return spans(self._got[TRACES])

    @property
    def logs(self) -> list[LogRecord]:
        return records(self._got[_LOGS])

    async def until(self, enough: Callable[["Collector"], bool]) -> None:
        """Wait for what is to come."""
        async with asyncio.timeout(_LONG_S):
            while not enough(self):
                self._more.clear()
                await self._more.wait()

    async def start(self) -> None:
        """Serve, after the first time at the same address."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 1)])
        self._server.add_generic_rpc_handlers((self,))
        port = self._server.add_insecure_port(self.address)
        self.address = f"127.0.0.1:{port}"
        await self._server.start()

    async def stop(self) -> None:
        """Break off all calls and connections."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def __aenter__(self) -> "Collector":
        await self.start()
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.answers.set()
        await self.stop()
