"""From the bytes of a StreamAccessLogsMessage to records, made one at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from mixer.api.access_log.attributes import HTTP_ENTRY_RESOLVERS, TCP_ENTRY_RESOLVERS
from mixer.api.access_log.headers import request_headers, response_headers, response_trailers
from mixer.api.access_log.messages import HttpEntry, Message, TcpEntry
from mixer.api.access_log.source import EntrySource, Teller
from mixer.attributes import NOBODY, AttributeBag, FindCaller, HeaderMap, PairSource
from mixer.engine import Record
from mixer.wire.twins import text_of


class MalformedMessageError(Exception):
    """The bytes are no StreamAccessLogsMessage, or those of an entry are no entry."""


class Entries:
    """The entries of one message, in order.

    Args:
        frames: The bytes of each.
        teller: Who told them.
        of_http: Whether they are about HTTP, or else about TCP.
    """

    def __init__(self, frames: Sequence[bytes], teller: Teller, *, of_http: bool) -> None:
        self._frames = frames
        self._teller = teller
        self._kind, self._record = (HttpEntry, _http) if of_http else (TcpEntry, _tcp)

    def __len__(self) -> int:
        return len(self._frames)

    def records(self) -> Iterator[Record | None]:
        """What adapters are told of; None of a request or connection that is not over.

        Such an entry is one of several about the same: another one follows at its end.

        Raises:
            MalformedMessageError: An entry is malformed; those before it were given.
        """
        for number, frame in enumerate(self._frames):
            try:
                entry = self._kind.FromString(frame)
            except DecodeError as error:
                place = f"entry {number + 1} of {len(self)}"
                kind = self._kind.DESCRIPTOR.name
                raise MalformedMessageError(f"{place}: not of type {kind}: {error}") from error
            is_over = not entry.common_properties.intermediate_log_entry
            yield self._record(entry, self._teller) if is_over else None


def _http(entry: Any, teller: Teller) -> Record:
    response = entry.response
    source = EntrySource(
        entry,
        teller,
        request_headers(entry.request),
        response_headers(response),
        response_trailers(response),
    )
    return Record(
        source.headers,
        AttributeBag(HTTP_ENTRY_RESOLVERS, source),
        source.response_headers,
        source.response_trailers,
    )


def _tcp(entry: Any, teller: Teller) -> Record:
    source = EntrySource(entry, teller, HeaderMap(PairSource([])))
    return Record(source.headers, AttributeBag(TCP_ENTRY_RESOLVERS, source))


class AccessLogs:
    """What one stream tells; who it is, only its first message says.

    Args:
        caller: Tells who calls.
    """

    def __init__(self, caller: FindCaller = lambda: NOBODY) -> None:
        self._teller = Teller(caller)

    def read(self, data: bytes) -> Entries:
        """Read a message; its entries are not looked at.

        Raises:
            MalformedMessageError: The bytes are no StreamAccessLogsMessage.
        """
        try:
            message = Message.FromString(data)
        except DecodeError as error:
            raise MalformedMessageError(f"not a StreamAccessLogsMessage: {error}") from error
        if message.HasField("identifier"):
            self._identify(message.identifier)
        of_http = message.WhichOneof("log_entries") != "tcp_logs"
        logs = message.http_logs if of_http else message.tcp_logs
        return Entries(logs.log_entry, self._teller, of_http=of_http)

    def _identify(self, identifier: Any) -> None:
        """Keep the proxy's node, without the list of all that is compiled into it: 20 KiB."""
        node = type(identifier.node).FromString(identifier.node.SerializeToString())
        node.ClearField("extensions")
        self._teller = Teller(self._teller.caller, node, text_of(identifier.log_name))
