"""A client for an event loop."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import grpc
import grpc.aio

from mixer.attributes import Value
from mixer.client.async_report_sender import AsyncReportSender
from mixer.client.channel import CHECK, CLOSED, OPTIONS, REPORT, failure_of, secured
from mixer.client.checks import Checks, wanted
from mixer.client.effects import Effect, Exchange, Reply, Send, Start
from mixer.client.metrics import ClientMetrics
from mixer.client.ownership import FORKED, belongs_here
from mixer.client.reports import Reports
from mixer.client.results import CANCELLED, CheckResult, Quota
from mixer.client.retry import Failure
from mixer.client.settings import ClientSettings
from mixer.wire import mixer_v1_pb2 as pb


class AsyncMixerClient:
    """Asks a server of Mixer's, and tells it; belongs to the event loop that it is made in.

    Args:
        settings: Where the server is, and all else.
        credentials: Of TLS, in place of those that follow from the settings.

    Raises:
        ValueError: A file of the settings' TLS cannot be used.
    """

    def __init__(
        self, settings: ClientSettings, credentials: grpc.ChannelCredentials | None = None
    ) -> None:
        self._timeout = settings.timeout
        self._metrics = ClientMetrics()
        self._checks = Checks(settings, self._metrics)
        secure, options = secured(settings.tls, credentials)
        self._channel = (
            grpc.aio.secure_channel(settings.address, secure, (*OPTIONS, *options))
            if secure
            else grpc.aio.insecure_channel(settings.address, OPTIONS)
        )
        self._check = self._channel.unary_unary(
            CHECK, pb.CheckRequest.SerializeToString, pb.CheckResponse.FromString
        )
        report = self._channel.unary_unary(
            REPORT, pb.ReportRequest.SerializeToString, pb.ReportResponse.FromString
        )
        reports = Reports(settings, self._metrics, self._checks.words)
        self._reports = AsyncReportSender(reports, report, settings.report.timeout)
        self._meanwhile: set[asyncio.Task[CheckResult]] = set()
        self._unusable = ""
        belongs_here(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def check(
        self,
        attributes: Mapping[str, Value],
        quotas: Mapping[str, int | Quota] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # of the call, retries included
    ) -> CheckResult:
        """Ask whether a request may go on, and for quota.

        Args:
            attributes: Of the request, by name.
            quotas: What it wants, by name: an amount, or more about it.
            timeout: Seconds, instead of those of the settings.

        Returns:
            The answer; where the server gives none, what the network fail policy says.

        Raises:
            TypeError: A value has no type of an attribute.
            ValueError: A number is out of its bounds, or a text is not Unicode.
            RuntimeError: The client is closed, or of another process.
        """
        if self._unusable:
            raise RuntimeError(self._unusable)
        asked = wanted(quotas) if quotas else {}
        kept = self._checks.kept(attributes)
        if kept is not None and (not asked or kept.code):
            return kept
        seconds = self._timeout if timeout is None else timeout
        if kept is None:
            return await self._drive(self._checks.ask(attributes, asked, seconds))
        return await self._drive(self._checks.ask_quotas(kept, attributes, asked, seconds))

    async def report(self, attributes: Mapping[str, Value], timeout: float = 0.0) -> None:  # noqa: ASYNC109
        """Accept a record of a request that is over; it is delivered soon.

        Args:
            attributes: Of the request, by name.
            timeout: Seconds to wait for room.

        Raises:
            ReportBufferFullError: There was no room: the record was not accepted.
            TypeError: A value has no type of an attribute.
            ValueError: A number is out of its bounds, a text is not Unicode, or the record takes
                more than 1016 KiB.
            RuntimeError: The client is closed, or of another process.
        """
        await self._reports.add(attributes, timeout)

    async def flush(self, timeout: float) -> int:  # noqa: ASYNC109
        """Send all records that were accepted.

        Args:
            timeout: Seconds to wait until they are delivered.

        Returns:
            How many are not delivered yet; they are tried further.
        """
        return await self._reports.flush(timeout)

    def metrics(self) -> ClientMetrics:
        """What was counted until now."""
        self._checks.measure()
        return self._metrics.copy()

    async def close(self, timeout: float | None = None) -> int:  # noqa: ASYNC109
        """Deliver what was accepted, and disconnect; calls of other tasks fail.

        Args:
            timeout: Seconds for that; unless given, those of a check.

        Returns:
            How many records were given up since the client began.
        """
        if self._unusable == FORKED:
            return 0
        lost = await self._reports.close(self._timeout if timeout is None else timeout)
        self._unusable = CLOSED
        for task in tuple(self._meanwhile):
            task.cancel()
        await asyncio.gather(*self._meanwhile, return_exceptions=True)
        await self._channel.close(None)
        return lost

    def disown(self) -> None:
        """See `Owned`."""
        self._unusable = FORKED
        self._reports.disown()

    async def _drive(self, exchange: Exchange) -> CheckResult:
        try:
            effect = _step(exchange, None)
            while not isinstance(effect, CheckResult):
                effect = _step(exchange, await self._done(effect))
            return effect
        finally:
            exchange.close()

    async def _done(self, effect: Effect) -> Reply:
        if isinstance(effect, Send):
            return await self._sent(effect)
        if isinstance(effect, Start):
            task = asyncio.create_task(self._drive(effect.exchange))
            self._meanwhile.add(task)
            task.add_done_callback(self._meanwhile.discard)
        else:
            await asyncio.sleep(effect.seconds)
        return None

    async def _sent(self, effect: Send) -> Reply:
        if self._unusable:
            raise RuntimeError(self._unusable)
        try:
            response: pb.CheckResponse = await self._check(effect.request, timeout=effect.timeout)
            return response
        except grpc.aio.AioRpcError as error:
            return failure_of(error)
        except asyncio.CancelledError:
            # That of the call, when the channel closes, looks like that of the task.
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            return Failure(CANCELLED, CLOSED)


def _step(exchange: Exchange, reply: Reply) -> Effect | CheckResult:
    try:
        return exchange.send(reply)
    except StopIteration as end:
        result: CheckResult = end.value
        return result
