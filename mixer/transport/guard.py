"""A service for the callers on a list only.

Around the method and not an interceptor: who calls is known when a call is served, and listeners
without a list pay nothing.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
import grpc.aio

from mixer.transport.allow_list import NOT_ALLOWED, AllowList
from mixer.transport.identity import identity_in

Context = grpc.aio.ServicerContext[Any, Any]
Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
"""What serves one method."""

_Serve = Callable[[Any, Context], Awaitable[Any]]

_MAKERS: dict[tuple[bool, bool], "Callable[..., Method]"] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class Guarded(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in stubs only
    """The handler of a service, for callers on a list.

    Args:
        inner: The handler for all callers; its methods take and give bytes.
        callers: The list.
        denials: What others get, by method: a message, where the protocol has one for it;
            elsewhere PERMISSION_DENIED.
    """

    def __init__(
        self,
        inner: "grpc.GenericRpcHandler[Any, Any]",
        callers: AllowList,
        denials: Mapping[str, bytes],
    ) -> None:
        self._inner = inner
        self._callers = callers
        self._denials = denials
        self._methods: dict[str, Method] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Method | None":
        """See `grpc.GenericRpcHandler`."""
        name = handler_call_details.method
        found = self._methods.get(name)
        if found is None and (inner := self._inner.service(handler_call_details)) is not None:
            found = _guarded(inner, self._callers, self._denials.get(name.rpartition("/")[2]))
            self._methods[name] = found
        return found


def remade(inner: Method, change: Callable[[Callable[[Any, Context], Any]], Any]) -> Method:
    """A method of the same kind, served by what `change` makes of it."""
    kind = (inner.request_streaming, inner.response_streaming)
    calls: Any = (inner.unary_unary, inner.unary_stream, inner.stream_unary, inner.stream_stream)
    call: Callable[[Any, Context], Any] = next(filter(None, calls))
    return _MAKERS[kind](change(call))


def _guarded(inner: Method, callers: AllowList, denial: bytes | None) -> Method:
    guard = _guarded_stream if inner.response_streaming else _guarded_call
    return remade(inner, lambda call: guard(call, callers, denial))


def _guarded_call(call: _Serve, callers: AllowList, denial: bytes | None) -> _Serve:
    async def serve(request: Any, context: Context) -> Any:
        if callers.admits(identity_in(context)):
            return await call(request, context)
        return await _denied(context, denial)

    return serve


def _guarded_stream(
    call: Callable[[Any, Context], Any], callers: AllowList, denial: bytes | None
) -> _Serve:
    async def serve(request: Any, context: Context) -> None:
        if not callers.admits(identity_in(context)):
            await _deny_stream(request, context, denial)
            return
        answers = call(request, context)
        if not inspect.isasyncgen(answers):
            await answers
            return
        async with aclosing(answers):
            async for answer in answers:
                await context.write(answer)

    return serve


async def _denied(context: Context, denial: bytes | None) -> bytes:
    if denial is None:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, NOT_ALLOWED)
    return denial


async def _deny_stream(request: Any, context: Context, denial: bytes | None) -> None:
    """Deny once there is something to deny: before, a proxy may not expect an answer."""
    denial = await _denied(context, denial)
    if not isinstance(request, bytes):
        await anext(aiter(request), None)
    await context.write(denial)
    # An end with OK would tell some proxies to go on by themselves.
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, NOT_ALLOWED)
