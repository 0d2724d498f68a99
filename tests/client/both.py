"""The two clients behind one interface, so that every test is about both."""

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from mixer.client import AsyncMixerClient, ClientMetrics, ClientSettings, MixerClient


class AsyncInThread:
    """`AsyncMixerClient` on an event loop of its own, called as `MixerClient` is."""

    def __init__(self, settings: ClientSettings) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

        async def made() -> AsyncMixerClient:
            return AsyncMixerClient(settings)

        self.client = self._wait(made())

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def check(self, *args: Any, **more: Any) -> Any:
        return self._wait(self.client.check(*args, **more))

    def report(self, *args: Any, **more: Any) -> None:
        self._wait(self.client.report(*args, **more))

    def flush(self, timeout: float) -> int:
        return self._wait(self.client.flush(timeout))

    def metrics(self) -> ClientMetrics:
        return self.client.metrics()

    def close(self, timeout: float | None = None) -> int:
        return self._wait(self.client.close(timeout))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._wait(self.client.__aexit__(kind, error, trace))
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


CLIENTS = {"sync": MixerClient, "async": AsyncInThread}
