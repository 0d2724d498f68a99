"""A client for threads."""

import time
from collections.abc import Mapping
from threading import Lock
from types import TracebackType
from typing import Self

import grpc

from mixer.attributes import Value
from mixer.client.channel import CHECK, CLOSED, OPTIONS, REPORT, failure_of, reply_of, secured
from mixer.client.checks import Checks, wanted
from mixer.client.effects import Effect, Exchange, Reply, Send, Start
from mixer.client.metrics import ClientMetrics
from mixer.client.ownership import FORKED, belongs_here
from mixer.client.report_sender import ReportSender
from mixer.client.reports import Reports
from mixer.client.results import CheckResult, Quota
from mixer.client.settings import ClientSettings
from mixer.wire import mixer_v1_pb2 as pb


class MixerClient:
    """Asks a server of Mixer's, and tells it; any number of threads may use it at the same time.

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
        self._lock = Lock()
        self._metrics = ClientMetrics()
        self._checks = Checks(settings, self._metrics)
        secure, options = secured(settings.tls, credentials)
        self._channel = (
            grpc.secure_channel(settings.address, secure, (*OPTIONS, *options))
            if secure
            else grpc.insecure_channel(settings.address, OPTIONS)
        )
        self._check = self._channel.unary_unary(
            CHECK, pb.CheckRequest.SerializeToString, pb.CheckResponse.FromString
        )
        report = self._channel.unary_unary(
            REPORT, pb.ReportRequest.SerializeToString, pb.ReportResponse.FromString
        )
        reports = Reports(settings, self._metrics, self._checks.words)
        self._reports = ReportSender(reports, report, settings.report.timeout)
        self._unusable = ""
        belongs_here(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def check(
        self,
        attributes: Mapping[str, Value],
        quotas: Mapping[str, int | Quota] | None = None,
        timeout: float | None = None,
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
        asked = wanted(quotas) if quotas else {}
        with self._lock:
            if self._unusable:
                raise RuntimeError(self._unusable)
            kept = self._checks.kept(attributes)
        if kept is not None and (not asked or kept.code):
            return kept
        seconds = self._timeout if timeout is None else timeout
        if kept is None:
            return self._drive(self._checks.ask(attributes, asked, seconds))
        return self._drive(self._checks.ask_quotas(kept, attributes, asked, seconds))

    def report(self, attributes: Mapping[str, Value], timeout: float = 0.0) -> None:
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
        self._reports.add(attributes, timeout)

    def flush(self, timeout: float) -> int:
        """Send all records that were accepted.

        Args:
            timeout: Seconds to wait until they are delivered.

        Returns:
            How many are not delivered yet; they are tried further.
        """
        return self._reports.flush(timeout)

    def metrics(self) -> ClientMetrics:
        """What was counted until now."""
        with self._lock:
            self._checks.measure()
            return self._metrics.copy()

    def close(self, timeout: float | None = None) -> int:
        """Deliver what was accepted, and disconnect; calls of other threads fail.

        Args:
            timeout: Seconds for that; unless given, those of a check.

        Returns:
            How many records were given up since the client began.
        """
        if self._unusable == FORKED:
            return 0
        lost = self._reports.close(self._timeout if timeout is None else timeout)
        with self._lock:
            self._unusable = CLOSED
        self._channel.close()
        return lost

    def disown(self) -> None:
        """See `Owned`; a lock may have been held by a thread that is not in this process."""
        self._lock = Lock()
        self._unusable = FORKED
        self._reports.disown()

    def _drive(self, exchange: Exchange) -> CheckResult:
        try:
            effect = self._step(exchange, None)
            while not isinstance(effect, CheckResult):
                effect = self._step(exchange, self._done(effect))
            return effect
        finally:
            with self._lock:
                exchange.close()

    def _step(self, exchange: Exchange, reply: Reply) -> Effect | CheckResult:
        with self._lock:
            try:
                return exchange.send(reply)
            except StopIteration as end:
                result: CheckResult = end.value
                return result

    def _done(self, effect: Effect) -> Reply:
        if isinstance(effect, Send):
            try:
                response: pb.CheckResponse = self._check(effect.request, timeout=effect.timeout)
                return response
            except grpc.RpcError as error:
                return failure_of(error)
            except ValueError:
                raise RuntimeError(CLOSED) from None
        if isinstance(effect, Start):
            self._go_on(effect.exchange, None)
        else:
            time.sleep(effect.seconds)
        return None

    def _go_on(self, exchange: Exchange, reply: Reply) -> None:
        """Do an exchange that nobody waits for, on the threads of gRPC."""
        effect = self._step(exchange, reply)
        if isinstance(effect, Send):
            try:
                call = self._check.future(effect.request, timeout=effect.timeout)
            except ValueError:  # the channel is closed
                with self._lock:
                    exchange.close()
            else:
                call.add_done_callback(lambda done: self._go_on(exchange, reply_of(done)))
