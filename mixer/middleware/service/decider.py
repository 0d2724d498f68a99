"""A central service as what decides."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from mixer.client import AsyncMixerClient, ClientSettings
from mixer.middleware.service.attributes import attributes_of
from mixer.middleware.service.exchange import ServiceExchange
from mixer.middleware.service.outages import Outages
from mixer.middleware.values import Incoming

_LEAST_TIMEOUT = 0.001


class ServiceDecider:
    """Asks a service about each request, unless its answer is kept, and tells it afterwards.

    Args:
        settings: Where the service is, what is kept, and how long to wait for it; the network fail
            policy says what becomes of a request about which the service gives no answer.
        credentials: Of TLS, in place of those that follow from the settings.
        reports: Whether the service is told what became of each request.
    """

    def __init__(
        self,
        settings: ClientSettings,
        credentials: grpc.ChannelCredentials | None = None,
        *,
        reports: bool = True,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._reports = reports

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ServiceRunning"]:
        """Open a client; left, it delivers what was reported, and is closed."""
        async with AsyncMixerClient(self._settings, self._credentials) as client:
            outages = Outages(self._settings.address)
            yield ServiceRunning(client, self._settings.timeout, outages, reports=self._reports)


class ServiceRunning:
    """See `mixer.middleware.ports.Running`.

    Args:
        client: Asks.
        timeout: Seconds for it to answer.
        outages: Told where it does not.
        reports: Whether it tells.

    Attributes:
        client: The same, for its metrics.
    """

    def __init__(
        self, client: AsyncMixerClient, timeout: float, outages: Outages, *, reports: bool
    ) -> None:
        self.client = client
        self._timeout = timeout
        self._outages = outages
        self._reports = reports

    def open(self, incoming: Incoming) -> ServiceExchange:
        """See `mixer.middleware.ports.Running`.

        Raises:
            UntellableError: A header is not UTF-8.
        """
        return ServiceExchange(
            self.client,
            incoming,
            attributes_of(incoming),
            timeout=self._patience(incoming),
            reports=self._reports,
            outages=self._outages,
        )

    def _patience(self, incoming: Incoming) -> float:
        if incoming.seconds is None:
            return self._timeout
        return max(_LEAST_TIMEOUT, min(self._timeout, incoming.seconds))
