"""Delivers reports on an event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from weakref import finalize

import grpc.aio

from mixer.attributes import Value
from mixer.client.channel import CLOSED, failure_of
from mixer.client.ownership import FORKED
from mixer.client.report_batch import ReportBatch
from mixer.client.reports import NOT_CLOSED, Reports

ReportCall = Callable[..., Awaitable[Any]]
"""Takes the request and, by name, the timeout in seconds."""


class AsyncReportSender:
    """Sends what was accepted; belongs to one event loop.

    Args:
        reports: What was accepted.
        call: Of gRPC.
        timeout: Seconds for the server to answer.
    """

    def __init__(
        self,
        reports: Reports,
        call: ReportCall,
        timeout: float,
    ) -> None:
        self._reports = reports
        self._call = call
        self._timeout = timeout
        self._changed = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._unusable = ""
        self._end = finalize(self, reports.give_up, NOT_CLOSED)

    async def add(self, attributes: Mapping[str, Value], seconds: float) -> None:
        """See `AsyncMixerClient.report`."""
        if not self._reports.has_room():
            await self._until(lambda: bool(self._unusable) or self._reports.has_room(), seconds)
        if self._unusable:
            raise RuntimeError(self._unusable)
        if self._reports.add(attributes):
            self._notify()
        if self._runner is None:
            self._runner = asyncio.create_task(self._run(), name="mixer-client-reports")

    async def flush(self, seconds: float) -> int:
        """See `AsyncMixerClient.flush`."""
        self._reports.seal()
        self._notify()
        await self._until(lambda: not self._reports.pending, seconds)
        return self._reports.pending

    async def close(self, seconds: float) -> int:
        """See `AsyncMixerClient.close`."""
        self._unusable = CLOSED
        await self.flush(seconds)
        self._end.detach()
        lost = self._reports.give_up(CLOSED)
        self._notify()
        tasks = [*self._calls, *([self._runner] if self._runner else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return lost

    def disown(self) -> None:
        """See `Owned`: what waits is delivered by the process that accepted it."""
        self._unusable = FORKED
        self._end.detach()
        self._reports.forget()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _until(self, holds: Callable[[], bool], seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    await self._changed.wait()
        except TimeoutError:
            pass

    async def _run(self) -> None:
        while True:
            changed = self._changed
            while batch := self._reports.next():
                call = asyncio.create_task(self._deliver(batch))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
            try:
                async with asyncio.timeout(self._reports.wait()):
                    await changed.wait()
            except TimeoutError:
                pass

    async def _deliver(self, batch: ReportBatch) -> None:
        try:
            await self._call(batch.request, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            self._reports.failed(batch, failure_of(error))
        else:
            self._reports.delivered(batch)
        self._notify()
