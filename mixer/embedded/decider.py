"""An engine in this process as what decides."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mixer.attributes import AttributeBag, HeaderMap, PairSource
from mixer.config import Configuration, load
from mixer.embedded.attributes import RESOLVERS, EmbeddedSource
from mixer.embedded.exchange import EmbeddedExchange
from mixer.engine import Engine, Request
from mixer.engine.clusters import open_callouts
from mixer.engine.life import check_adapters, end_plugins
from mixer.engine.unmet import unmet
from mixer.middleware import Incoming

_log = logging.getLogger(__name__)


class EmbeddedDecider:
    """Runs the adapters of a configuration in this process, one engine for each event loop.

    Of the document ``Mixer`` counts what is about adapters, their state and limits; listeners,
    telemetry and load shedding are a service's.

    Args:
        configuration: A file or folder as `mixer serve` takes it, read at the start, or what was
            loaded of one.
        continue_on_errors: Start even where a FAIL_CLOSE adapter does not load; what it is for is
            then refused.
    """

    def __init__(
        self,
        configuration: Configuration | Path | str,
        *,
        continue_on_errors: bool = False,
    ) -> None:
        self._configuration = configuration
        self._continue_on_errors = continue_on_errors

    @asynccontextmanager
    async def running(self) -> AsyncIterator["EmbeddedRunning"]:
        """Start an engine; left, its plugins end in good order.

        Raises:
            BrokenAdaptersError: An adapter that may not be passed over does not load.
            ConfigError: The configuration is wrong.
            StoreError: The store of shared state cannot be opened.
            TlsFilesError: A file of a cluster's TLS settings cannot be used.
        """
        configuration = self._configuration
        if not isinstance(configuration, Configuration):
            configuration = load(Path(configuration))
        spec = configuration.mixer
        async with open_callouts(spec) as callouts:
            with Engine(configuration, callouts=callouts) as engine:
                check_adapters(engine, continue_on_errors=self._continue_on_errors)
                for notice in (*engine.notices, *unmet(configuration)):
                    _log.warning("%s", notice)
                try:
                    yield EmbeddedRunning(engine)
                finally:
                    await end_plugins(engine, spec.shutdown.grace)


class EmbeddedRunning:
    """See `mixer.middleware.Running`.

    Args:
        engine: Decides.

    Attributes:
        engine: The same, for its metrics.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def open(self, incoming: Incoming) -> EmbeddedExchange:
        """See `mixer.middleware.Running`."""
        headers = HeaderMap(PairSource(incoming.headers))
        bag = AttributeBag(RESOLVERS, EmbeddedSource(incoming, headers))
        exchange = self.engine.open(Request(headers=headers, attributes=bag))
        timeout = self._patience(incoming)
        return EmbeddedExchange(exchange, incoming, timeout, self.engine.commits)

    def _patience(self, incoming: Incoming) -> float:
        timeout = self.engine.decision_timeout
        return timeout if incoming.seconds is None else max(0.0, min(timeout, incoming.seconds))
