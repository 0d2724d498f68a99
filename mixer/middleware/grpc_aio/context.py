"""What a handler is given in place of gRPC's own context."""

import logging
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

import grpc

from mixer.attributes import Pair
from mixer.middleware.grpc_aio.metadata import (
    Metadata,
    UnusableMetadataError,
    metadata_of,
    pairs_of,
    usable_metadata,
)
from mixer.middleware.grpc_aio.peers import Context
from mixer.middleware.grpc_aio.statuses import code_of
from mixer.middleware.ports import Exchange
from mixer.middleware.values import UNAVAILABLE, Answer, Ended, Incoming, Pairs

_log = logging.getLogger(__name__)

_RESPONSE = ((b":status", b"200"), (b"content-type", b"application/grpc"))
_HELD = "waits_for_messages_which_are_not_shown"


class Metadatum(NamedTuple):
    """One entry of the metadata, as gRPC gives them to handlers."""

    key: str
    value: str | bytes


class DecidedContext:
    """The context of one call; all that is not here is gRPC's own.

    Args:
        context: Of gRPC.
        exchange: What decides.
        incoming: As it was told.
        ended: Where to note what became of it.
    """

    def __init__(
        self, context: Context, exchange: Exchange, incoming: Incoming, ended: Ended
    ) -> None:
        self._context = context
        self._exchange = exchange
        self._incoming = incoming
        self._ended = ended
        self._metadata: tuple[Metadatum, ...] | None = None
        self._trailing: Metadata = ()
        self._began = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def decide(self) -> None:
        """Have the call decided about; gRPC ends it where it may not go on."""
        exchange = self._exchange
        await exchange.request_headers(end_of_stream=False)
        headers = exchange.request.headers
        if exchange.answer is None and headers is None:
            exchange.fail(_HELD)
        await self._refuse_if_answered()
        before = self._incoming.headers
        if headers is None or headers is before:
            return
        if _pseudo(headers) != _pseudo(before):
            await self._refuse_unusable("a pseudo-header of a call of gRPC cannot be changed")
        try:
            self._metadata = tuple(Metadatum(*one) for one in metadata_of(headers))
        except UnusableMetadataError as error:
            await self._refuse_unusable(str(error))

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]]:
        """The metadata of the call, as adapters left them."""
        if self._metadata is not None:
            return self._metadata
        return self._context.invocation_metadata() or ()

    async def send_initial_metadata(self, initial_metadata: Metadata) -> None:
        """See `grpc.aio.ServicerContext.send_initial_metadata`."""
        if self._began:  # gRPC says what is wrong with that
            await self._context.send_initial_metadata(initial_metadata)
        else:
            await self._begin(tuple(initial_metadata))

    async def write(self, message: Any) -> None:
        """See `grpc.aio.ServicerContext.write`."""
        if not self._began:
            await self._begin(())
        await self._context.write(message)

    def set_trailing_metadata(self, trailing_metadata: Metadata) -> None:
        """See `grpc.aio.ServicerContext.set_trailing_metadata`."""
        self._trailing = tuple(trailing_metadata)
        self._context.set_trailing_metadata(trailing_metadata)

    async def abort(
        self,
        code: grpc.StatusCode,
        details: str = "",
        trailing_metadata: Metadata = (),
    ) -> NoReturn:
        """See `grpc.aio.ServicerContext.abort`."""
        if trailing_metadata:
            self.set_trailing_metadata(trailing_metadata)
        await self._end(code.value[0], details)
        await self._context.abort(code, details, self._trailing)

    async def abort_with_status(self, status: Any) -> NoReturn:
        """See `grpc.aio.ServicerContext.abort_with_status`."""
        await self.abort(status.code, status.details, status.trailing_metadata)

    async def finish(self) -> None:
        """The handler did its work: tell what decides, before the status goes out."""
        await self._end(_number(self._context.code()), self._context.details() or "")

    async def _begin(self, metadata: Metadata) -> None:
        self._began = True
        exchange = self._exchange
        pairs = [*_RESPONSE, *pairs_of(metadata)]
        await exchange.response_headers(pairs, end_of_stream=False)
        headers = exchange.response.headers
        if exchange.answer is None and headers is None:
            exchange.fail(_HELD)
        await self._refuse_if_answered()
        self._ended.response_headers = headers
        if headers is None or (headers == pairs and not metadata):
            return
        try:
            await self._context.send_initial_metadata(metadata_of(headers))
        except UnusableMetadataError as error:
            await self._refuse_unusable(str(error))

    async def _end(self, code: int, details: str) -> None:
        if not self._began:
            await self._begin(())
        self._ended.grpc_status, self._ended.grpc_message = code, details
        pairs = [*_status(code, details), *pairs_of(self._trailing)]
        await self._exchange.response_trailers(pairs)
        await self._refuse_if_answered()
        trailers = self._exchange.response.trailers
        if trailers is None or trailers == pairs:
            return
        self._trailing = usable_metadata(trailers)
        self._context.set_trailing_metadata(self._trailing)

    async def _refuse_if_answered(self) -> None:
        if self._exchange.answer is not None:
            await self.refuse(self._exchange.answer)

    async def _refuse_unusable(self, reason: str) -> NoReturn:
        _log.warning("%s", reason)
        await self.refuse(UNAVAILABLE)

    async def refuse(self, answer: Answer) -> NoReturn:
        """End the call with an answer."""
        code = code_of(answer)
        self._ended.grpc_status, self._ended.grpc_message = code.value[0], answer.message
        self._ended.response_headers = [*_RESPONSE]
        trailing = usable_metadata(answer.headers)
        await self._context.abort(code, answer.message, trailing)


def _pseudo(headers: Pairs) -> set[Pair]:
    return {pair for pair in headers if pair[0].startswith(b":")}


def _status(code: int, details: str) -> Pairs:
    message = [(b"grpc-message", details.encode())] if details else []
    return [(b"grpc-status", b"%d" % code), *message]


def _number(code: Any) -> int:
    """What gRPC has for a code: a number, or the code itself."""
    number: int = code.value[0] if isinstance(code, grpc.StatusCode) else int(code or 0)
    return number
