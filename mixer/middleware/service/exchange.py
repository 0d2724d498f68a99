"""A request about which a service is asked."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mixer.client import AsyncMixerClient, HeaderOperation, ReportBufferFullError
from mixer.middleware.ports import nobody
from mixer.middleware.service.answers import answer_of
from mixer.middleware.service.attributes import report_of
from mixer.middleware.service.operations import operated
from mixer.middleware.values import UNAVAILABLE, Answer, Ended, Incoming, Pairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.attributes import Value
    from mixer.middleware.service.outages import Outages

_log = logging.getLogger(__name__)


class PassingFlow:
    """A message of which a service changes no more than the headers.

    Attributes:
        headers: None until they may go on.
        trailers: Likewise.
        complete: Whether its end was given.
    """

    __slots__ = ("_body", "complete", "headers", "trailers")

    def __init__(self) -> None:
        self.headers: Pairs | None = None
        self.trailers: Pairs | None = None
        self.complete = False
        self._body = b""

    def add(self, data: bytes, *, end_of_stream: bool) -> None:
        """Let a part of the body through."""
        self._body = self._body + data if self._body else data
        self.complete = end_of_stream

    def take_body(self) -> bytes:
        """See `mixer.middleware.ports.Flow`."""
        body, self._body = self._body, b""
        return body


class ServiceExchange:
    """See `mixer.middleware.ports.Exchange`.

    Args:
        client: Asks the service.
        incoming: The request.
        attributes: That tell it.
        timeout: Seconds for the service to answer.
        reports: Whether the service is told what became of it.
        outages: Told where the service gives no answer.
    """

    __slots__ = (
        "_attributes", "_client", "_incoming", "_operations", "_outages", "_reports", "_timeout",
        "answer", "may_go_on", "on_change", "request", "response",
    )  # fmt: skip

    def __init__(
        self,
        client: AsyncMixerClient,
        incoming: Incoming,
        attributes: dict[str, Value],
        *,
        timeout: float,
        reports: bool,
        outages: Outages,
    ) -> None:
        self._client = client
        self._incoming = incoming
        self._attributes = attributes
        self._timeout = timeout
        self._reports = reports
        self._outages = outages
        self._operations: tuple[HeaderOperation, ...] = ()
        self.request = PassingFlow()
        self.response = PassingFlow()
        self.answer: Answer | None = None
        self.may_go_on = False
        self.on_change: Callable[[], None] = nobody

    async def request_headers(self, *, end_of_stream: bool) -> None:
        """Ask the service, unless its answer is kept."""
        self.request.complete = end_of_stream
        result = await self._client.check(self._attributes, timeout=self._timeout)
        if result.failure is not None:
            self._outages.add(result.failure, refused=not result.ok)
        self.answer = answer_of(result)
        if self.answer is None:
            directive = result.route_directive
            self._operations = directive.response_operations
            self.request.headers = operated(self._incoming.headers, directive.request_operations)

    async def request_body(self, data: bytes, *, end_of_stream: bool) -> None:
        """It goes on as it is."""
        self.request.add(data, end_of_stream=end_of_stream)

    async def response_headers(self, headers: Pairs, *, end_of_stream: bool) -> None:
        """They go on with the changes that the service asked for."""
        self.response.complete = end_of_stream
        self.response.headers = operated(headers, self._operations)

    async def response_body(self, data: bytes, *, end_of_stream: bool) -> None:
        """It goes on as it is."""
        self.response.add(data, end_of_stream=end_of_stream)

    async def response_trailers(self, trailers: Pairs) -> None:
        """They go on as they are."""
        self.response.trailers = trailers
        self.response.complete = True

    def fail(self, reason: str) -> None:
        """See `mixer.middleware.ports.Exchange`."""
        _log.debug("a request fails: %s", reason)
        self.answer = UNAVAILABLE

    async def close(self, ended: Ended) -> None:
        """Report the request."""
        if not self._reports:
            return
        try:
            await self._client.report(self._attributes | report_of(self._incoming, ended))
        except ReportBufferFullError:
            _log.debug("a report was not accepted: the service is behind")
        except (RuntimeError, TypeError, ValueError):
            _log.exception("a request could not be reported")
