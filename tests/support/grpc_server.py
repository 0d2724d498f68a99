"""A real gRPC server whose methods answer in every way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

BIG = 5 << 20

Context = grpc.aio.ServicerContext[bytes, bytes]


async def _echo(request: bytes, context: Context) -> bytes:
    await context.send_initial_metadata((("x-init", "1"), ("x-init", "2"), ("x-bin", b"\0\xff\1")))
    context.set_trailing_metadata((("x-trail", "t"), ("t-bin", b"\0\xfe")))
    return b"re:" + request


async def _metadata(_request: bytes, context: Context) -> bytes:
    return repr([tuple(pair) for pair in context.invocation_metadata() or ()]).encode()


async def _big(_request: bytes, _context: Context) -> bytes:
    return b"x" * BIG


async def _fail(_request: bytes, context: Context) -> bytes:
    context.set_trailing_metadata((("x-trail", "t"),))
    await context.abort(grpc.StatusCode.NOT_FOUND, "nö 100%\nx")


async def _slow(_request: bytes, _context: Context) -> bytes:
    await asyncio.Event().wait()
    return b""


async def _every(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
    await context.send_initial_metadata((("x-init", "1"),))
    context.set_trailing_metadata((("x-trail", "t"), ("t-bin", b"\0\xfe")))
    async for request in requests:
        yield b"re:" + request


async def _every_fails(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
    async for request in requests:
        yield b"re:" + request
        await context.abort(grpc.StatusCode.INTERNAL, "oh no")


async def _refuses(_requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
    context.set_trailing_metadata((("x-trail", "t"),))
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, "")
    yield b""


async def _nothing(_requests: AsyncIterator[bytes], _context: Context) -> AsyncIterator[bytes]:
    for none in ():
        yield none


async def _early(_requests: AsyncIterator[bytes], _context: Context) -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


_CALLS: dict[str, Any] = {
    "echo": _echo, "metadata": _metadata, "big": _big, "fail": _fail, "slow": _slow,
}  # fmt: skip
_STREAMS: dict[str, Any] = {
    "every": _every, "every_fails": _every_fails, "refuses": _refuses, "nothing": _nothing,
    "early": _early,
}  # fmt: skip


class _Methods(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> Any:
        name = details.method.rpartition("/")[2]
        if name in _CALLS:
            return grpc.unary_unary_rpc_method_handler(_CALLS[name])
        if name in _STREAMS:
            return grpc.stream_stream_rpc_method_handler(_STREAMS[name])
        return None


@asynccontextmanager
async def grpc_server(
    credentials: grpc.ServerCredentials | None = None, address: str = "127.0.0.1:0"
) -> AsyncIterator[str]:
    """Serve on a free port, and tell the address."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Methods(),))
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)
