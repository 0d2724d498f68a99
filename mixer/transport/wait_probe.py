"""How long callers wait, measured by being one of them.

Most of the wait cannot be seen from inside: gRPC keeps calls in a queue of its own until the event
loop takes them, one in each turn. So the service calls itself, through its own listener, and takes
the time. It asks only while others do.

What it calls must be served by a generic handler, as the front ends are: methods that are
registered with the server by name, as that of health is, have a queue each, which is short.
"""

import asyncio
import logging
import time
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
        address: Of the service itself.
    """

    def __init__(self, shedder: Shedder, control: WaitControl, address: str) -> None:
        self._shedder = shedder
        self._control = control
        self._interval = min(max(control.threshold / 2, _SHORTEST_S), _LONGEST_S)
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._ask = self._channel.unary_unary(f"/{_SERVICE}/{_METHOD}", _as_is, _as_is)
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
        await self._channel.close(None)

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
        call = asyncio.create_task(self._status())
        try:
            while not (await asyncio.wait((call,), timeout=self._interval))[0]:
                self._tell_at_least(began)
        finally:
            call.cancel()
        self._take_over(began, call.result())

    async def _status(self) -> grpc.StatusCode:
        try:
            await self._ask(b"", timeout=_PATIENCE_S, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK

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
