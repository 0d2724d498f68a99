"""The baseline of ext_proc: the same transport, with a handler that does nothing.

``python -m tests.benchmarks.constant_processor ADDRESS``
"""

import sys

import grpc
import grpc.aio
import uvloop
from envoy.service.ext_proc.v3 import external_processor_pb2

from mixer.api import ext_proc
from tests.benchmarks.serving import serve


async def _serve(address: str) -> None:
    response = external_processor_pb2.ProcessingResponse()
    response.request_headers.SetInParent()
    answer = response.SerializeToString()

    async def process(_requests: object, context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        while await context.read() is not grpc.aio.EOF:
            await context.write(answer)

    handler = grpc.stream_stream_rpc_method_handler(process)
    await serve(address, ext_proc.SERVICE, ext_proc.METHOD, handler)


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
