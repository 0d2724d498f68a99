"""Who can reach which listener."""

import asyncio
import logging
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self

from mixer.config import MixerSpec
from mixer.transport.allow_list import AllowList
from mixer.transport.tls import ServerTls

_log = logging.getLogger(__name__)

METRICS = "telemetry.metrics"
"""What the endpoint of the metrics is called among the listeners: none can have the name."""

_POLL_S = 1.0


class Security(NamedTuple):
    """Who can reach one listener.

    Attributes:
        tls: None for plaintext.
        callers: Who may ask; None for all that have reached it.
    """

    tls: ServerTls | None = None
    callers: AllowList | None = None


EVERYBODY = Security()


class Access:
    """The TLS and the callers of all listeners; looks after the files while it is entered.

    Args:
        spec: Has the listeners.
        poll_s: Seconds between two looks at the files.

    Attributes:
        certificates: Of the listeners that have TLS.
        allow_lists: Of those that have a list of callers.

    Raises:
        ListenError: A file cannot be used.
    """

    def __init__(self, spec: MixerSpec, *, poll_s: float = _POLL_S) -> None:
        files = {one.name: one.tls for one in spec.listeners}
        files[METRICS] = spec.telemetry.metrics.tls
        self._poll_s = poll_s
        self.certificates = tuple(ServerTls(name, tls) for name, tls in files.items() if tls)
        self.allow_lists = tuple(
            AllowList(one.name, one.callers) for one in spec.listeners if one.callers
        )

    def to(self, listener: str) -> Security:
        """Of one listener, or of `METRICS`."""
        tls = (one for one in self.certificates if one.listener == listener)
        callers = (one for one in self.allow_lists if one.listener == listener)
        return Security(next(tls, None), next(callers, None))

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watching.cancel()
        with suppress(asyncio.CancelledError):
            await self._watching

    async def _watch(self) -> None:
        while self.certificates:
            await asyncio.sleep(self._poll_s)
            for one in self.certificates:
                _refresh(one)


def _refresh(tls: ServerTls) -> None:
    """A defect of our own must not end the watch."""
    try:
        tls.refresh()
    except Exception:
        _log.exception("listener %s: the files of its TLS could not be looked at", tls.listener)
