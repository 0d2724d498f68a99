"""envoy.service.network_ext_proc.v3.NetworkExternalProcessor on grpc.aio."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from mixer.api import network_ext_proc
from mixer.api.network_ext_proc import CLOSE, MalformedMessageError, Session
from mixer.engine import Engine
from mixer.engine.durable import UNSTORED
from mixer.engine.storing import stored_or_withdrawn
from mixer.shedding import Gate, Kind, Refusal, Shedder, Ticket
from mixer.transport import decision_log
from mixer.transport.caller import caller_of
from mixer.transport.waiting import TIMED_OUT, patience

_log = logging.getLogger(__name__)

_Context = grpc.aio.ServicerContext[bytes, bytes]

WRITE_TIMEOUT_S = 30.0
"""How long a proxy may leave an answer unread: meanwhile nothing more is read from it."""
UNREAD = "caller_does_not_read"


def handler(
    engine: Engine, shedder: Shedder | None = None
) -> "grpc.GenericRpcHandler[bytes, bytes]":
    """The service's handler: a call for each connection, for as long as that lives.

    A call never ends with OK before the proxy ends it. What is refused is closed by a message: a
    gRPC status lets the data pass where the proxy is configured to fail open.
    """
    gate = None if shedder is None else shedder.gate("network_ext_proc", Kind.CHECK)

    async def process(_requests: AsyncIterator[bytes], context: _Context) -> None:
        session = Session(engine.connect, _texts(context), caller_of(context))
        try:
            await _Conversation(context, session, gate, engine).run()
        except MalformedMessageError as error:
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except TimeoutError:
            session.exchange.give_up(UNREAD)
            session.close()  # the status waits for the answer that is under way
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, UNREAD)
        except Exception:
            _log.exception("a connection failed")
            await _refuse(context, grpc.StatusCode.INTERNAL, "internal error")
        finally:
            decision_log.log_connection(session.attributes, session.close())

    methods = {network_ext_proc.METHOD: grpc.stream_stream_rpc_method_handler(process)}
    return grpc.method_handlers_generic_handler(network_ext_proc.SERVICE, methods)


def _texts(context: _Context) -> dict[str, str]:
    found = context.invocation_metadata() or ()
    return {name: value for name, value in found if isinstance(value, str)}


async def _refuse(context: _Context, code: grpc.StatusCode, message: str) -> None:
    await context.write(CLOSE)
    await context.abort(code, message)


class _Conversation:
    """Moves the messages of one call.

    Args:
        context: The call.
        session: What the messages mean.
        gate: Is asked before the connection is taken on.
        engine: Says how long an adapter may hold the connection from its start, which is less where
            the proxy waits for less, and has the ledger.
    """

    def __init__(
        self, context: _Context, session: Session, gate: Gate | None, engine: Engine
    ) -> None:
        self._context = context
        self._session = session
        self._gate = gate
        self._engine = engine
        self._patience_s = engine.decision_timeout
        self._deadline: float | None = None
        self._ticket: Ticket | None = None
        self._changed = asyncio.Event()
        session.exchange.on_change = self._changed.set
        self._reading: asyncio.Future[Any] = asyncio.ensure_future(context.read())
        self._waking: asyncio.Future[Any] = asyncio.ensure_future(self._changed.wait())

    async def run(self) -> None:
        """Until the proxy ends the call, or is to close the connection.

        Raises:
            MalformedMessageError: The proxy sent what may not come.
            TimeoutError: It reads no answers.
        """
        try:
            while not self._session.closed:
                answers = await self._next()
                if answers is None:
                    return
                if self._engine.commits is not None and not await self._stored():
                    self._session.exchange.give_up(UNSTORED)
                    answers = self._session.changes()
                for answer in answers:
                    async with asyncio.timeout(WRITE_TIMEOUT_S):
                        await self._context.write(answer)
        finally:
            self._reading.cancel()
            self._waking.cancel()
            self._release()

    async def _stored(self) -> bool:
        """Wait until the ledger has what was recorded; whether the connection may go on."""
        commits = self._engine.commits
        if commits is None:
            return True
        patience_s = patience(self._context, self._patience_s)
        return await stored_or_withdrawn(commits, self._session.exchange.records(), patience_s)

    async def _next(self) -> list[bytes] | None:
        """Wait for a message or a change; what is to be sent, or None at the end."""
        both = {self._reading, self._waking}
        done, _ = await asyncio.wait(
            both, timeout=self._patience(), return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            self._session.exchange.give_up(TIMED_OUT)
        answers = self._session.changes() if self._waking.done() or not done else []
        if self._waking.done():
            self._changed.clear()
            self._waking = asyncio.ensure_future(self._changed.wait())
        if self._reading.done() and not self._session.closed:
            message = self._reading.result()
            if message is grpc.aio.EOF:  # type: ignore[attr-defined]  # not in the stubs
                return None
            self._reading = asyncio.ensure_future(self._context.read())
            answers += self._receive(message)
        self._watch_start()
        return answers

    def _receive(self, message: bytes) -> list[bytes]:
        if not self._session.begun and self._gate is not None:
            ticket = self._gate.admit()
            if isinstance(ticket, Refusal):
                self._session.exchange.give_up(f"overload_{ticket.reason}")
            else:
                self._ticket = ticket
        return self._session.receive(message)

    def _patience(self) -> float | None:
        if self._deadline is None:
            return None
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    def _watch_start(self) -> None:
        """Bound the time for which an adapter holds the connection from its start."""
        if not self._session.waits:
            self._deadline = None
            self._release()
        elif self._deadline is None:
            wait = patience(self._context, self._patience_s)
            self._deadline = asyncio.get_running_loop().time() + wait

    def _release(self) -> None:
        if self._ticket is not None:
            self._ticket.release()
            self._ticket = None
