"""The life of the service: load, listen, serve until told to stop."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from mixer.config import Configuration, MixerSpec, Telemetry
from mixer.engine import Engine
from mixer.engine.clusters import open_callouts
from mixer.engine.life import check_adapters, end_plugins
from mixer.engine.unmet import unmet
from mixer.telemetry import Metrics
from mixer.transport.access import METRICS, Access
from mixer.transport.admin import admin_server
from mixer.transport.collector import spare_the_collector
from mixer.transport.decision_logging import check_log_file, decision_logging
from mixer.transport.health import Health
from mixer.transport.listening import check_free, check_listeners
from mixer.transport.metrics_push import push_settings
from mixer.transport.otlp_library import importing
from mixer.transport.overload import shedder_for
from mixer.transport.servers import Addresses, Servers
from mixer.transport.spans import watching
from mixer.transport.tls import ServerTls

if TYPE_CHECKING:
    from mixer.transport.otlp import OtlpPush

_log = logging.getLogger(__name__)


class Told(NamedTuple):
    """Where the service tells of itself, as ``host:port`` or ``unix:path``; None for nowhere.

    Attributes:
        metrics: Where metrics can be fetched.
        admin: Where `mixer explain` can ask.
    """

    metrics: str | None = None
    admin: str | None = None


Announce = Callable[[Engine, Addresses, Told], None]
"""Told the engine and the addresses, once the service answers."""

_NO_RELOAD = "SIGHUP is ignored: the configuration is read at the start; restart to change it"


async def serve(
    configuration: Configuration,
    announce: Announce,
    *,
    continue_on_errors: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        configuration: What to serve.
        announce: Called once, when the service answers.
        continue_on_errors: Serve even where a FAIL_CLOSE adapter did not load; what it is for is
            then refused.

    Raises:
        BrokenAdaptersError: Such an adapter did not load.
        ConfigError: An expression of an adapter or a rule is wrong.
        DecisionLogError: The file of the decision log cannot be written.
        ListenError: An address cannot be listened on, or a file of a listener's TLS not be used.
        StoreError: The store of shared state cannot be opened.
        OtlpLibraryError: Metrics or spans cannot be sent.
        TlsFilesError: A file of a cluster's TLS settings cannot be used.
    """
    check_listeners(configuration.mixer.listeners)
    metrics_address = configuration.mixer.telemetry.metrics.address
    if metrics_address is not None:
        check_free("spec.telemetry.metrics", metrics_address)
    if configuration.mixer.admin.address is not None:
        check_free("spec.admin", configuration.mixer.admin.address)
    check_log_file(configuration.mixer)
    access = Access(configuration.mixer)
    health = Health(max(1, configuration.mixer.limits.max_concurrent_rpcs // 2))
    async with open_callouts(configuration.mixer) as callouts:
        with Engine(configuration, on_change=health.adapter_changed, callouts=callouts) as engine:
            check_adapters(engine, continue_on_errors=continue_on_errors)
            for notice in (*engine.notices, *unmet(configuration)):
                _log.warning("%s", notice)
            async with access:
                await _answer(engine, configuration.mixer, health, access, announce)


async def _answer(
    engine: Engine, spec: MixerSpec, health: Health, access: Access, announce: Announce
) -> None:
    shedder = shedder_for(spec.load_shedding)
    spare_the_collector()
    async with AsyncExitStack() as stack:
        logger, recent = stack.enter_context(decision_logging(spec))
        if logger is not None:
            engine.decision_log, engine.sampler = logger, logger.sampling.sampler
        spans = watching(engine, spec.telemetry, os.environ)
        watch, counts = await stack.enter_async_context(spans)
        metrics = Metrics(engine, shedder, access, watch.calls, counts)
        telling = _telling(metrics, spec.telemetry, access.to(METRICS).tls)
        told = Told(metrics=await stack.enter_async_context(telling))
        async with Servers(engine, spec, health, shedder, access, watch) as servers:
            async with admin_server(engine, spec, recent) as admin_address:
                stop = _stop_signal()
                announce(engine, servers.addresses, told._replace(admin=admin_address))
                await stop.wait()
            _log.info("stopping: what is in flight has %g s", spec.shutdown.grace)
        await end_plugins(engine, spec.shutdown.grace)
    for adapter in engine.adapters:
        _log.info("adapter %s: %s", adapter.name, adapter.stats)


@asynccontextmanager
async def _telling(
    metrics: Metrics, telemetry: Telemetry, tls: ServerTls | None
) -> AsyncIterator[str | None]:
    """Tell metrics to whom the configuration says; the address where they can be fetched."""
    async with AsyncExitStack() as stack:
        address = telemetry.metrics.address
        if address is not None:
            from mixer.transport.metrics_server import MetricsServer

            endpoint = MetricsServer(metrics)
            address = await stack.enter_async_context(endpoint.listening(address, tls))
        settings = push_settings(telemetry.otlp, os.environ)
        if settings is not None:
            OtlpPush = _otlp_push()  # noqa: N806 - a class
            await stack.enter_async_context(OtlpPush(metrics, settings))
        yield address


def _otlp_push() -> "type[OtlpPush]":
    with importing("spec.telemetry.otlp"):
        from mixer.transport.otlp import OtlpPush
    return OtlpPush


def _stop_signal() -> asyncio.Event:
    """Set at SIGTERM or SIGINT; before, while modules load, either ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, _log.warning, _NO_RELOAD)
    return stop
