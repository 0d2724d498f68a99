"""Delivers reports on a thread of its own."""

from collections.abc import Mapping
from functools import partial
from threading import Condition, Thread
from typing import Any
from weakref import finalize

from mixer.attributes import Value
from mixer.client.channel import CLOSED, reply_of
from mixer.client.ownership import FORKED
from mixer.client.report_batch import ReportBatch
from mixer.client.reports import NOT_CLOSED, Reports
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
        self._unusable = ""
        self._stopped = False
        self._end = finalize(self, _abandon, reports, self._changed)

    def add(self, attributes: Mapping[str, Value], timeout: float) -> None:
        """See `MixerClient.report`."""
        with self._changed:
            self._changed.wait_for(lambda: self._unusable or self._reports.has_room(), timeout)
            if self._unusable:
                raise RuntimeError(self._unusable)
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
            self._unusable = CLOSED
        self.flush(timeout)
        with self._changed:
            self._stopped = True
            self._end.detach()
            lost = self._reports.give_up(CLOSED)
            self._changed.notify_all()
        if self._thread:
            self._thread.join()
        return lost

    def disown(self) -> None:
        """See `Owned`: what waits is delivered by the process that accepted it."""
        self._changed = Condition()
        self._unusable = FORKED
        self._end.detach()
        self._reports.forget()

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


def _abandon(reports: Reports, changed: Condition) -> None:
    with changed:
        reports.give_up(NOT_CLOSED)
