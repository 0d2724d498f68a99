"""Streams that their callers never end, and whose messages nobody acknowledges.

A message is read when the one before it was worked on, so that a caller who sends faster is slowed
down by gRPC's flow control. With `work`, what was read is worked on even where the caller goes away
meanwhile. At the stop of the service a stream ends once nothing more has come for a moment.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio

Context = grpc.aio.ServicerContext[bytes, bytes]

MOST = 512
"""Streams at once, unless `EndlessStreams.most` is set."""

_MOMENT_S = 0.04
_MOMENTS = 5
"""Several, so that one in which the whole process stood still is not all of them."""


class EndlessStreams:
    """All of them in one front end; belongs to one event loop.

    Attributes:
        most: How many `opened` lets in at once, those included whose callers are gone and whose
            last message is still being worked on.
    """

    def __init__(self) -> None:
        self.most = MOST
        self._held = 0
        self._works: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._last = 0.0

    @property
    def stopping(self) -> bool:
        """Whether the service stops: nothing is to be waited for any more."""
        return self._stopping.is_set()

    @contextmanager
    def opened(self) -> Iterator[bool]:
        """Count a stream while it is there; whether there may be one more."""
        may_open = self._held < self.most
        self._held += may_open
        try:
            yield may_open
        finally:
            self._held -= may_open

    async def messages(self, context: Context) -> AsyncGenerator[bytes, None]:
        """What a caller sends, until it ends the stream or the service stops."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        read: asyncio.Future[Any] | None = None
        try:
            while not self._is_late():
                read = asyncio.ensure_future(context.read())
                await asyncio.wait((read, stopping), return_when=asyncio.FIRST_COMPLETED)
                for _ in range(_MOMENTS):
                    if not read.done():
                        await asyncio.wait((read,), timeout=_MOMENT_S)
                if not read.done() or (data := read.result()) is grpc.aio.EOF:  # type: ignore[attr-defined]  # not in stubs
                    return
                yield data
        finally:
            stopping.cancel()
            if read is not None:
                read.cancel()

    def _is_late(self) -> bool:
        return self.stopping and asyncio.get_running_loop().time() > self._last

    async def work(self, work: Coroutine[Any, Any, None]) -> None:
        """Work on a message, to its end even where the stream is cancelled meanwhile."""
        task = asyncio.ensure_future(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                self._held += 1
                task.add_done_callback(self._left_alone)
            raise

    def _left_alone(self, task: asyncio.Task[None]) -> None:
        """The work of a stream that is gone is over; nobody hears how it went."""
        self._held -= 1
        if not task.cancelled():
            task.exception()

    async def pause(self, seconds: float) -> None:
        """Wait, unless the service stops."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    def stop(self, seconds: float) -> None:
        """Have every stream end, the busiest ones after so many seconds."""
        self._last = asyncio.get_running_loop().time() + seconds
        self._stopping.set()

    async def close(self) -> None:
        """Give up what is not worked on yet; there are no streams any more."""
        for task in self._works:
            task.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)


class EndlessHandler(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """The handler of a service with such streams, which whoever stops the server has to know of.

    Args:
        handler: Of its calls.
        streams: Those that it has.
    """

    def __init__(
        self, handler: "grpc.GenericRpcHandler[bytes, bytes]", streams: EndlessStreams
    ) -> None:
        self._handler = handler
        self.streams = streams

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        """See `grpc.GenericRpcHandler`."""
        return self._handler.service(handler_call_details)
