"""What the resolvers are given: one entry, and the stream that it came in."""

from dataclasses import dataclass
from typing import Any

from mixer.attributes import FindCaller, HeaderMap


@dataclass(slots=True)
class Teller:
    """Who tells entries; the same for all of a stream.

    Attributes:
        caller: Tells who calls.
        node: ``envoy.config.core.v3.Node`` of the proxy; None until it was told.
        log_name: Of the log, as the proxy's configuration has it; empty until it was told.
    """

    caller: FindCaller
    node: Any = None
    log_name: str = ""


@dataclass(frozen=True, slots=True)
class EntrySource:
    """One entry.

    Attributes:
        entry: ``HTTPAccessLogEntry`` or ``TCPAccessLogEntry``.
        teller: Who told it.
        headers: Of the request; empty for a TCP connection.
        response_headers: None where there was no response.
        response_trailers: None where none were logged.
    """

    entry: Any
    teller: Teller
    headers: HeaderMap
    response_headers: HeaderMap | None = None
    response_trailers: HeaderMap | None = None

    @property
    def common(self) -> Any:
        """``AccessLogCommon``."""
        return self.entry.common_properties

    @property
    def caller(self) -> FindCaller:
        """Tells who calls."""
        return self.teller.caller
