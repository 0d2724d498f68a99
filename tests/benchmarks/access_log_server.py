"""The baseline of access logs: the same transport, with a handler that does next to nothing.

``python -m tests.benchmarks.access_log_server read|parse ADDRESS``
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import uvloop
from envoy.service.accesslog.v3 import als_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from mixer.api import access_log


async def _read(messages: AsyncIterator[bytes], _context: object) -> bytes:
    async for _ in messages:
        pass
    return b""


async def _parse(messages: AsyncIterator[bytes], _context: object) -> bytes:
    async for data in messages:
        for _ in als_pb2.StreamAccessLogsMessage.FromString(data).http_logs.log_entry:
            pass
    return b""


async def _serve(what: str, address: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = grpc.aio.server()
    method = grpc.stream_unary_rpc_method_handler({"read": _read, "parse": _parse}[what])
    methods = {access_log.METHOD: method}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(access_log.SERVICE, methods),)
    )
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(address)
    await server.start()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    await stop.wait()
    await server.stop(None)


if __name__ == "__main__":
    uvloop.run(_serve(*sys.argv[1:]))
