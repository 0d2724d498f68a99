"""Delivers reports on a thread of its own."""

from collections.abc import Mapping
from functools import partial
from threading import Condition, Thread
from typing import Any

from mixer.attributes import Value
from mixer.client.channel import CLOSED, reply_of
from mixer.client.report_batch import ReportBatch
from mixer.client.reports import Reports
from mixer.client.retry import Failure


class ReportSender:
    """Sends what was accepted; safe for threads.

    Args:
        reports: What was accepted.
        call: A `grpc.UnaryUnaryMultiCallable`.
        timeout: Seconds for the server to answer.
    """

    def __init__(self, reports: Reports, call: Any, timeout: float) -> None:
        self._reports = reports
        self._call = call
        self._timeout = timeout
        self._changed = Condition()
        self._thread: Thread | None = None
        self._closed = False
        self._stopped = False

    def add(self, attributes: Mapping[str, Value], timeout: float) -> None:
        """See `MixerClient.report`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._reports.has_room(), timeout)
            if self._closed:
                raise RuntimeError(CLOSED)
            if self._reports.add(attributes):
                self._changed.notify_all()
            if self._thread is None:
                self._thread = Thread(target=self._run, name="mixer-client-reports", daemon=True)
                self._thread.start()

    def flush(self, timeout: float) -> int:
        """See `MixerClient.flush`."""
        with self._changed:
            self._reports.seal()
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._reports.pending, timeout)
            return self._reports.pending

    def close(self, timeout: float) -> int:
        """See `MixerClient.close`."""
        with self._changed:
            self._closed = True
        self.flush(timeout)
        with self._changed:
            self._stopped = True
            lost = self._reports.give_up()
            self._changed.notify_all()
        if self._thread:
            self._thread.join()
        return lost

    def _run(self) -> None:
        while batch := self._next():
            call = self._call.future(batch.request, timeout=self._timeout)
            call.add_done_callback(partial(self._over, batch))

    def _next(self) -> ReportBatch | None:
        with self._changed:
            while not self._stopped:
                if batch := self._reports.next():
                    return batch
                self._changed.wait(self._reports.wait())
            return None

    def _over(self, batch: ReportBatch, call: Any) -> None:
        reply = reply_of(call)
        with self._changed:
            if isinstance(reply, Failure):
                self._reports.failed(batch, reply)
            else:
                self._reports.delivered(batch)
            self._changed.notify_all()
