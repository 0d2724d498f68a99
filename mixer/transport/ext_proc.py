"""envoy.service.ext_proc.v3.ExternalProcessor on grpc.aio."""

import asyncio
import logging
import math
import time
from functools import partial
from typing import Any

import grpc
import grpc.aio

from mixer.api import ext_proc
from mixer.api.ext_proc import ProcessStream, refuse
from mixer.engine import Engine
from mixer.engine.durable import UNSTORED
from mixer.engine.storing import stored_or_withdrawn
from mixer.shedding import Gate, Kind, Refusal, Shedder, Ticket
from mixer.transport import decision_log
from mixer.transport.caller import Context, caller_of
from mixer.transport.open_streams import OpenStreams
from mixer.transport.waiting import TIMED_OUT, patience

_log = logging.getLogger(__name__)

TOO_MANY = "too_many_streams"
"""The reason of a stream that exceeds ``maxStreams``."""

_RETRY_AFTER = (b"retry-after", b"1")
_UNREAD = "nobody reads"
_EOF = grpc.aio.EOF  # type: ignore[attr-defined]


def handler(
    engine: Engine, shedder: Shedder | None = None
) -> "grpc.GenericRpcHandler[bytes, bytes]":
    """The service's handler: bytes in, bytes out.

    Nothing is answered by a gRPC status that can be said in an answer, not even a defect of our
    own: a filter that is configured to fail open takes a status for a service that is down, and
    lets the request pass. It is read and written message by message, which costs no more than
    iterators and leaves this side free to speak first.
    """
    streams = OpenStreams(engine.limits.max_streams, engine.limits.stream_idle_timeout)
    gate = None if shedder is None else shedder.gate("ext_proc", Kind.CHECK)

    async def process(_requests: object, context: Context) -> None:
        call = _Call(engine, gate, context, streams)
        if streams.enter(call):
            await call.run()
        else:
            await _refuse(context, engine.limits.stream_idle_timeout)

    method = grpc.stream_stream_rpc_method_handler(process)
    return grpc.method_handlers_generic_handler(ext_proc.SERVICE, {ext_proc.METHOD: method})


async def _refuse(context: Context, timeout_s: float) -> None:
    """Say that there is no room; this stream is not among those that expire."""
    try:
        async with asyncio.timeout(timeout_s):
            await context.write(refuse(TOO_MANY, headers=(_RETRY_AFTER,)))
    except TimeoutError:
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, _UNREAD)


def _may_override(context: Context) -> bool:
    return (ext_proc.MODE_OVERRIDE, "allowed") in (context.invocation_metadata() or ())


class _Call:
    """One call, for as long as the request lives that it is about."""

    def __init__(
        self, engine: Engine, gate: Gate | None, context: Context, streams: OpenStreams
    ) -> None:
        self._context = context
        self._engine = engine
        self._gate = gate
        self._streams = streams
        self._timeout_s = engine.decision_timeout
        self._stream = ProcessStream(
            engine,
            caller_of(context),
            may_override=partial(_may_override, context),
            patience_s=engine.decision_timeout,
            on_change=self._changed,
        )
        self._ticket: Ticket | None = None
        self._reading: asyncio.Future[bytes] | None = None
        self._change: asyncio.Future[None] | None = None
        self._deadline: float | None = None
        self._task = asyncio.current_task()
        self._expired = self._writes = self._closed = self._is_changed = False
        self.active_at = time.monotonic()

    def expire(self) -> None:
        """See `mixer.transport.open_streams.OpenStream.expire`."""
        if self._task is not None and not self._expired:
            self._expired = True
            self._task.cancel()

    async def run(self) -> None:
        """Converse until one side ends it; the end by the proxy is most often a cancellation."""
        try:
            await self._converse()
            await self._close_and_store()
        except asyncio.CancelledError:
            await self._end_expired()
        except grpc.aio.AbortError:
            raise
        except Exception:
            _log.exception("a stream of ext_proc failed")
            await self._context.write(refuse("internal error"))
        finally:
            self._close()

    async def _converse(self) -> None:
        stream = self._stream
        while not stream.is_over:
            if stream.may_change and await self._waited():
                continue
            data = await self._read()
            if data is _EOF:
                await self._finish()
                return
            self.active_at = time.monotonic()
            if self._gate is not None and not await self._admitted(self._gate):
                return
            stream.receive(data)
            await self._send()
        if stream.error:
            await self._context.abort(grpc.StatusCode.INVALID_ARGUMENT, stream.error)

    async def _read(self) -> bytes:
        reading, self._reading = self._reading, None
        data: bytes = await (self._context.read() if reading is None else reading)
        return data

    async def _admitted(self, gate: Gate) -> bool:
        """Ask the gate, once, before the first message is looked at."""
        self._gate = None
        ticket = gate.admit()
        if isinstance(ticket, Refusal):
            seconds = b"%d" % math.ceil(ticket.retry_after)
            headers = ((b"retry-after", seconds),)
            await self._context.write(refuse(f"overload_{ticket.reason}", headers=headers))
            return False
        self._ticket = ticket
        return True

    async def _send(self) -> None:
        if self._engine.commits is not None and not await self._stored():
            self._stream.refuse(UNSTORED)
        for message in self._stream.take():
            self._writes = True
            await self._context.write(message)
            self._writes = False
            self.active_at = time.monotonic()
        if not self._stream.waits:
            self._deadline = None
            if self._ticket is not None:
                self._ticket.release()

    async def _stored(self) -> bool:
        """Wait until the ledger has what was recorded; whether the proxy may be told to go on.

        A proxy that observes is told nothing, and waits for nothing.
        """
        commits = self._engine.commits
        if commits is None or self._stream.observes:
            return True
        patience_s = patience(self._context, self._timeout_s)
        return await stored_or_withdrawn(commits, self._stream.records(), patience_s)

    async def _close_and_store(self) -> None:
        """End the call once the ledger has what was recorded as the stream was logged."""
        if self._engine.commits is None:
            return
        self._close()
        if not await self._stored():
            await self._context.abort(grpc.StatusCode.UNAVAILABLE, UNSTORED)

    async def _waited(self) -> bool:
        """Wait for an adapter to let go what it holds; false if a message came instead.

        What no message is waited for may take as long as the stream lasts.
        """
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._context.read())
        if await self._changes(self._reading):
            self._stream.look()
        elif self._reading.done():
            return False
        else:
            self._stream.give_up(TIMED_OUT)
        await self._send()
        return True

    async def _changes(self, *others: asyncio.Future[bytes]) -> bool:
        """Whether something changed before the deadline, and before anything else happened.

        Also if it did so since the last call, such as while an answer was being sent.
        """
        if not self._is_changed:
            self._change = asyncio.get_running_loop().create_future()
            waiting: tuple[asyncio.Future[Any], ...] = (self._change, *others)
            try:
                await asyncio.wait(waiting, timeout=self._left(), return_when="FIRST_COMPLETED")
            finally:
                self._change = None
        changed, self._is_changed = self._is_changed, False
        return changed

    def _left(self) -> float | None:
        """Seconds for which an adapter may still hold back what the proxy waits for."""
        if not self._stream.waits:
            return None
        now = asyncio.get_running_loop().time()
        if self._deadline is None:
            self._deadline = now + patience(self._context, self._timeout_s)
        return max(0.0, self._deadline - now)

    def _changed(self) -> None:
        self._is_changed = True
        if self._change is not None and not self._change.done():
            self._change.set_result(None)

    async def _finish(self) -> None:
        """The proxy told all that it will: adapters may still be waiting."""
        while self._stream.waits:
            if await self._changes():
                self._stream.look()
            else:
                self._stream.give_up(TIMED_OUT)
            await self._send()
        self._stream.end()
        await self._send()

    async def _end_expired(self) -> None:
        """Raises CancelledError where it was the proxy that ended the call."""
        if not self._expired or self._task is None or self._context.cancelled():
            raise asyncio.CancelledError
        self._task.uncancel()
        if not self._writes:
            self._expired, self.active_at = False, time.monotonic()  # what is said last may expire
            self._stream.expire()
            try:
                await self._send()
                return
            except asyncio.CancelledError:
                if not self._expired or self._context.cancelled():
                    raise
                self._task.uncancel()
        self._close()  # this end of the call lasts for as long as nobody reads
        await self._context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, _UNREAD)

    def _close(self) -> None:
        """Leave nothing behind; more than once is as good as once."""
        self._streams.leave(self)
        if self._closed:
            return
        self._closed = True
        if self._reading is not None:
            self._reading.cancel()
        if self._ticket is not None:
            self._ticket.release()
        ended = self._stream.close()
        if ended is not None:
            told = partial(decision_log.Told, ended.request, ended.decision)
            decision_log.log_decision(self._engine, "ext_proc", ended.decision, told)
