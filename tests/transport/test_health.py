"""Health as other services ask for it."""

import asyncio

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mixer.transport.health import Health


async def is_watching(stub: health_pb2_grpc.HealthStub) -> bool:
    """Whether another watch begins; it ends at once."""
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=""), timeout=60)
    try:
        return bool(await watch.read())
    except grpc.aio.AioRpcError:
        return False
    finally:
        watch.cancel()


async def test_watches() -> None:
    """One too many is refused, and those that end make room; checks are answered all the while."""
    health, server = Health(max_watches=2), grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await health.serving()
    asked = health_pb2.HealthCheckRequest(service="")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(asked, timeout=60) for _ in range(2)]
        for watch in watches:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        assert await stub.Watch(asked, timeout=60).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        answer = await stub.Check(asked, timeout=60)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        watches[0].cancel()
        async with asyncio.timeout(60):
            while not await is_watching(stub):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    await server.stop(0)
