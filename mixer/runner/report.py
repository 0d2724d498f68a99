"""What a run showed."""

import base64
from dataclasses import dataclass
from typing import Any

from mixer.attributes import LEGACY_NAMES, VOCABULARY, HeaderChange, HeaderMap, Kind
from mixer.proxywasm import HttpMessage, LocalResponse, LogLevel, ReadSet
from mixer.runner.callout_notes import CalloutNote

_FLAGS = {b"\0": "false", b"\1": "true"}
_NUMBERS = {Kind.INT, Kind.UINT, Kind.TIMESTAMP, Kind.DURATION}
_NUMBER_BYTES = 8


@dataclass(frozen=True, slots=True)
class RunReport:
    """One request through one module.

    Attributes:
        verdict: ``allow``, ``deny``, ``pause``, ``reset`` or ``trap``.
        response: The local response, if the module sent one.
        header_changes: How the request's headers changed.
        body: The request's body, if the module changed it.
        trailer_changes: How the request's trailers changed.
        sent: The response that the client got, as the response callbacks left it; None if there was
            none.
        properties_set: What the module stored with ``proxy_set_property``.
        logs: Level and text of each message, those of the start first.
        reads: What the module read.
        trap: Why it trapped, or empty.
        waits_for: What a paused stream waited for in vain, or empty.
        start_seconds: Time for start and configuration.
        request_seconds: Time for the request's callbacks.
        memory_bytes: Linear memory at the end.
        callouts: What it asked of the network.
    """

    verdict: str
    response: LocalResponse | None
    header_changes: tuple[HeaderChange, ...]
    body: bytes | None
    trailer_changes: tuple[HeaderChange, ...]
    sent: HttpMessage | None
    properties_set: dict[str, bytes]
    logs: tuple[tuple[LogLevel, str], ...]
    reads: ReadSet
    trap: str
    start_seconds: float
    request_seconds: float
    memory_bytes: int
    waits_for: str = ""
    callouts: tuple[CalloutNote, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "verdict": self.verdict,
            "response": _response(self.response),
            "header_changes": _changes(self.header_changes),
            "body": None if self.body is None else text(self.body),
            "trailer_changes": _changes(self.trailer_changes),
            "sent": None if self.sent is None else _message(self.sent),
            "properties_set": {k: text(v) for k, v in self.properties_set.items()},
            "logs": logs_json(self.logs),
            "reads": reads_json(self.reads),
            "trap": self.trap or None,
            "waits_for": self.waits_for or None,
            "callouts": [note.as_json() for note in self.callouts],
            "start_ms": round(self.start_seconds * 1000, 3),
            "request_us": round(self.request_seconds * 1_000_000, 1),
            "memory_bytes": self.memory_bytes,
        }


def text(value: bytes) -> str:
    """Bytes as text, or in base64 where they are none."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(value).decode()


def path_text(path: bytes) -> str:
    """A property path with dots in place of the NULs."""
    return text(path.replace(b"\0", b"."))


def property_text(path: bytes, value: bytes) -> str:
    """The value of an attribute as text; numbers and flags by its declared kind."""
    name = path_text(path.removesuffix(b"\0"))
    kind = VOCABULARY.get(LEGACY_NAMES.get(name, name))
    if kind is Kind.BOOL and value in _FLAGS:
        return _FLAGS[value]
    if kind in _NUMBERS and len(value) == _NUMBER_BYTES:
        return str(int.from_bytes(value, "little", signed=kind is not Kind.UINT))
    return text(value)


def _changes(changes: tuple[HeaderChange, ...]) -> list[dict[str, Any]]:
    return [{"name": text(c.name), "values": [text(v) for v in c.values]} for c in changes]


def _message(message: HttpMessage) -> dict[str, Any]:
    return {
        "headers": _pairs(message.headers),
        "header_changes": _changes(message.headers.changes()),
        "body": text(message.body),
        "body_changed": message.body_changed,
        "trailers": None if message.trailers is None else _pairs(message.trailers),
    }


def _pairs(headers: HeaderMap) -> list[list[str]]:
    return [[text(n), text(v)] for n, v in headers.pairs()]


def _response(response: LocalResponse | None) -> dict[str, Any] | None:
    if response is None:
        return None
    return {
        "status": response.status,
        "details": response.details,
        "headers": [[text(n), text(v)] for n, v in response.headers],
        "body": text(response.body),
        "grpc_status": response.grpc_status,
    }


def logs_json(logs: tuple[tuple[LogLevel, str], ...]) -> list[dict[str, str]]:
    """The messages of a run as plain data."""
    return [{"level": level.name.lower(), "message": line} for level, line in logs]


def reads_json(reads: ReadSet) -> dict[str, Any]:
    """What a module read, as plain data."""
    return {
        "headers": {
            text(name): None if value is None else text(value)
            for (_, name), value in reads.headers.items()
        },
        "whole_maps": sorted(m.name.lower() for m in reads.whole_maps),
        "properties": {
            path_text(path): None if value is None else property_text(path, value)
            for path, value in reads.properties.items()
        },
        "buffers": sorted(b.name.lower() for b in reads.buffers),
        "clock": reads.clock,
        "random": reads.random,
        "volatile": reads.volatile,
    }
