"""An adapter's answer on its way back through those that saw the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.engine.answer_path import AnswerPath, sees_responses

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.engine.adapter import Adapter
    from mixer.engine.decision import Response
    from mixer.proxywasm import HttpStream, StreamContext


class WayBack:
    """Goes on whenever an adapter that holds the answer lets it go.

    Args:
        adapter: Who answered.
        stream: The stream.
        contexts: Of those that saw the request, in order.
        wake: Called when it may go on.

    Attributes:
        adapter: As given.
        held_by: The name of the adapter that holds the answer now.
    """

    __slots__ = ("_steps", "_wake", "adapter", "held_by")

    def __init__(
        self,
        adapter: Adapter,
        stream: HttpStream,
        contexts: dict[Adapter, StreamContext],
        wake: Callable[[], None],
    ) -> None:
        self.adapter = adapter
        self.held_by = ""
        self._wake = wake
        seeing = [a for a, c in contexts.items() if sees_responses(a, c)]
        self._steps = AnswerPath(stream, contexts).run(reversed(seeing))

    def go_on(self) -> Response | None:
        """Bring it on; what is left of it at the end, None before.

        Raises:
            AdapterFailure: An adapter failed with it.
        """
        try:
            paused = next(self._steps)
        except StopIteration as end:
            response: Response = end.value
            return response
        self.held_by = "" if paused.adapter is None else paused.adapter.name
        paused.context.wait(self._wake)
        return None

    def close(self) -> None:
        """Give it up."""
        self._steps.close()
