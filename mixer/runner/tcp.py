"""One TCP connection through a module, without a network: for the authors of modules."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mixer.attributes import AttributeBag, Value
from mixer.proxywasm import (
    LogLevel,
    Outcome,
    Peer,
    ReadSet,
    RootContext,
    Services,
    TcpStream,
    TcpStreamContext,
)
from mixer.runner.inputs import content
from mixer.runner.plugin import RunPlugin, linked, started_plugin
from mixer.runner.report import logs_json, reads_json, text
from mixer.runner.trace import Trace
from mixer.vm import CompileCache, TrapError

_NO_TCP = "it trapped where a connection begins: is it a module for HTTP? `mixer run` runs those"


@dataclass(frozen=True, slots=True)
class Piece:
    """What one side sends.

    Attributes:
        data: The bytes.
        from_upstream: Which side.
        ends: Whether it ends that side.
    """

    data: bytes
    from_upstream: bool = False
    ends: bool = False


@dataclass(frozen=True, slots=True)
class RunConnection:
    """What to run.

    Attributes:
        plugin: What runs it.
        pieces: What happens, in order; then the connection is closed.
        closed_by: Who closes it, as the module is told.
        properties: Attributes of the connection, such as ``source.port``.
    """

    plugin: RunPlugin
    pieces: Sequence[Piece]
    closed_by: Peer = Peer.REMOTE
    properties: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """One connection through one module.

    Attributes:
        verdict: ``carried``, ``held`` (it was kept from its start), ``closed`` (by the module) or
            ``trap``.
        reason: Why the module closed it, as it told in ``mixer.deny.reason``; or empty.
        to_upstream: What went on of the client's data.
        to_downstream: What went on of the upstream's data.
        held_back: Bytes that the module never let go, of both.
        logs: Level and text of each message, those of the start first.
        reads: What the module read.
        trap: Why it trapped, or empty.
        start_seconds: Time for start and configuration.
        connection_seconds: Time for the connection's callbacks.
    """

    verdict: str
    reason: str
    to_upstream: bytes
    to_downstream: bytes
    held_back: int
    logs: tuple[tuple[LogLevel, str], ...]
    reads: ReadSet
    trap: str
    start_seconds: float
    connection_seconds: float

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "verdict": self.verdict,
            "reason": self.reason or None,
            "to_upstream": text(self.to_upstream),
            "to_downstream": text(self.to_downstream),
            "held_back": self.held_back,
            "logs": logs_json(self.logs),
            "reads": reads_json(self.reads),
            "trap": self.trap or None,
            "start_ms": round(self.start_seconds * 1000, 3),
            "connection_us": round(self.connection_seconds * 1_000_000, 1),
        }


def pieces(downstream: Sequence[str], upstream: Sequence[str]) -> tuple[Piece, ...]:
    """What somebody typed: the client's pieces, and then the upstream's; each side then ends.

    Raises:
        InputError: A file cannot be read.
    """
    sides = ((downstream, False), (upstream, True))
    return tuple(
        Piece(content(text), from_upstream, ends=number == len(texts))
        for texts, from_upstream in sides
        for number, text in enumerate(texts, 1)
    )


def connection_attributes(properties: Mapping[str, Value]) -> AttributeBag:
    """The attributes of a connection: those that are given, and no others."""
    resolvers = {name: (lambda source, name=name: source[name]) for name in properties}
    return AttributeBag(resolvers, properties)


def run_connection(
    code: bytes,
    connection: RunConnection,
    cache: CompileCache | None = None,
    *,
    trace: Trace | None = None,
    compiling: Callable[[int], None] = lambda _size: None,
) -> ConnectionReport:
    """Run one connection through a module.

    Args:
        code: The module's bytes.
        connection: What to run.
        cache: Where compiled modules are kept.
        trace: Told of every callback and host call.
        compiling: See `WasmEngine`.

    Raises:
        ModuleError: The module cannot run here.
        PluginStartError: It refused to start.
        TrapError: It trapped while it started.
    """
    plugin, began = connection.plugin, time.perf_counter()
    logs: list[tuple[LogLevel, str]] = []
    services = Services(
        log=lambda level, line: logs.append((level, line)), log_level=plugin.log_level
    )
    with (
        linked(plugin, code, cache, trace, compiling) as (module, linker),
        started_plugin(plugin, module, linker, services, trace) as root,
    ):
        return _report(root, connection, logs, began)


def _report(
    root: RootContext,
    connection: RunConnection,
    logs: list[tuple[LogLevel, str]],
    began: float,
) -> ConnectionReport:
    started = time.perf_counter()
    stream = TcpStream(connection_attributes(connection.properties))
    reads, trap, verdict, reason, hint = ReadSet(), "", "trap", "", f"\n{_NO_TCP}"
    try:
        context = TcpStreamContext(root, stream, reads)
        outcome, hint = context.on_new_connection(), ""
        verdict = _drive(context, outcome, connection)
        reason = context.close_reason if verdict == "closed" else ""
    except TrapError as error:
        trap = f"{error}{hint}"
    return ConnectionReport(
        verdict=verdict,
        reason=reason,
        to_upstream=stream.downstream.passed,
        to_downstream=stream.upstream.passed,
        held_back=len(stream.downstream.held) + len(stream.upstream.held),
        logs=tuple(logs),
        reads=reads,
        trap=trap,
        start_seconds=started - began,
        connection_seconds=time.perf_counter() - started,
    )


def _drive(context: TcpStreamContext, outcome: Outcome, connection: RunConnection) -> str:
    verdict = _carry(context, outcome, connection.pieces)
    peer = Peer.LOCAL if verdict == "closed" else connection.closed_by
    if verdict != "held":  # nothing reads a connection that is held: its end is not seen either
        context.on_downstream_connection_close(peer)
        context.delete()
    return verdict


def _carry(context: TcpStreamContext, outcome: Outcome, pieces: Sequence[Piece]) -> str:
    for piece in pieces:
        if outcome is Outcome.RESET:
            return "closed"
        if context.is_held:
            return "held"
        on_data = context.on_upstream_data if piece.from_upstream else context.on_downstream_data
        outcome = on_data(piece.data, end_of_stream=piece.ends)
    if outcome is Outcome.RESET:
        return "closed"
    return "held" if context.is_held else "carried"
