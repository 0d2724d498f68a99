"""A plugin under test."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from mixer.attributes import Value
from mixer.proxywasm import (
    Capabilities,
    LogLevel,
    PluginSettings,
    ProxyWasmModule,
    Services,
    WasmVm,
)
from mixer.testing.connection import Connection
from mixer.testing.stream import Stream
from mixer.vm import Linker, TrapError, VmLimits

_START_CPU_S = 30.0


class LogLine(NamedTuple):
    """A message of a module.

    Attributes:
        level: Its level.
        message: Its text.
    """

    level: LogLevel
    message: str


class Plugin:
    """One plugin in a VM of its own; made by `Host.load`.

    Attributes:
        logs: What it logged, the start included.
        failure: The trap in a tick, a queue's message or a callout's answer that ended its VM.
        vm: The VM, for whoever wants to know more.
    """

    def __init__(
        self,
        module: ProxyWasmModule,
        linker: Linker,
        services: Services,
        settings: PluginSettings,
        *,
        limits: VmLimits,
        vm_id: str,
        vm_configuration: bytes,
        environment: Mapping[str, str],
        allowed: Capabilities | None = None,
    ) -> None:
        self.logs: list[LogLine] = []
        self.failure: TrapError | None = None
        self.vm = WasmVm(
            module,
            linker,
            limits,
            start_cpu=_START_CPU_S,
            services=replace(services, log=self._log, failed=self._failed),
            vm_id=vm_id,
            configuration=vm_configuration,
            environment=environment,
            allowed=allowed,
        )
        try:
            self._root = self.vm.start_plugin(settings)
        except BaseException:
            self.vm.close()
            raise
        self.vm.started()

    def _log(self, level: LogLevel, message: str) -> None:
        self.logs.append(LogLine(level, message))

    def _failed(self, trap: TrapError) -> None:
        self.failure = trap

    def messages(self, least: LogLevel = LogLevel.TRACE) -> list[str]:
        """The texts of its log from a level upwards."""
        return [line.message for line in self.logs if line.level >= least]

    def stream(self, properties: Mapping[str, Value] | None = None) -> Stream:
        """A new stream; its context begins with the request's headers.

        Args:
            properties: Attributes beyond those that follow from the messages, such as
                ``source.address``.
        """
        return Stream(self._root, properties or {})

    def request(
        self,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes | str | None = None,
        properties: Mapping[str, Value] | None = None,
    ) -> Stream:
        """Begin a stream, and hand the headers and the body of a request over.

        The body waits where the headers do: see `Stream.request_body`.

        Args:
            headers: Pseudo-headers that are not given have defaults.
            body: None for a request without one.
            properties: See `stream`.

        Raises:
            TypeError: The name or the value of a header is not a str.
            TrapError: The module trapped.
        """
        stream = self.stream(properties)
        stream.request_headers(headers, end_of_stream=body is None)
        if body is not None and not stream.waits:
            stream.request_body(body)
        return stream

    def connection(self, properties: Mapping[str, Value] | None = None) -> Connection:
        """A new TCP connection; its context begins with the first callback.

        Args:
            properties: Its attributes, such as ``source.port``.
        """
        return Connection(self._root, properties or {})

    def close(self) -> None:
        """Free the VM without a further callback."""
        if not self.vm.closed:
            self.vm.close()
