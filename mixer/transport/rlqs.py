"""envoy.service.rate_limit_quota.v3.RateLimitQuotaService on grpc.aio."""

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import aclosing, nullcontext
from functools import partial

import grpc
import grpc.aio

from mixer.api import rlqs
from mixer.api.rlqs import Domain, Hub, Question, Standing, Stream, Usage
from mixer.engine import Decision, Engine, PendingDecision
from mixer.shedding import Kind, Refusal, Shedder, Ticket
from mixer.transport import decision_log
from mixer.transport.caller import caller_of
from mixer.transport.endless import Context, EndlessHandler, EndlessStreams
from mixer.transport.pulse import Pulse
from mixer.transport.unserved import Unserved
from mixer.transport.waiting import settled

_log = logging.getLogger(__name__)

_TICK_S = 0.5
_MOST_ACTIONS = 100
"""Of one message."""
_MOST_WAITING = 1024
"""Actions that wait for a proxy to read, beyond which nothing more is read from it."""
_QUESTIONS_AT_ONCE = 8
_LAST_WRITE_S = 1.0


def handler(
    engine: Engine, shedder: Shedder | None = None
) -> "grpc.GenericRpcHandler[bytes, bytes]":
    """The service's handler, with what all its streams share."""
    return QuotaService(engine, shedder).handler()


class QuotaService:
    """Serves streams, which share the limits.

    Args:
        engine: Knows the limits.
        shedder: Refuses what is too much; None refuses nothing.
    """

    def __init__(self, engine: Engine, shedder: Shedder | None = None) -> None:
        self._engine = engine
        self._gate = None if shedder is None else shedder.gate("rate_limit_quota", Kind.REPORT)
        self._settings = engine.rate_limit.quota
        self._hub = Hub(self._settings, time.monotonic)
        self._unserved = Unserved()
        self._streams = EndlessStreams()
        self._ticking: asyncio.Task[None] | None = None
        self._asking = set[asyncio.Task[None]]()

    def handler(self) -> "grpc.GenericRpcHandler[bytes, bytes]":
        """What a server is given."""
        method = grpc.stream_stream_rpc_method_handler(self._serve)
        methods = {rlqs.METHOD: method}
        handler = grpc.method_handlers_generic_handler(rlqs.SERVICE, methods)
        return EndlessHandler(handler, self._streams)

    async def _serve(self, _requests: object, context: Context) -> None:
        """Serve one stream until its proxy ends it, or has not been heard of for too long.

        At the stop of the service it ends once nothing more has come for a moment.
        """
        pulse = Pulse()
        try:
            stream = self._hub.open(caller_of(context)(), pulse.beat)
        except rlqs.TooManyStreamsError as error:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        self._tick_while_needed()
        reading = asyncio.ensure_future(self._read(context, stream, pulse))
        writing = asyncio.ensure_future(self._write(stream, pulse, context))
        over = asyncio.ensure_future(pulse.until(lambda: stream.is_over))
        try:
            await asyncio.wait((reading, writing, over), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            writing.cancel()
            raise
        finally:
            self._hub.close(stream)
            stream.end()
            reading.cancel()
            over.cancel()
        await _finish_writing(writing)
        ends = await asyncio.gather(reading, writing, return_exceptions=True)
        await _end(context, ends)

    async def _read(self, context: Context, stream: Stream, pulse: Pulse) -> None:
        domain = Domain()
        async with aclosing(self._streams.messages(context)) as messages:
            async for data in messages:
                self._hub.hear(stream)
                usages = rlqs.decode(data, domain)
                left = iter(usages)
                with self._admitted(len(usages)):
                    await self._take(stream, left)
                while len(stream.outbox) > _MOST_WAITING:
                    await pulse.until(lambda: len(stream.outbox) <= _MOST_WAITING)
                    await self._take(stream, left)

    def _admitted(self, usages: int) -> "Ticket | nullcontext[None]":
        """Let in a message.

        Raises:
            OverloadedError: There is too much to do.
        """
        ticket = nullcontext() if self._gate is None else self._gate.admit(max(1, usages))
        if isinstance(ticket, Refusal):
            raise OverloadedError(ticket.reason)
        return ticket

    async def _take(self, stream: Stream, usages: Iterator[Usage]) -> None:
        """Take reports, with the loop's other work in between, until too much is to be read."""
        for number, usage in enumerate(usages, start=1):
            question = self._hub.report(stream, usage)
            if question is not None:
                await self._ask(question)
            if number % _QUESTIONS_AT_ONCE == 0:
                await asyncio.sleep(0)
            if len(stream.outbox) > _MOST_WAITING:
                return

    async def _write(self, stream: Stream, pulse: Pulse, context: Context) -> None:
        settings = self._settings
        while True:
            await pulse.until(lambda: bool(stream.outbox) or stream.is_over)
            if stream.is_over:
                return
            actions = self._hub.take(stream, _MOST_ACTIONS)
            pulse.beat()
            if self._streams.stopping:  # nobody gets what those who end first still keep to
                continue
            message = rlqs.encode(actions, settings.assignment_time_to_live, settings.strategy)
            try:
                await context.write(message)
            except grpc.aio.BaseError:  # the proxy has gone, of which the call is told by itself
                return

    async def _ask(self, question: Question) -> None:
        standing = rlqs.FAILED
        try:
            standing = await self._standing(question)
        except Exception:
            _log.exception("asking for the limit of a bucket failed")
        self._hub.learn(question.bucket, standing)

    async def _standing(self, question: Question) -> Standing:
        request = question.request()
        decision = self._engine.allocate(request, question.quota)
        if isinstance(decision, PendingDecision):
            gone = partial(_log_decision, self._engine, question)
            decision = await settled(decision, self._engine.decision_timeout, gone)
        _log_decision(self._engine, question, decision)
        standing = rlqs.standing_of(decision)
        if not standing.is_served:
            self._unserved.note(question.bucket.domain)
        return standing

    def _tick_while_needed(self) -> None:
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.ensure_future(self._tick())

    async def _tick(self) -> None:
        while self._hub.usage[0]:
            await asyncio.sleep(_TICK_S)
            for number, question in enumerate(self._hub.tick(), start=1):
                self._ask_meanwhile(question)
                if number % _QUESTIONS_AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _ask_meanwhile(self, question: Question) -> None:
        """An adapter that takes long keeps no other bucket waiting."""
        task = asyncio.ensure_future(self._ask(question))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)


class OverloadedError(Exception):
    """There is too much to do to take a report."""


async def _finish_writing(writing: asyncio.Future[None]) -> None:
    """Let the last message be written: a call cannot end with a status before.

    Raises:
        CancelledError: The proxy does not read. Then the call ends without a status.
    """
    await asyncio.wait((writing,), timeout=_LAST_WRITE_S)
    if not writing.done():
        writing.cancel()
        raise asyncio.CancelledError


async def _end(context: Context, ends: Iterable[BaseException | None]) -> None:
    """End the call with the status for what ended the stream; the others were cancelled for it."""
    for error in ends:
        if isinstance(error, rlqs.MalformedReportError):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        if isinstance(error, OverloadedError):
            message = f"overloaded ({error}): try again later"
            await context.abort(grpc.StatusCode.UNAVAILABLE, message)
        if isinstance(error, Exception):
            _log.error("a stream of rate limit quota failed", exc_info=error)
            await context.abort(grpc.StatusCode.INTERNAL, "internal error")


def _log_decision(engine: Engine, question: Question, decision: Decision) -> None:
    def told() -> decision_log.Told:
        granted = decision.granted or 0
        outcome = decision_log.quota_outcome(question.quota, granted, question.amount)
        return decision_log.Told(question.request(), decision, outcome)

    decision_log.log_decision(engine, "rate_limit_quota", decision, told)
