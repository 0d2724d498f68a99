"""envoy.service.accesslog.v3.AccessLogService on grpc.aio."""

import logging
from contextlib import nullcontext

import grpc
import grpc.aio

from mixer.api import access_log
from mixer.api.access_log import AccessLogs, Entries, MalformedMessageError
from mixer.engine import Engine
from mixer.shedding import Gate, Kind, Refusal, Shedder, Ticket
from mixer.transport.caller import caller_of
from mixer.transport.endless import Context, EndlessHandler, EndlessStreams
from mixer.transport.slices import slices_of_this_loop
from mixer.transport.telling import Telling

_log = logging.getLogger(__name__)

_RESPONSE = b""


def handler(
    engine: Engine, shedder: Shedder | None = None
) -> "grpc.GenericRpcHandler[bytes, bytes]":
    """The service's handler.

    Nobody waits for an answer, and so nothing is refused: a message for which there is no room
    waits, and with it its stream.
    """
    gate = None if shedder is None else shedder.gate("access_log", Kind.REPORT)
    streams = EndlessStreams()

    async def tell(entries: Entries) -> None:
        with await _admitted(entries, gate, streams):
            telling = Telling(engine)
            try:
                await slices_of_this_loop().work(telling.tell(entries.records()))
            finally:
                telling.log_defect("an access log")

    async def take(context: Context) -> None:
        logs = AccessLogs(caller_of(context))
        async for data in streams.messages(context):
            await streams.work(tell(logs.read(data)))

    async def stream_access_logs(_requests: object, context: Context) -> bytes:
        with streams.opened() as may_open:
            if not may_open:
                why = f"more than {streams.most} streams of access logs: try again later"
                await context.abort(grpc.StatusCode.UNAVAILABLE, why)
            try:
                await take(context)
            except MalformedMessageError as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return _RESPONSE

    method = grpc.stream_unary_rpc_method_handler(stream_access_logs)
    methods = {access_log.METHOD: method}
    return EndlessHandler(
        grpc.method_handlers_generic_handler(access_log.SERVICE, methods), streams
    )


async def _admitted(
    entries: Entries, gate: Gate | None, streams: EndlessStreams
) -> "Ticket | nullcontext[None]":
    """Wait until there is room, or until the service stops."""
    while gate is not None and not streams.stopping:
        ticket = gate.admit(max(1, len(entries)))
        if not isinstance(ticket, Refusal):
            return ticket
        await streams.pause(ticket.retry_after)
    return nullcontext()
