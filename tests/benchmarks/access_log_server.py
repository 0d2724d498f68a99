"""The baseline of access logs: the same transport, with a handler that does next to nothing.

``python -m tests.benchmarks.access_log_server read|parse ADDRESS``
"""

import sys
from collections.abc import AsyncIterator

import grpc
import uvloop
from envoy.service.accesslog.v3 import als_pb2

from mixer.api import access_log
from tests.benchmarks.serving import serve


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
    handler = grpc.stream_unary_rpc_method_handler({"read": _read, "parse": _parse}[what])
    await serve(address, access_log.SERVICE, access_log.METHOD, handler)


if __name__ == "__main__":
    uvloop.run(_serve(*sys.argv[1:]))
