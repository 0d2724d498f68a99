"""gRPC calls, counted and given spans: around the methods, as `mixer.transport.guard` is.

An interceptor of grpc.aio would be asked for each call anew, and would not know how it ended.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter_ns
from typing import Any

import grpc
import grpc.aio

from mixer.telemetry import Calls, RpcCalls
from mixer.telemetry.calls import OK, is_error
from mixer.telemetry.span import Attribute, CallSpan
from mixer.telemetry.trace_context import Find, finder
from mixer.telemetry.tracing import Tracer, enter_call
from mixer.transport.caller import address_of
from mixer.transport.guard import Method, remade

Context = grpc.aio.ServicerContext[Any, Any]
_Serve = Callable[[Any, Context], Awaitable[Any]]

_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}
_UNKNOWN = grpc.StatusCode.UNKNOWN.name
_CANCELLED = grpc.StatusCode.CANCELLED.name
_LATE = grpc.StatusCode.DEADLINE_EXCEEDED.name


class Measured(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in stubs only
    """The handler of a service whose calls are counted.

    Args:
        inner: The handler itself; its methods are no generators.
        calls: Where they are counted.
        tracer: Makes spans of them; None makes none.
        is_endless: Whether the calls never end: these have no spans, and what is decided in them
            is of no trace.
    """

    def __init__(
        self,
        inner: "grpc.GenericRpcHandler[Any, Any]",
        calls: Calls,
        tracer: Tracer | None,
        *,
        is_endless: bool = False,
    ) -> None:
        self._inner = inner
        self._calls = calls
        self._tracer = None if is_endless else tracer
        self._is_endless = is_endless
        self._methods: dict[str, Method] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Method | None":
        """See `grpc.GenericRpcHandler`."""
        name = handler_call_details.method
        found = self._methods.get(name)
        if found is None and (inner := self._inner.service(handler_call_details)) is not None:
            counts = self._calls.of(name.removeprefix("/"))
            found = remade(inner, lambda call: self._measured(call, counts))
            self._methods[name] = found
        return found

    def _measured(self, call: _Serve, calls: RpcCalls) -> _Serve:
        tracer, is_endless = self._tracer, self._is_endless

        async def serve(request: Any, context: Context) -> Any:
            began = perf_counter_ns()
            calls.in_progress += 1
            if not is_endless:
                enter_call(partial(_headers_of, context))
            span = None if tracer is None else _begin(tracer, calls.method, context)
            status = OK
            try:
                return await call(request, context)
            except BaseException as error:
                status = status_of(error, context)
                raise
            finally:
                calls.in_progress -= 1
                calls.ended(status, perf_counter_ns() - began)
                if tracer is not None and span is not None:
                    _end(tracer, span, context, status)

        return serve


def _headers_of(context: Context) -> Find:
    metadata = context.invocation_metadata() or ()
    return finder((k, v) for k, v in metadata if isinstance(v, str))


def _begin(tracer: Tracer, method: str, context: Context) -> CallSpan | None:
    span = tracer.begin(method, _headers_of(context))
    if span is not None:
        tracer.enter(span)
    return span


def _end(tracer: Tracer, span: CallSpan, context: Context, status: str) -> None:
    attributes = span_attributes(span.name, status, address_of(context.peer()))
    tracer.end(span, attributes, error=is_error(status))


def span_attributes(method: str, status: str, peer: str) -> dict[str, Attribute]:
    """What the span of a call tells of it.

    Args:
        method: Service and method.
        status: The name of the status.
        peer: The caller's address.
    """
    attributes: dict[str, Attribute] = {
        "rpc.system.name": "grpc",
        "rpc.method": method,
        "rpc.response.status_code": status,
        "network.peer.address": peer,
    }
    return attributes | {"error.type": status} if is_error(status) else attributes


def status_of(error: BaseException, context: Context) -> str:
    """The name of the status with which a call ends that raised."""
    if isinstance(error, grpc.aio.AbortError):
        return _NAMES.get(_number(context.code()), _UNKNOWN)
    if isinstance(error, asyncio.CancelledError):
        left = context.time_remaining()
        return _LATE if left is not None and left <= 0 else _CANCELLED
    return _UNKNOWN


def _number(code: Any) -> int:
    number: int = code.value[0] if isinstance(code, grpc.StatusCode) else code
    return number
