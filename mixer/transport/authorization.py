"""envoy.service.auth.v3.Authorization on grpc.aio."""

from typing import NoReturn

import grpc
import grpc.aio

from mixer.api import ext_authz
from mixer.engine import Engine


def handler(engine: Engine) -> "grpc.GenericRpcHandler[bytes, bytes]":
    """The service's handler: bytes in, bytes out, and a plain function call between them."""

    async def check(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        try:
            request = ext_authz.decode(data)
        except ext_authz.MalformedRequestError as error:
            await _refuse(context, error)
        return ext_authz.no_http() if request is None else ext_authz.encode(engine.decide(request))

    method = grpc.unary_unary_rpc_method_handler(check)
    return grpc.method_handlers_generic_handler(ext_authz.SERVICE, {ext_authz.METHOD: method})


async def _refuse(context: grpc.aio.ServicerContext[bytes, bytes], error: Exception) -> NoReturn:
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
