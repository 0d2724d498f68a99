"""Running a step of one adapter, whatever becomes of its VM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.engine.failure import AdapterFailure
from mixer.engine.pausing import living
from mixer.vm import TrapError

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from mixer.engine.adapter import Adapter
    from mixer.engine.exchange.inbox import Inbox
    from mixer.engine.exchange.side import Side
    from mixer.engine.story import Witness
    from mixer.proxywasm import HttpMessage, HttpStream, Outcome, StreamContext


class Guard:
    """Keeps what an adapter does in a step, or undoes it where the adapter fails open.

    Args:
        stream: What the adapters can change.
        contexts: Those that began; one that failed is taken out.
        failed_open: Where to put the names of those that were passed over.
        witness: Keeps how long each step took, or None.
    """

    __slots__ = ("_contexts", "_failed_open", "_stream", "_witness")

    def __init__(
        self,
        stream: HttpStream,
        contexts: MutableMapping[Adapter, StreamContext],
        failed_open: list[str],
        witness: Witness | None = None,
    ) -> None:
        self._witness = witness
        self._stream = stream
        self._contexts = contexts
        self._failed_open = failed_open

    def gone_on(self, message: HttpMessage) -> None:
        """Note that some of the body left the chain."""
        if message.handed_over:
            self._stream.credit(message)

    def run(
        self, side: Side, message: HttpMessage, out: Inbox, step: Callable[[], Outcome]
    ) -> Outcome | None:
        """Run a step.

        Args:
            side: Of the adapter.
            message: What passes it.
            out: Where everything goes if it fails open.
            step: Makes the callback.

        Returns:
            None where the adapter failed and is passed over.

        Raises:
            AdapterFailure: It failed, and may not be passed over.
        """
        adapter, undo = side.adapter, None
        if adapter.fails_open:
            undo = _Undo(self._stream, side, message)
        try:
            if side.context is not None:
                living(adapter, side.context)
            if self._witness is None:
                return step()
            return self._witness.acting(adapter, _callback(side, step), step)
        except TrapError as trap:
            self._contexts.pop(adapter, None)
            failure = adapter.crashed(trap)
        except AdapterFailure as error:
            failure = error
            adapter.note_failure(error.reason)
        if undo is None or not failure.may_fail_open:
            raise failure
        self._contexts.pop(adapter, None)
        left = undo.carry_out()
        if adapter.name not in self._failed_open:
            self._failed_open.append(adapter.name)
        side.bypass(left, message, out)
        return None


def _callback(side: Side, step: Callable[[], Outcome]) -> str:
    """How a story names a step."""
    name: str = getattr(step, "func", step).__name__
    return "resumed" if name == "resume" else f"{side.direction}_{name}"


class _Undo:
    """What there was before a step."""

    __slots__ = (
        "_body",
        "_headers",
        "_held",
        "_message",
        "_saved",
        "_saved_trailers",
        "_side",
        "_stream",
        "_trailers",
    )

    def __init__(self, stream: HttpStream, side: Side, message: HttpMessage) -> None:
        self._stream, self._saved = stream, stream.save()
        self._message, self._headers = message, message.headers.save()
        self._trailers = message.trailers
        self._saved_trailers = None if message.trailers is None else message.trailers.save()
        self._side, self._held, self._body = side, side.held, side.inbox.body

    def carry_out(self) -> bytes:
        """Undo the step; what the adapter had of the body, without what waits in its inbox."""
        self._stream.restore(self._saved)
        self._message.headers.restore(self._headers)
        self._restore_trailers()
        return self._held if self._side.inbox.has_body else self._held + self._body

    def _restore_trailers(self) -> None:
        self._message.trailers = self._trailers
        if self._trailers is not None and self._saved_trailers is not None:
            self._trailers.restore(self._saved_trailers)
