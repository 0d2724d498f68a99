"""opentelemetry.proto.collector.logs.v1.LogsService on grpc.aio."""

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import islice

import grpc
import grpc.aio

from mixer.api import otlp_logs
from mixer.api.otlp_logs import Export, MalformedExportError
from mixer.engine import Engine
from mixer.shedding import RETRY_S, Kind, Refusal, Shedder
from mixer.transport.caller import caller_of
from mixer.transport.overload import PUSHBACK, Context
from mixer.transport.slices import slices_of_this_loop
from mixer.transport.telling import Telling
from mixer.transport.waiting import patience

MOST_BYTES = 64 << 20
"""Of what was received and is not answered; beyond it nothing more is taken on."""

_GROUPS_AT_ONCE = 256
_DETAILS = "grpc-status-details-bin"


def handler(
    engine: Engine, shedder: Shedder | None = None
) -> "grpc.GenericRpcHandler[bytes, bytes]":
    """The service's handler: a batch is acknowledged once the adapters were told of it."""
    gate = None if shedder is None else shedder.gate("otlp_logs", Kind.REPORT)
    backlog = _Backlog()

    async def export(data: bytes, context: Context) -> bytes:
        if backlog.is_full:
            return await _refuse(context, "too much is waiting", backlog.retry_after)
        with backlog.holding(len(data)):
            told = Export(data, caller_of(context))
            try:
                await _read(told)
            except MalformedExportError as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            ticket = nullcontext() if gate is None else gate.admit(max(1, len(told)))
            if isinstance(ticket, Refusal):
                return await _refuse(context, ticket.reason, ticket.retry_after)
            with ticket:
                answer = await _tell(engine, told, context)
            if answer is None:
                return await _refuse(context, "the ledger does not answer", backlog.retry_after)
            return answer

    method = grpc.unary_unary_rpc_method_handler(export)
    return grpc.method_handlers_generic_handler(otlp_logs.SERVICE, {otlp_logs.METHOD: method})


class _Backlog:
    """What is received and not answered.

    It lets in what exceeds its room, once, so that no batch is ever too large for it.
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._bytes = 0
        self._chance = chance

    @property
    def retry_after(self) -> float:
        """Seconds, different for each sender."""
        return RETRY_S * (1 + self._chance())

    @property
    def is_full(self) -> bool:
        return self._bytes >= MOST_BYTES

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        self._bytes += size
        try:
            yield
        finally:
            self._bytes -= size


async def _read(told: Export) -> None:
    """Read what there are records in; where that is much, with the loop's other work in between."""
    steps = told.read()
    if sum(1 for _ in islice(steps, _GROUPS_AT_ONCE)) == _GROUPS_AT_ONCE:
        await slices_of_this_loop().work(steps)


async def _tell(engine: Engine, told: Export, call: Context) -> bytes | None:
    """Tell of each record, with the loop's other work in between; None if the ledger fails."""
    telling = Telling(engine)
    await slices_of_this_loop().work(telling.tell(told.records()))
    telling.log_defect("an export of OTLP")
    if not await telling.stored(patience(call, engine.decision_timeout)):
        return None
    rejected = told.malformed + telling.defects + telling.missed
    if not rejected:
        return otlp_logs.ACCEPTED
    return otlp_logs.encode_rejected(rejected, "; ".join(_reasons(told, telling)))


def _reasons(told: Export, telling: Telling) -> Iterator[str]:
    """Why records were not taken, in a few words."""
    if told.malformed:
        yield f"{told.malformed} malformed: {told.first_error}"
    if telling.defects:
        yield f"{telling.defects} not told: internal error"
    if telling.missed:
        names = ", ".join(telling.missed_by)
        yield f"{telling.missed} missed by adapters that failed: {names}"


async def _refuse(context: Context, why: str, seconds: float) -> bytes:
    """Have the sender try again, in the two ways that there are to say when."""
    message = f"overloaded ({why}): try again later"
    trailers = (
        (_DETAILS, otlp_logs.encode_retry(message, seconds)),
        (PUSHBACK, str(math.ceil(seconds * 1000))),
    )
    await context.abort(grpc.StatusCode.UNAVAILABLE, message, trailing_metadata=trailers)
