"""A Redis server as one VM uses it: one connection, which is made when it is needed."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mixer.callouts.dialing import Connection, DialError
from mixer.callouts.ports import Cancel, NotSentError, RedisReply, RedisTarget
from mixer.callouts.redis_login import cluster_name, login_queries, shown_error
from mixer.callouts.redis_pipeline import Done, PendingCall, Pipeline
from mixer.callouts.resp import MIB, ReplyScanner, RespError, RespLimits, count_commands
from mixer.callouts.tls import TlsFilesError

_log = logging.getLogger(__name__)

NETWORK_ERROR = RedisReply(1)
"""Higress's only status of a failure, whatever it was."""

_READ_BYTES = 1 << 16
_FIRST_BACKOFF_S = 0.05
_LONGEST_BACKOFF_S = 1.0


class LoginError(Exception):
    """The server refused AUTH or SELECT; the message says how, without a secret."""


_FAILURES = (OSError, DialError, TlsFilesError, RespError, LoginError)


@dataclass(frozen=True, slots=True)
class RedisLimits:
    """Bounds of one client.

    Attributes:
        calls: That wait, those included whose late replies are still owed.
        bytes: Of the queries of those calls.
        silence: Seconds after which a server that owes a reply and sends nothing is given up.
        reply: Of one answer.
    """

    calls: int = 16_384
    bytes: int = 16 * MIB
    silence: float = 10.0
    reply: RespLimits = field(default_factory=RespLimits)


class RedisClient:
    """One pipelined connection; see `mixer.callouts.ports.Redis`.

    Calls that come before the connection is ready wait, at most for their timeout. Where it cannot
    be made, all that wait fail, and the next attempt comes after a jittered pause of up to a
    second. No connection is shared between VMs: a SELECT, MULTI or BLPOP of one would be felt by
    the others.

    Args:
        target: Names the cluster, and logs in.
        connect: Opens a connection; raises DialError, TlsFilesError.
        limits: Bounds.
    """

    def __init__(
        self,
        target: RedisTarget,
        connect: Callable[[], Awaitable[Connection]],
        limits: RedisLimits | None = None,
    ) -> None:
        self._target = target
        self._connect = connect
        self._limits = limits or RedisLimits()
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[PendingCall] = deque()
        self._pipeline = Pipeline(self._limits.reply)
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._flushing = self._closed = False
        self._bytes = 0
        self._backoff = 0.0
        self._heard = 0.0
        self._warned = ""

    def call(self, query: bytes, done: Done) -> Cancel:
        """See `mixer.callouts.ports.Redis`."""
        call = PendingCall(query, count_commands(query))
        self._check_room(len(query))
        timer = self._loop.call_later(self._target.timeout, self._expire, call)

        def finish(reply: RedisReply) -> None:
            timer.cancel()
            done(reply)

        def cancel() -> None:
            timer.cancel()
            call.done = None

        call.done = finish
        self._waiting.append(call)
        self._bytes += len(query)
        self._wake()
        return cancel

    def close(self) -> None:
        """See `mixer.callouts.ports.Redis`."""
        self._closed = True
        for call in (*self._waiting, *self._pipeline.lost()):
            call.done = None
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    def _check_room(self, size: int) -> None:
        name = f"Redis cluster {cluster_name(self._target.service)}"
        if self._closed:
            raise NotSentError(f"{name}: the connection is closed")
        if len(self._waiting) + len(self._pipeline) >= self._limits.calls:
            raise NotSentError(f"{name}: {self._limits.calls} calls wait already, the bound")
        if self._bytes + size > self._limits.bytes:
            raise NotSentError(
                f"{name}: the queries that wait are longer than the bound of "
                f"{self._limits.bytes} bytes"
            )

    def _wake(self) -> None:
        if self._writer is not None:
            if not self._flushing:
                self._flushing = True
                self._loop.call_soon(self._flush)
        elif self._task is None or self._task.done():
            self._task = self._loop.create_task(self._run())

    def _flush(self) -> None:
        """Write all that waits at once."""
        self._flushing = False
        if self._writer is None:
            return
        if not self._pipeline:
            self._heard = self._loop.time()
        queries = []
        while self._waiting:
            call = self._waiting.popleft()
            if call.done is None:
                self._bytes -= len(call.query)
                continue
            self._pipeline.sent(call)
            queries.append(call.query)
        self._writer.write(b"".join(queries))

    def _expire(self, call: PendingCall) -> None:
        self._tell(call, NETWORK_ERROR)
        silent = self._loop.time() - self._heard > self._limits.silence
        if self._pipeline and silent and self._writer is not None:
            self._writer.transport.abort()

    def _tell(self, call: PendingCall, reply: RedisReply) -> None:
        if not self._closed:
            call.finish(reply)

    def _finish(self, call: PendingCall, reply: RedisReply) -> None:
        self._bytes -= len(call.query)
        # Not from here: what a module does with the answer must not stop this connection.
        self._loop.call_soon(self._tell, call, reply)

    async def _run(self) -> None:
        """Connect and serve, again and again as long as calls wait."""
        while self._waiting:
            await asyncio.sleep(self._backoff * random.uniform(0.5, 1.0))  # noqa: S311
            try:
                await self._serve(await self._connect())
            except _FAILURES as error:
                self._failed(str(error))
            for call in self._pipeline.lost():
                self._finish(call, NETWORK_ERROR)

    async def _serve(self, connection: Connection) -> None:
        """Serve calls until the connection ends. Raises what a failure is."""
        try:
            await self._log_in(connection)
            self._pipeline = Pipeline(self._limits.reply)
            self._writer = connection.writer
            self._flush()
            while data := await connection.reader.read(_READ_BYTES):
                self._heard = self._loop.time()
                for call in self._pipeline.received(data):
                    self._backoff, self._warned = 0.0, ""
                    self._finish(call, RedisReply(0, b"".join(call.parts)))
        finally:
            self._writer = None
            connection.writer.transport.abort()

    async def _log_in(self, connection: Connection) -> None:
        queries = login_queries(self._target)
        connection.writer.write(b"".join(query for _, query in queries))
        try:
            async with asyncio.timeout(self._target.timeout):
                replies = await self._replies(connection.reader, len(queries))
        except TimeoutError:
            raise LoginError("the server does not answer AUTH or SELECT in time") from None
        for (command, _), reply in zip(queries, replies, strict=False):
            if reply.startswith(b"-"):
                raise LoginError(f"{command}: {shown_error(reply, self._target)}")

    async def _replies(self, reader: asyncio.StreamReader, count: int) -> list[bytes]:
        scanner, replies = ReplyScanner(self._limits.reply), list[bytes]()
        while len(replies) < count:
            data = await reader.read(_READ_BYTES)
            if not data:
                raise LoginError("the server closes the connection instead of answering AUTH")
            replies += scanner.feed(data)
        return replies

    def _failed(self, why: str) -> None:
        """There is no connection, or it broke: tell those that wait, and the log once."""
        if why != self._warned:
            name = cluster_name(self._target.service)
            _log.warning("Redis cluster %s: %s", name, why)
            self._warned = why
        self._backoff = min(max(2 * self._backoff, _FIRST_BACKOFF_S), _LONGEST_BACKOFF_S)
        while self._waiting:
            self._finish(self._waiting.popleft(), NETWORK_ERROR)
