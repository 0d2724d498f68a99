"""A request through the adapters in this process."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from mixer.api.mixer_v1.status import code_of, message_of
from mixer.attributes import HeaderMap, PairSource
from mixer.embedded.flows import RequestFlow, ResponseFlow
from mixer.engine.durable import UNSTORED
from mixer.engine.storing import stored_or_withdrawn
from mixer.middleware.ports import nobody
from mixer.middleware.values import Answer, Ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.engine import Decision, HttpExchange
    from mixer.middleware.values import Incoming, Pairs
    from mixer.state.ledger import GroupCommit

_log = logging.getLogger(__name__)

TIMED_OUT = "decision_timed_out"
"""The reason of a request whose callouts took too long."""

_MIN_STATUS, _MAX_STATUS = 200, 599
_UNUSABLE_STATUS, _FAILED = 500, 503


class EmbeddedExchange:
    """See `mixer.middleware.Exchange`.

    Args:
        exchange: The request's way through the adapters.
        incoming: The request.
        timeout: Seconds to wait for what an adapter waits for, and for the ledger.
        commits: Stores what adapters record; None where there is no ledger.

    Attributes:
        request: See `mixer.middleware.Exchange`, as for the others.
        response: Likewise.
        on_change: Likewise.
    """

    __slots__ = (
        "_answer",
        "_commits",
        "_exchange",
        "_timeout",
        "_waiting",
        "on_change",
        "request",
        "response",
    )

    def __init__(
        self,
        exchange: HttpExchange,
        incoming: Incoming,
        timeout: float,
        commits: GroupCommit | None = None,
    ) -> None:
        self._commits = commits
        self._exchange = exchange
        self._timeout = timeout
        self._answer: Answer | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        self.request = RequestFlow(exchange, incoming.headers)
        self.response = ResponseFlow(exchange)
        self.on_change: Callable[[], None] = nobody
        exchange.on_change = self._changed

    @property
    def may_go_on(self) -> bool:
        """See `mixer.middleware.Exchange`."""
        return self._exchange.may_go_on

    @property
    def answer(self) -> Answer | None:
        """See `mixer.middleware.Exchange`."""
        decision = self._exchange.answer
        if decision is None:
            return None
        if self._answer is None:
            self._answer = _answer_of(decision)
        return self._answer

    async def request_headers(self, *, end_of_stream: bool) -> None:
        """See `mixer.middleware.Exchange`."""
        flow = self._exchange.request
        self._exchange.request_headers(end_of_stream=end_of_stream)
        await self._until(lambda: flow.headers_passed or flow.wants_body)

    async def request_body(self, data: bytes, *, end_of_stream: bool) -> None:
        """See `mixer.middleware.Exchange`."""
        flow = self._exchange.request
        self._exchange.request_body(data, end_of_stream=end_of_stream)
        await self._until(lambda: flow.complete or not end_of_stream)

    async def response_headers(self, headers: Pairs, *, end_of_stream: bool) -> None:
        """See `mixer.middleware.Exchange`."""
        message = HeaderMap(PairSource(headers))
        self._exchange.response_headers(message, end_of_stream=end_of_stream)
        flow = self._exchange.response
        assert flow is not None
        await self._until(lambda: flow.headers_passed or flow.wants_body)

    async def response_body(self, data: bytes, *, end_of_stream: bool) -> None:
        """See `mixer.middleware.Exchange`."""
        self._exchange.response_body(data, end_of_stream=end_of_stream)
        await self._until(lambda: self.response.complete or not end_of_stream)

    async def response_trailers(self, trailers: Pairs) -> None:
        """See `mixer.middleware.Exchange`."""
        self._exchange.response_trailers(HeaderMap(PairSource(trailers)))
        await self._until(lambda: self.response.complete)

    def fail(self, reason: str) -> None:
        """See `mixer.middleware.Exchange`."""
        self._exchange.give_up(reason)

    async def close(self, ended: Ended) -> None:  # noqa: ARG002 - adapters saw it pass
        """See `mixer.middleware.Exchange`; the adapters log the request."""
        decision = self._exchange.close()
        self._exchange.on_change = nobody
        if self._commits is not None:
            await self._stored()
        _log.debug("%s by %s %s", decision.verdict, decision.adapter, decision.reason)

    async def _until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds and is stored, or there is an answer."""
        await self._passed(holds)
        if self._commits is not None and not await self._stored():
            self._exchange.give_up(UNSTORED)

    async def _stored(self) -> bool:
        """Wait until the ledger has what was recorded; whether the request may go on."""
        assert self._commits is not None
        records = self._exchange.records()
        return await stored_or_withdrawn(self._commits, records, self._timeout)

    async def _passed(self, holds: Callable[[], bool]) -> None:
        exchange = self._exchange
        if exchange.answer is not None or (not exchange.is_answering and holds()):
            return
        try:
            async with asyncio.timeout(self._timeout):
                while exchange.answer is None and (exchange.is_answering or not holds()):
                    await self._change()
        except TimeoutError:
            exchange.give_up(TIMED_OUT)

    async def _change(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    def _changed(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self.on_change()


def _answer_of(decision: Decision) -> Answer:
    response = decision.response
    if response is None:
        return Answer(_FAILED, code=code_of(decision), message=message_of(decision))
    usable = _MIN_STATUS <= response.status <= _MAX_STATUS
    return Answer(
        response.status if usable else _UNUSABLE_STATUS,
        tuple(pair for pair in response.headers if not pair[0].startswith(b":")),
        response.body,
        code_of(decision),
        message_of(decision),
    )
