"""The interceptor."""

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from mixer.attributes import Timestamp
from mixer.middleware.grpc_aio.context import DecidedContext
from mixer.middleware.grpc_aio.metadata import pairs_of
from mixer.middleware.grpc_aio.peers import Context, is_secure, principal_of, source_of
from mixer.middleware.placement import Placement
from mixer.middleware.ports import Decider, UntellableError
from mixer.middleware.values import Ended, Incoming, Workload

_log = logging.getLogger(__name__)

_CANCELLED, _UNKNOWN = 1, 2

Handler = Any
"""``grpc.RpcMethodHandler``."""
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]


class MixerInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # not at run time
    """Has calls decided about before the methods of a server of grpc.aio get them.

    Its methods must be coroutines or asynchronous generators. What decides starts with the first
    call, or before where this is entered; left, it is stopped.

    Args:
        decider: Says where calls are decided.
        service: The name of what the server is, ``destination.service``.
        labels: Of it, ``destination.labels``.
    """

    def __init__(
        self, decider: Decider, *, service: str = "", labels: Mapping[str, str] | None = None
    ) -> None:
        self._placement = Placement(decider)
        self._workload = Workload(service, dict(labels or {}))

    async def __aenter__(self) -> Self:
        await self._placement.running()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._placement.close()

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        """See `grpc.aio.ServerInterceptor.intercept_service`.

        Raises:
            TypeError: The method is a plain function, which would hold up all others.
        """
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        serve, make = _served(handler)
        if not (inspect.iscoroutinefunction(serve) or inspect.isasyncgenfunction(serve)):
            raise TypeError(f"{handler_call_details.method} is not asynchronous")
        work = _streaming(serve) if inspect.isasyncgenfunction(serve) else serve

        async def decided(request: Any, context: Context) -> Any:
            async with self._deciding(handler_call_details.method, context) as own:
                response = await work(request, own)
                await own.finish()
                return response

        return make(decided, handler.request_deserializer, handler.response_serializer)

    @asynccontextmanager
    async def _deciding(self, method: str, context: Context) -> AsyncIterator[DecidedContext]:
        """Decide about a call, which ends here where it may not go on; then see what becomes of it.

        Whatever fails here before the method's turn ends the call as well.
        """
        began = time.monotonic_ns()
        try:
            running = await self._placement.running()
            incoming = self._incoming(method, context)
            exchange = running.open(incoming)
        except UntellableError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except Exception:
            _log.exception("a call could not be decided about")
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the call could not be decided")
        ended = Ended()
        own = DecidedContext(context, exchange, incoming, ended)
        try:
            await _decide(own, context)
            yield own
        except grpc.aio.AbortError:
            raise
        except BaseException as error:
            is_cancelled = isinstance(error, asyncio.CancelledError)
            ended.grpc_status = _CANCELLED if is_cancelled else _UNKNOWN
            raise
        finally:
            ended.duration = time.monotonic_ns() - began
            await exchange.close(ended)

    def _incoming(self, method: str, context: Context) -> Incoming:
        secure = is_secure(context)
        headers = [
            (b":method", b"POST"),
            (b":path", method.encode()),
            (b":scheme", b"https" if secure else b"http"),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
            *pairs_of(context.invocation_metadata() or ()),
        ]
        return Incoming(
            headers=headers,
            time=Timestamp(time.time_ns()),
            protocol="HTTP/2",
            workload=self._workload,
            source=source_of(context),
            principal=principal_of(context) if secure else None,
            mtls=secure and bool(context.peer_identities()),
            seconds=context.time_remaining(),
        )


async def _decide(own: DecidedContext, context: Context) -> None:
    try:
        await own.decide()
    except grpc.aio.AbortError:
        raise
    except Exception:
        _log.exception("a call could not be decided about")
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the call could not be decided")


def _served(handler: Handler) -> tuple[Callable[..., Any], Callable[..., Handler]]:
    """The method of a handler, and what makes a handler of that kind."""
    if handler.request_streaming and handler.response_streaming:
        return handler.stream_stream, grpc.stream_stream_rpc_method_handler
    if handler.request_streaming:
        return handler.stream_unary, grpc.stream_unary_rpc_method_handler
    if handler.response_streaming:
        return handler.unary_stream, grpc.unary_stream_rpc_method_handler
    return handler.unary_unary, grpc.unary_unary_rpc_method_handler


def _streaming(serve: Callable[..., Any]) -> Callable[[Any, DecidedContext], Awaitable[None]]:
    """A method that gives its messages, as one that writes them."""

    async def work(request: Any, context: DecidedContext) -> None:
        async with aclosing(serve(request, context)) as messages:
            async for message in messages:
                await context.write(message)

    return work
