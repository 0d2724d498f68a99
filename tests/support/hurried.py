"""Callers with a deadline, for tests that do not wait until it passes."""

from typing import Any

import grpc


class _Hurried:
    """The context of a call whose caller waits no longer."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def time_remaining(self) -> float:
        """See `grpc.aio.ServicerContext`."""
        return 0.0


class Hurried(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in stubs only
    """A handler of streams, as if each call came with a deadline that is about to pass.

    Args:
        inner: The handler.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """See `grpc.GenericRpcHandler`."""
        method = self._inner.service(handler_call_details)

        async def serve(requests: Any, context: Any) -> None:
            await method.stream_stream(requests, _Hurried(context))

        return grpc.stream_stream_rpc_method_handler(serve)
