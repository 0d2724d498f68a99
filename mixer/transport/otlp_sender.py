"""What all that is sent by OTLP has in common: the task that sends, and a line for each outage."""

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

_log = logging.getLogger(__name__)
_EXPORTERS = "opentelemetry.exporter"

_LAST_S = 2.0


class OtlpSender(ABC):
    """Sends while entered, and once more at the end.

    Args:
        what: Is sent, for the log.
        endpoint: Where to, for the log.
        shut_down: Called when nothing more is to be sent.
    """

    def __init__(self, what: str, endpoint: str | None, shut_down: Callable[[], None]) -> None:
        self._what = what
        self._endpoint = endpoint
        self._shut_down = shut_down
        self._is_down = False

    @abstractmethod
    async def _wait(self) -> None:
        """Return when it is time to send."""

    @abstractmethod
    async def _send_all(self) -> None:
        """Send what there is now, and `_tell` of it; never raises for what becomes of it."""

    async def __aenter__(self) -> Self:
        logging.getLogger(_EXPORTERS).setLevel(logging.CRITICAL)  # `_tell` says it once
        self._task = asyncio.create_task(self._send_for_ever())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_S):
                await self._send_all()
        self._shut_down()

    async def _send_for_ever(self) -> None:
        while True:
            await self._wait()
            await self._send_all()

    def _tell(self, *, is_down: bool) -> None:
        """One line for each outage; the exporter's own would be one or two for each message."""
        if is_down and not self._is_down:
            _log.warning("OTLP at %s takes no %s", self._endpoint, self._what)
        elif self._is_down and not is_down:
            _log.info("OTLP at %s takes %s again", self._endpoint, self._what)
        self._is_down = is_down
