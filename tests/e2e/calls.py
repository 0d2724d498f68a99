"""A gRPC client of the service, as a proxy would be one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
from envoy.service.auth.v3 import external_auth_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

CHECK = "/envoy.service.auth.v3.Authorization/Check"
TIMEOUT_S = 30.0

# Each channel has connections of its own.
_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),
)


@asynccontextmanager
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A channel with a connection of its own."""
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as opened:
        yield opened


def check_request(path: str = "/", **headers: str) -> bytes:
    """A CheckRequest about a GET; underscores in the names of headers stand for hyphens."""
    request = external_auth_pb2.CheckRequest()
    http = request.attributes.request.http
    http.method, http.path, http.host, http.scheme = "GET", path, "test", "http"
    for name, value in headers.items():
        http.headers[name.replace("_", "-")] = value
    return bytes(request.SerializeToString())


def call(
    opened: grpc.aio.Channel, request: bytes, method: str = CHECK
) -> grpc.aio.UnaryUnaryCall[bytes, bytes]:
    """Starts a call with any bytes."""
    return opened.unary_unary(method)(request, timeout=TIMEOUT_S, wait_for_ready=True)


async def check(opened: grpc.aio.Channel, request: bytes) -> external_auth_pb2.CheckResponse:
    """What the service answers."""
    return external_auth_pb2.CheckResponse.FromString(await call(opened, request))


async def health(address: str, service: str = "") -> str:
    """The health of a service, in words."""
    async with channel(address) as opened:
        answer = await health_pb2_grpc.HealthStub(opened).Check(
            health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S
        )
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
