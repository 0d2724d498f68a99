"""Calls that share a Redis connection, sans-I/O: whose reply is which, and what is still owed.

A call that is given up keeps its place until its replies have come, so that a late one is never
taken for the next call's.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mixer.callouts.ports import RedisReply
from mixer.callouts.resp import ReplyScanner, RespError, RespLimits

_PUSH = b">"

Done = Callable[[RedisReply], None]


@dataclass(slots=True, eq=False)
class PendingCall:
    """A call whose answer is not whole yet.

    Attributes:
        query: Raw RESP.
        commands: How many of them have no reply yet.
        done: Whom to tell; None once nobody waits.
        parts: Its replies so far.
        size: Their bytes.
    """

    query: bytes
    commands: int
    done: Done | None = None
    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    def finish(self, reply: RedisReply) -> None:
        """Tell whoever waits; only the first time."""
        done, self.done = self.done, None
        if done is not None:
            done(reply)


class Pipeline:
    """What one connection owes, in order.

    Args:
        limits: Of one reply; its size is also that of all replies of a call together.
    """

    def __init__(self, limits: RespLimits) -> None:
        self._limits = limits
        self._scanner = ReplyScanner(limits)
        self._owed: deque[PendingCall] = deque()

    def __len__(self) -> int:
        return len(self._owed)

    def sent(self, call: PendingCall) -> None:
        """A call's query was sent after all others."""
        self._owed.append(call)

    def received(self, data: bytes) -> Iterator[PendingCall]:
        """Take what the server sent, and give the calls whose answers are whole, each once.

        Raises:
            RespError: It is no RESP, past a bound, or a reply that nobody asked for.
        """
        for value in self._scanner.feed(data):
            if value.startswith(_PUSH):
                continue  # RESP3's news belong to no call
            if not self._owed:
                raise RespError("a reply that nothing asked for")
            call = self._owed[0]
            self._add(call, value)
            if not call.commands:
                yield self._owed.popleft()

    def _add(self, call: PendingCall, value: bytes) -> None:
        call.commands -= 1
        call.size += len(value)
        if call.size > self._limits.size:
            raise RespError(f"replies are longer than the bound of {self._limits.size} bytes")
        if call.done is not None:
            call.parts.append(value)

    def lost(self) -> list[PendingCall]:
        """The connection is gone: give the calls that get no answer any more."""
        owed, self._owed = list(self._owed), deque()
        return owed
