"""How long callers wait, measured by being one of them.

Most of the wait cannot be seen from inside: gRPC keeps calls in a queue of its own until the event
loop takes them, one in each turn. So the service calls itself, through its own listener, and takes
the time. It asks only while others do. Each listener has a queue: the longest counts.

What it calls must be served by a generic handler, as the front ends are: methods that are
registered with the server by name, as that of health is, have a queue each, which is short.
"""

import asyncio
import logging
import time
from collections.abc import Collection
from contextlib import suppress
from types import TracebackType

import grpc
import grpc.aio

from mixer.shedding import Shedder, WaitControl

_log = logging.getLogger(__name__)

_SERVICE, _METHOD = "mixer.transport.WaitProbe", "Ask"
_PATIENCE_S = 10.0
_SHORTEST_S, _LONGEST_S = 0.01, 1.0
_OPTIONS = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
_FULL = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED)
"""What gRPC answers by itself when too many calls are in progress, or in its queue."""

_MEASURED = (grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED)


def _as_is(data: bytes) -> bytes:
    return data


def handler() -> "grpc.GenericRpcHandler[bytes, bytes]":
    """What is called: it answers at once."""

    async def ask(data: bytes, _context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        return data

    method = grpc.unary_unary_rpc_method_handler(ask)
    return grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: method})


class WaitProbe:
    """Tells the shedder the wait while it is entered.

    Args:
        shedder: Counts what others ask.
        control: Is told.
        addresses: Of the service itself, one for each listener.
    """

    def __init__(self, shedder: Shedder, control: WaitControl, addresses: Collection[str]) -> None:
        self._shedder = shedder
        self._control = control
        self._interval = min(max(control.threshold / 2, _SHORTEST_S), _LONGEST_S)
        self._channels = [grpc.aio.insecure_channel(one, options=_OPTIONS) for one in addresses]
        self._has_failed = False

    async def __aenter__(self) -> "WaitProbe":
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watching.cancel()
        with suppress(asyncio.CancelledError):
            await self._watching
        for channel in self._channels:
            await channel.close(None)

    async def _watch(self) -> None:
        asked = self._shedder.asked
        while True:
            await asyncio.sleep(self._interval)
            if self._shedder.asked == asked:
                self._control.tell(0.0, time.monotonic())
            else:
                asked = self._shedder.asked
                await self._measure()

    async def _measure(self) -> None:
        """Ask once; until the answer is there, callers wait at least as long as this has."""
        began = time.monotonic()
        call = asyncio.create_task(self._worst_status())
        try:
            while not (await asyncio.wait((call,), timeout=self._interval))[0]:
                self._tell_at_least(began)
        finally:
            call.cancel()
        self._take_over(began, call.result())

    async def _worst_status(self) -> grpc.StatusCode:
        """Ask all of them; one that fails takes nothing from what the others tell."""
        found = await asyncio.gather(*map(_status, self._channels))
        telling = (one for statuses in (_FULL, _MEASURED) for one in found if one in statuses)
        return next(telling, found[0])

    def _take_over(self, began: float, status: grpc.StatusCode) -> None:
        if status in _MEASURED:
            now = time.monotonic()
            self._control.tell(now - began, now)
        elif status in _FULL:
            self._tell_at_least(began)
        elif not self._has_failed:
            self._has_failed = True
            _log.warning(
                "the latency cannot be measured, and nothing is shed for it: %s", status.name
            )

    def _tell_at_least(self, began: float) -> None:
        now = time.monotonic()
        self._control.tell(max(now - began, self._control.wait), now)


async def _status(channel: grpc.aio.Channel) -> grpc.StatusCode:
    ask = channel.unary_unary(f"/{_SERVICE}/{_METHOD}", _as_is, _as_is)
    try:
        await ask(b"", timeout=_PATIENCE_S, wait_for_ready=True)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK
