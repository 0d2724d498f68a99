"""From the bytes of an ExportLogsServiceRequest to records, made one at a time."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from mixer.api.otlp_logs.attributes import RESOLVERS
from mixer.api.otlp_logs.headers import request_headers, response_headers, response_trailers
from mixer.api.otlp_logs.messages import LogRecord, Request, ResourceLogs, ScopeLogs
from mixer.api.otlp_logs.source import Batch, LogSource
from mixer.attributes import NOBODY, AttributeBag, FindCaller
from mixer.engine import Record


class MalformedExportError(Exception):
    """The bytes are no ExportLogsServiceRequest."""


class Export:
    """The records of one request, in order.

    Args:
        data: The message.
        caller: Tells who sent it.

    Attributes:
        malformed: How many records could not be read, of those that were asked for so far.
        first_error: What was wrong with the first one of them.
    """

    def __init__(self, data: bytes, caller: FindCaller = lambda: NOBODY) -> None:
        self._data = data
        self._caller = caller
        self._length = 0
        self.malformed = 0
        self.first_error = ""

    def read(self) -> Iterator[None]:
        """Read all but the records, group by group: there can be millions of empty ones.

        Raises:
            MalformedExportError: The bytes are no such message, as far as they are not records.
        """
        self._length = 0
        for _, scope_logs in self._groups():
            self._length += len(scope_logs.log_records)
            yield

    def _groups(self) -> Iterator[tuple[Any, Any]]:
        """Resources and scopes, parsed anew each time: many small ones take much memory."""
        try:
            for resource_logs in Request.FromString(self._data).resource_logs:
                group = ResourceLogs.FromString(resource_logs)
                for scope_logs in group.scope_logs or (b"",):
                    yield group.resource, ScopeLogs.FromString(scope_logs)
        except DecodeError as error:
            raise MalformedExportError(f"not an ExportLogsServiceRequest: {error}") from error

    def __len__(self) -> int:
        """How many records there are, once `read` has come to its end."""
        return self._length

    def records(self) -> Iterator[Record | None]:
        """What adapters are told of; None of a record that could not be read, or an empty group."""
        number = 0
        for resource, scope_logs in self._groups():
            batch = Batch(resource, scope_logs.scope, self._caller)
            for frame in scope_logs.log_records:
                number += 1
                yield self._record(frame, batch, number)
            if not scope_logs.log_records:
                yield None

    def _record(self, frame: bytes, batch: Batch, number: int) -> Record | None:
        try:
            source = LogSource(LogRecord.FromString(frame), batch)
        except DecodeError as error:
            self.malformed += 1
            place = f"record {number} of {len(self)}"
            self.first_error = self.first_error or f"{place}: not a LogRecord: {error}"
            return None
        source.headers = request_headers(source)
        source.response_headers = response_headers(source)
        source.response_trailers = response_trailers(source)
        return Record(
            source.headers,
            AttributeBag(RESOLVERS, source),
            source.response_headers,
            source.response_trailers,
        )
