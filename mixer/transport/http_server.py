"""The HTTP listeners: uvicorn's protocol on the event loop of the engine, and a graceful stop."""

import asyncio
import logging
import math
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from uvicorn import Config
from uvicorn.server import ServerState

from mixer.config import HttpSettings, Listener, MixerSpec
from mixer.engine import Engine
from mixer.shedding import Gate
from mixer.transport.access import EVERYBODY, Security
from mixer.transport.http_app import Life, Taking, application
from mixer.transport.http_endpoints import ENDPOINTS
from mixer.transport.http_notices import Notices
from mixer.transport.http_protocol import BoundedProtocol, HttpBounds
from mixer.transport.listening import UNIX, listen_error
from mixer.transport.trust import TrustedCallers
from mixer.transport.watch import Watch

_MOMENT_S = 0.02
_BACKLOG = 2048
_ALPN = ("http/1.1",)


class HttpServer:
    """Serves one engine on one HTTP listener.

    Args:
        engine: Decides.
        listener: Where, and with which bounds.
        spec: Limits of the service.
        gate: Refuses what is too much; None refuses nothing.
        security: Who can reach it.
        watch: Counts its requests; None has them counted for nobody.

    Attributes:
        address: With the port that it has, once entered.

    Raises:
        ListenError: On entering, if the address cannot be listened on.
    """

    def __init__(
        self,
        engine: Engine,
        listener: Listener,
        spec: MixerSpec,
        gate: Gate | None = None,
        security: Security = EVERYBODY,
        watch: Watch | None = None,
    ) -> None:
        settings = listener.http or HttpSettings()
        limits = spec.limits
        taking = Taking(
            gate,
            TrustedCallers(settings.trusted_callers),
            security.callers,
            limits.max_message_bytes,
            limits.max_concurrent_rpcs,
            Notices(listener.name),
        )
        self.address = listener.address
        self._listener = listener
        self._grace = spec.shutdown.grace
        self._secured: dict[str, Any] = {}
        if security.tls is not None:
            self._secured = {
                "ssl": security.tls.context(_ALPN),
                "ssl_handshake_timeout": limits.connections.handshake_timeout,
            }
        self._life = Life()
        self._state = ServerState()
        app = application(engine, ENDPOINTS, taking, self._life, watch or Watch())
        self._config = _uvicorn(app, settings)
        self._bounds = HttpBounds(
            settings.max_connections, settings.max_header_bytes, settings.idle_timeout
        )

    async def __aenter__(self) -> "HttpServer":
        try:
            self._server = await self._listen(self.address)
        except OSError as error:
            name = f"listener {self._listener.name}"
            raise listen_error(name, self.address, error) from error
        return self

    async def _listen(self, address: str) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if address.startswith(UNIX):
            path = Path(address.removeprefix(UNIX))
            unix = await loop.create_unix_server(
                self._protocol, str(path), backlog=_BACKLOG, **self._secured
            )
            self._set_mode(path)
            return unix
        host, _, port = address.rpartition(":")
        server = await loop.create_server(
            self._protocol, host.strip("[]"), int(port), backlog=_BACKLOG, **self._secured
        )
        self.address = f"{host}:{server.sockets[0].getsockname()[1]}"
        return server

    def _set_mode(self, path: Path) -> None:
        if self._listener.mode is not None:
            path.chmod(self._listener.mode)

    def _protocol(self) -> BoundedProtocol:
        return BoundedProtocol(self._config, self._state, self._bounds)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish what is in flight, and cut what outlasts the grace period.

        Connections end with their next answer; those that have none are kept for a moment, since a
        request may be on its way.
        """
        self._life.is_stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._grace):
                await self._quiet()
        self._server.close()
        for task in tuple(self._state.tasks):
            task.cancel()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)
        for connection in tuple(self._state.connections):
            connection.transport.close()
        await asyncio.sleep(_MOMENT_S)
        for connection in tuple(self._state.connections):
            connection.transport.abort()
        await self._server.wait_closed()
        self._remove_socket()

    def _remove_socket(self) -> None:
        if self.address.startswith(UNIX):
            Path(self.address.removeprefix(UNIX)).unlink(missing_ok=True)

    async def _quiet(self) -> None:
        """Wait for a moment without a call."""
        before = -1
        while self._life.in_progress or before != self._life.calls:
            before = self._life.calls
            await asyncio.sleep(_MOMENT_S)


def _uvicorn(app: object, settings: HttpSettings) -> Config:
    """Make uvicorn's configuration, without what others do: logs, signals, trust."""
    config = Config(
        app,  # type: ignore[arg-type]
        interface="asgi3",
        lifespan="off",
        ws="none",
        log_config=None,
        log_level=logging.ERROR,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=math.ceil(settings.idle_timeout),
    )
    config.load()
    return config
