"""The connection over which batches of takes go, one at a time; it never blocks the event loop.

While one batch is under way, what is asked for in the meantime becomes the next.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha1
from typing import Any

from redis import RedisError
from redis.asyncio import Connection
from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

from mixer.state.quota.ports import Answer, Take
from mixer.state.quota.redis.codec import (
    RubbishError,
    decode,
    encode,
    key_of,
    memory_of,
    prefix_of,
)
from mixer.state.quota.redis.free_time import TICKS, FreeTime
from mixer.state.redis_store.breaker import CircuitBreaker
from mixer.state.redis_store.client import RedisOptions
from mixer.state.redis_store.scripts import script_of

_log = logging.getLogger(__name__)

MAX_WAITING = 16_384
"""Takes that wait to be sent, of all VMs."""

MAX_BATCH = 128
MAX_BATCH_CHARGES = 512
"""A script that counts so many holds the server up for less than ten milliseconds."""

_COMPLAINT_SECONDS = 60.0
_SCRIPT = script_of(__package__, "take")
_SHA = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()


class Asked:
    """One take that waits; see `mixer.state.quota.Later`.

    Attributes:
        vm_id: Whose.
        take: What is to be taken.
        until: When the answer must be there, in ticks of the link's `FreeTime`.
    """

    __slots__ = ("_done", "take", "until", "vm_id")

    def __init__(self, vm_id: str, take: Take, until: int) -> None:
        self.vm_id = vm_id
        self.take = take
        self.until = until
        self._done: Callable[[Answer], None] | None = None

    def wait(self, done: Callable[[Answer], None]) -> None:
        """See `Later`."""
        self._done = done

    def cancel(self) -> None:
        """See `Later`."""
        self._done = None

    def answer(self, answer: Answer) -> None:
        """Tell whoever still waits, soon: what goes wrong there is no business of the link."""
        asyncio.get_running_loop().call_soon(self._tell, answer)

    def _tell(self, answer: Answer) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(answer)


class RedisLink:
    """Sends takes to the server, and tells what came of them.

    Args:
        options: Where it is; its ``timeout`` bounds each take, from asking to answer, but for the
            time that the event loop is held up by something else.
        answered: Told of each take and the server's answer.
        failed: Told of each take that the server did not answer, in time or at all.
        meanwhile: For the log: what becomes of those.
        clock: Microseconds, instead of the server's own clock; for tests.
    """

    def __init__(
        self,
        options: RedisOptions,
        answered: Callable[[Asked, Answer], None],
        failed: Callable[[Sequence[Asked]], None],
        meanwhile: str,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._options = options
        self._answered = answered
        self._failed = failed
        self._meanwhile = meanwhile
        self._clock = clock
        self._pool = options.pool()
        self._probe = options.connect()
        self.breaker = CircuitBreaker(options.place, self._ping)
        self._waiting: deque[Asked] = deque()
        self._more = asyncio.Event()
        self._time = FreeTime(options.timeout, self._is_waited_for)
        self._until = 0
        self._under_way: asyncio.Timeout | None = None
        self._task: asyncio.Task[None] | None = None
        self._next_complaint = 0.0

    def ask(self, vm_id: str, take: Take) -> Asked | None:
        """Send a take soon; None where it cannot be sent now."""
        if self.breaker.is_open or len(self._waiting) >= MAX_WAITING:
            return None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # nothing would be sent
            return None
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run())
        self._time.run()
        asked = Asked(vm_id, take, self._time.ticks + TICKS)
        self._waiting.append(asked)
        self._more.set()
        return asked

    async def _run(self) -> None:
        connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            while True:
                await self._more.wait()
                batch = self._next_batch()
                if not await self._is_carried(connection, batch):
                    await connection.disconnect(nowait=True)
        finally:
            await connection.disconnect(nowait=True)

    def _next_batch(self) -> list[Asked]:
        batch: list[Asked] = []
        charges = 0
        while self._waiting and len(batch) < MAX_BATCH and charges < MAX_BATCH_CHARGES:
            batch.append(self._waiting.popleft())
            charges += len(batch[-1].take.charges)
        if not self._waiting:
            self._more.clear()
        return batch

    async def _is_carried(self, connection: Connection, batch: list[Asked]) -> bool:
        """Send a batch and tell of each take; whether the connection can be used again."""
        try:
            answers = await self._call_in_time(connection, batch)
        except ResponseError as error:
            self._complain(error)
            self._failed(batch)
            # A replica by now: the address may lead to the new primary.
            return not isinstance(error, ReadOnlyError)
        except Exception as error:  # whatever a server that speaks nonsense makes of the library
            self._fail(batch, error)
            return False
        for asked, answer in zip(batch, answers, strict=True):
            self._answered(asked, answer)
        return True

    async def _call_in_time(self, connection: Connection, batch: list[Asked]) -> list[Answer]:
        self._until = batch[0].until
        try:
            async with asyncio.timeout(None) as self._under_way:
                return await self._call(connection, batch)
        finally:
            self._under_way = None

    def _is_waited_for(self) -> bool:
        """Look at the time after a tick: whether there will be something to look at again."""
        if self._under_way is None:
            return bool(self._waiting)
        if self._time.ticks >= self._until and not self._under_way.expired():
            self._under_way.reschedule(asyncio.get_running_loop().time())
        return True

    async def _call(self, connection: Connection, batch: list[Asked]) -> list[Answer]:
        await connection.connect()  # type: ignore[no-untyped-call]
        found = await self._evaluate(connection, self._arguments(batch))
        if not isinstance(found, list) or len(found) != len(batch):
            raise RubbishError(f"no list of {len(batch)} answers")
        return [decode(one.take, data) for one, data in zip(batch, found, strict=True)]

    def _arguments(self, batch: list[Asked]) -> list[Any]:
        """What the script is called with, the number of keys first."""
        keys, requests = [], []
        for one in batch:
            prefix = prefix_of(self._options.prefix, one.vm_id)
            keys += [key_of(prefix, charge) for charge in one.take.charges]
            if one.take.dedup_id and one.take.dedup_window_ns:
                keys.append(memory_of(prefix, one.take))
            requests.append(encode(one.take))
        times = (0, 0) if self._clock is None else (self._clock(), _KEPT_BY_TESTS_MS)
        return [len(keys), *keys, *times, *requests]

    async def _evaluate(self, connection: Connection, arguments: list[Any]) -> Any:
        try:
            await connection.send_command("EVALSHA", _SHA, *arguments)
            return await connection.read_response()
        except NoScriptError:
            await connection.send_command("EVAL", _SCRIPT, *arguments)
            return await connection.read_response()

    def _fail(self, batch: list[Asked], error: Exception) -> None:
        """The server is down: whoever waits is told at once, and so is who asks from now on."""
        reason = str(error) or type(error).__name__
        if not self.breaker.is_open:
            self.breaker.trip(reason)
            _log.warning("quotas are %s until Redis answers again", self._meanwhile)
        batch += self._waiting
        self._waiting.clear()
        self._more.clear()
        self._failed(batch)

    def _complain(self, error: RedisError) -> None:
        now = time.monotonic()
        if now >= self._next_complaint:
            self._next_complaint = now + _COMPLAINT_SECONDS
            _log.warning(
                "quotas: Redis at %s refused a call, which is %s: %s",
                self._options.place,
                self._meanwhile,
                error,
            )

    def _ping(self) -> bool:
        try:
            return self._probe.ping() is True
        except Exception:  # as above
            return False

    def close(self) -> None:
        """Send what waits, and nothing more; nobody is told of what is under way."""
        self.breaker.close()
        while self._waiting and not self.breaker.is_open:
            try:
                self._probe.eval(_SCRIPT, *self._arguments(self._next_batch()))
            except Exception as error:  # as above
                _log.warning("quotas: what was taken last is not counted: %s", error)
                break
        self._probe.close()
        self._time.close()
        if self._task is not None:
            with suppress(RuntimeError):  # the loop is closed, and ended it
                self._task.cancel()


_KEPT_BY_TESTS_MS = 3_600_000
"""Keys outlive their use by a clock that is not the server's: it expires them by its own."""
