"""The baseline of ext_proc: the same transport, with a handler that does nothing.

``python -m tests.benchmarks.constant_processor ADDRESS``
"""

import asyncio
import signal
import sys

import grpc
import grpc.aio
import uvloop
from envoy.service.ext_proc.v3 import external_processor_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from mixer.api import ext_proc


async def _serve(address: str) -> None:
    response = external_processor_pb2.ProcessingResponse()
    response.request_headers.SetInParent()
    answer = response.SerializeToString()

    async def process(_requests: object, context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        while await context.read() is not grpc.aio.EOF:
            await context.write(answer)

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = grpc.aio.server()
    methods = {ext_proc.METHOD: grpc.stream_stream_rpc_method_handler(process)}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(ext_proc.SERVICE, methods),)
    )
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(address)
    await server.start()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    await stop.wait()
    await server.stop(None)


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
