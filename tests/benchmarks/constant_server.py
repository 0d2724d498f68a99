"""The baseline: the same transport, with a handler that answers a constant.

``python -m tests.benchmarks.constant_server ADDRESS``
"""

import asyncio
import signal
import sys

import grpc
import grpc.aio
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from mixer.api import ext_authz
from mixer.engine import Decision, Verdict


async def _serve(address: str) -> None:
    answer = ext_authz.encode(Decision(Verdict.ALLOW))

    async def check(_data: bytes, _context: object) -> bytes:
        return answer

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(check)
    methods = {ext_authz.METHOD: method}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(ext_authz.SERVICE, methods),)
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
