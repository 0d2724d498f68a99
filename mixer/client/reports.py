"""Reports without input and output: records until they are delivered."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping

from mixer.attributes import Value
from mixer.client.metrics import ClientMetrics
from mixer.client.report_batch import ReportBatch
from mixer.client.retry import Backoff, Failure
from mixer.client.settings import ClientSettings
from mixer.client.words import KnownWords

_NS = 1_000_000_000
_LOG_PERIOD = 10 * _NS

_log = logging.getLogger(__name__)


NOT_CLOSED = "the client was not closed"


class ReportBufferFullError(Exception):
    """There is no room for a record: it was not accepted."""


class Reports:
    """Accepts records as long as there is room, and keeps them until they are delivered.

    Not safe for threads.

    Args:
        settings: Of the client.
        metrics: Where it counts.
        words: How many words the server knows.
        clock: Nanoseconds, monotonic.
        backoff: When to try again.
    """

    def __init__(
        self,
        settings: ClientSettings,
        metrics: ClientMetrics,
        words: KnownWords,
        clock: Callable[[], int] = time.monotonic_ns,
        backoff: Backoff | None = None,
    ) -> None:
        self._settings = settings.report
        self._interval = int(settings.report.interval * _NS)
        self._most_entries = settings.report.entries if settings.report.batching else 1
        self._metrics = metrics
        self._words = words
        self._clock = clock
        self._backoff = backoff or Backoff(settings.retry)
        self._open: ReportBatch | None = None
        self._ready: deque[ReportBatch] = deque()
        self._in_flight: set[ReportBatch] = set()
        self._failures = 0
        self._rests_until = clock()
        self._logged = clock() - _LOG_PERIOD
        self._told = 0
        self._why = ""

    @property
    def pending(self) -> int:
        """Records that were accepted, and neither delivered nor given up."""
        return self._metrics.report_pending

    def has_room(self) -> bool:
        """Whether another record is accepted."""
        return (
            self.pending < self._settings.max_pending
            and self._metrics.report_pending_bytes < self._settings.max_pending_bytes
        )

    def add(self, attributes: Mapping[str, Value]) -> bool:
        """Accept a record.

        Returns:
            Whether what `wait` says is another than before.

        Raises:
            ReportBufferFullError: There is no room.
            TypeError: A value has no type of an attribute.
            ValueError: A number is out of its bounds, a text is not Unicode, or the record takes
                more than 1016 KiB.
        """
        if not self.has_room():
            self._metrics.report_entries_refused += 1
            raise ReportBufferFullError(
                f"{self.pending} records with {self._metrics.report_pending_bytes} bytes are not"
                f" delivered yet; at most {self._settings.max_pending} with"
                f" {self._settings.max_pending_bytes} bytes are kept"
            )
        if self._open and not self._open.takes(attributes):
            self.seal()
        batch = self._added(attributes) or self._added(attributes)
        assert batch
        if len(batch) >= self._most_entries:
            self.seal()
        return self._open is None or len(batch) == 1

    def _added(self, attributes: Mapping[str, Value]) -> ReportBatch | None:
        """The batch that took a record; None where there was no room: the next one has."""
        batch = self._open
        if batch is None:
            batch = ReportBatch(self._settings.encoding, self._words.count, self._clock())
        before = batch.size if len(batch) else 0
        try:
            added = batch.add(attributes)
        except (TypeError, ValueError):
            self.seal()
            raise
        if not added:
            self.seal()
            return None
        self._open = batch
        self._metrics.report_entries += 1
        self._metrics.report_pending += 1
        self._metrics.report_pending_bytes += batch.size - before
        return batch

    def seal(self) -> None:
        """Add nothing more to the records that wait for others."""
        if self._open:
            self._ready.append(self._open)
            self._open = None

    def next(self) -> ReportBatch | None:
        """What is to be sent now; `delivered` or `failed` tells what came of it."""
        now = self._clock()
        if self._open and now - self._open.began >= self._interval:
            self.seal()
        busy = len(self._in_flight) >= self._settings.in_flight
        if not self._ready or busy or now < self._rests_until:
            return None
        batch = self._ready.popleft()
        self._in_flight.add(batch)
        self._metrics.report_batches += 1
        self._metrics.report_retries += batch.tries > 0
        batch.tries += 1
        return batch

    def wait(self) -> float | None:
        """Seconds until `next` has something; None where it has to be told of something first."""
        now = self._clock()
        if self._ready:
            busy = len(self._in_flight) >= self._settings.in_flight
            return None if busy else max(0.0, (self._rests_until - now) / _NS)
        if self._open:
            return max(0.0, (self._open.began + self._interval - now) / _NS)
        return None

    def delivered(self, batch: ReportBatch) -> None:
        """The server took it."""
        if batch not in self._in_flight:
            return
        self._failures = 0
        self._rests_until = self._clock()
        self._metrics.report_entries_delivered += len(batch)
        self._gone(batch)

    def failed(self, batch: ReportBatch, failure: Failure) -> None:
        """The server did not take it: it is tried again later, or given up if that is of no use."""
        if batch not in self._in_flight:
            return
        self._metrics.report_failures += 1
        if self._words.too_many(failure, batch.request.global_word_count):
            batch.encode_again(self._words.count)
            self._again(batch)
        elif failure.retryable:
            self._failures += 1
            self._rests_until = self._clock() + int(self._backoff.delay(self._failures) * _NS)
            self._again(batch)
        else:
            self._give_up(batch, f"gRPC code {failure.code}: {failure.message}")

    def _again(self, batch: ReportBatch) -> None:
        self._in_flight.discard(batch)
        self._ready.appendleft(batch)

    def give_up(self, why: str) -> int:
        """Deliver nothing more.

        Args:
            why: For the log.

        Returns:
            How many records were given up in all.
        """
        if lost := self.forget():
            self._metrics.report_entries_dropped += lost
            self._why = why
        self._tell_dropped()
        return self._metrics.report_entries_dropped

    def forget(self) -> int:
        """Let go of everything, uncounted.

        Returns:
            How many records that were.
        """
        self.seal()
        records = self.pending
        for batch in (*self._in_flight, *self._ready):
            self._gone(batch)
        self._ready.clear()
        return records

    def _give_up(self, batch: ReportBatch, why: str) -> None:
        self._gone(batch)
        self._metrics.report_entries_dropped += len(batch)
        self._why = why
        now = self._clock()
        if now - self._logged >= _LOG_PERIOD:
            self._logged = now
            self._tell_dropped()

    def _tell_dropped(self) -> None:
        """Log what was given up since this was last told, if anything."""
        dropped = self._metrics.report_entries_dropped
        if records := dropped - self._told:
            self._told = dropped
            _log.error("reports given up: %d records, %d in all: %s", records, dropped, self._why)

    def _gone(self, batch: ReportBatch) -> None:
        self._in_flight.discard(batch)
        self._metrics.report_pending -= len(batch)
        self._metrics.report_pending_bytes -= batch.size
