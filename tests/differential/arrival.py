"""When Envoy has read what was sent to it: the next piece then is one of its own."""

import asyncio

from mixer.study.client import get
from mixer.study.envoy import EnvoyProcess

_LONG_S = 15.0
_ASK_AGAIN_S = 0.002


class Arrival:
    """One of Envoy's counters of bytes, which it raises before it reads on.

    Args:
        envoy: It runs.
        counter: Such as ``http.NAME.downstream_cx_rx_bytes_total``; nobody else's bytes count
            there at the same time.
        reader: Of the connection, to see when Envoy has ended it.
    """

    def __init__(self, envoy: EnvoyProcess, counter: str, reader: asyncio.StreamReader) -> None:
        self._envoy = envoy
        self._target = f"/stats?filter=^{counter.replace('.', '%5C.')}$"
        self._reader = reader

    async def count(self) -> int:
        """Bytes that Envoy has read."""
        answer = await get(self._envoy.admin_address, self._target)
        return int(answer.body.rpartition(b":")[2])

    async def beyond(self, before: int) -> None:
        """Wait until Envoy has read more, or the connection has ended.

        Raises:
            TimeoutError: It never does.
        """
        async with asyncio.timeout(_LONG_S):
            while not self._ended():
                if await self.count() > before:
                    return
                await asyncio.sleep(_ASK_AGAIN_S)

    def _ended(self) -> bool:
        return self._reader.at_eof() or self._reader.exception() is not None
