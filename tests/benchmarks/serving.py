"""The baselines' server: health, and one handler."""

import asyncio
import signal
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


async def serve(address: str, service: str, method: str, handler: Any) -> None:
    """Serve until SIGTERM comes.

    Args:
        address: As gRPC takes it.
        service: The full name.
        method: The name in it.
        handler: One of gRPC's method handlers.
    """
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = grpc.aio.server()
    handlers = grpc.method_handlers_generic_handler(service, {method: handler})
    server.add_generic_rpc_handlers((handlers,))
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(address)
    await server.start()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    await stop.wait()
    await server.stop(None)
