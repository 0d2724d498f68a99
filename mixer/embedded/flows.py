"""What has come through the adapters, as a middleware looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixer.engine import Flow, HttpExchange
    from mixer.middleware.values import Pairs


class RequestFlow:
    """The request.

    Args:
        exchange: Its way.
        headers: As they came.
    """

    __slots__ = ("_exchange", "_headers")

    def __init__(self, exchange: HttpExchange, headers: Pairs) -> None:
        self._exchange = exchange
        self._headers = headers

    @property
    def headers(self) -> Pairs | None:
        """See `mixer.middleware.Flow`."""
        flow = self._exchange.request
        if not flow.headers_passed:
            return None
        now = flow.message.headers
        return now.pairs() if now.changes() else self._headers

    @property
    def trailers(self) -> Pairs | None:
        """None of ASGI or gRPC has any."""
        return None

    @property
    def complete(self) -> bool:
        """See `mixer.middleware.Flow`."""
        return self._exchange.request.complete

    def take_body(self) -> bytes:
        """See `mixer.middleware.Flow`."""
        return self._exchange.request.take_body()


class ResponseFlow:
    """The response, be there one already or not.

    Args:
        exchange: Its way.
    """

    __slots__ = ("_exchange",)

    def __init__(self, exchange: HttpExchange) -> None:
        self._exchange = exchange

    @property
    def _flow(self) -> Flow | None:
        return self._exchange.response

    @property
    def headers(self) -> Pairs | None:
        """See `mixer.middleware.Flow`."""
        flow = self._flow
        return flow.message.headers.pairs() if flow is not None and flow.headers_passed else None

    @property
    def trailers(self) -> Pairs | None:
        """See `mixer.middleware.Flow`."""
        flow = self._flow
        if flow is None or not flow.trailers_passed or flow.message.trailers is None:
            return None
        return flow.message.trailers.pairs()

    @property
    def complete(self) -> bool:
        """See `mixer.middleware.Flow`."""
        return self._flow is not None and self._flow.complete

    def take_body(self) -> bytes:
        """See `mixer.middleware.Flow`."""
        return b"" if self._flow is None else self._flow.take_body()
