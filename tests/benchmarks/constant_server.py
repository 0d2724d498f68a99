"""The baseline: the same transport, with a handler that answers a constant.

``python -m tests.benchmarks.constant_server ADDRESS``
"""

import sys

import grpc
import uvloop

from mixer.api import ext_authz
from mixer.engine import Decision, Verdict
from tests.benchmarks.serving import serve


async def _serve(address: str) -> None:
    answer = ext_authz.encode(Decision(Verdict.ALLOW))

    async def check(_data: bytes, _context: object) -> bytes:
        return answer

    handler = grpc.unary_unary_rpc_method_handler(check)
    await serve(address, ext_authz.SERVICE, ext_authz.METHOD, handler)


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
