"""A plugin that is asked to log a stream in its root context, as Envoy's Wasm access logger is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.proxywasm.lifecycle import NEW, Event, advance
from mixer.proxywasm.stream_access import StreamAccess

if TYPE_CHECKING:
    from mixer.proxywasm.contexts import RootContext
    from mixer.proxywasm.http_stream import HttpStream

_OVER = advance(NEW, Event.LOG)


class AccessLogContext(StreamAccess):
    """One stream that is over, in the root context of a plugin: no context is created for it.

    Args:
        root: The plugin.
        stream: What it is told of.
    """

    __slots__ = ()

    def __init__(self, root: RootContext, stream: HttpStream) -> None:
        super().__init__(root, stream)
        self.id = root.id
        self._state = _OVER

    def log_stream(self) -> None:
        """Run ``proxy_on_log``. Raises TrapError."""
        self.vm.call(self, self.vm.callbacks.on_log, self.id)

    def delete(self) -> None:
        """Nothing was created."""
