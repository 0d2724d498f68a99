"""One HTTP callout, from being asked for until its one callback."""

import asyncio
from collections.abc import Callable

from mixer.callouts.http_failures import TIMED_OUT, Outcome, Reset, reset_reply
from mixer.callouts.http_request import Request
from mixer.callouts.ports import HttpReply

Done = Callable[[HttpReply | None], None]


def _nothing_yet() -> bool:
    return False


class HttpCallout:
    """Waits for a connection, runs, and ends once: with an answer, a failure or a cancellation.

    Args:
        request: What goes out.
        done: Told the end, from the event loop and never after ``cancel``.
    """

    def __init__(self, request: Request, done: Done) -> None:
        self.request = request
        self.give_up: Callable[[], bool] = _nothing_yet
        """Takes it out of where it is; whether the headers of a response had come."""
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._over = False
        self._next: asyncio.Handle | None = None

    def accepted(self) -> None:
        """Count its time from now on."""
        if self.request.timeout is not None and not self._over:
            self._next = self._loop.call_later(self.request.timeout, self._time_out)

    def end(self, outcome: Outcome) -> None:
        """Tell how it ended, soon; only the first end counts."""
        if self._over:
            return
        self._over = True
        if self._next is not None:
            self._next.cancel()
        reply = reset_reply(outcome) if isinstance(outcome, Reset) else outcome
        self._next = self._loop.call_soon(self._done, reply)

    def cancel(self) -> None:
        """Give it up: nothing is told any more."""
        if self._next is not None:
            self._next.cancel()
        if not self._over:
            self._over = True
            self.give_up()

    def _time_out(self) -> None:
        self.end(None if self.give_up() else TIMED_OUT)
