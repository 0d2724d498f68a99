"""What a module asked of the network in a run, and what came of it."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from mixer.callouts.ports import (
    Callouts,
    Cancel,
    DnsReply,
    GrpcEvents,
    GrpcMethod,
    GrpcReply,
    GrpcStream,
    HttpCall,
    HttpReply,
    NotSentError,
    Pairs,
    Redis,
    RedisReply,
    RedisTarget,
    UnknownClusterError,
)

_T = TypeVar("_T")
_COMMAND = re.compile(rb"\*[0-9]{1,10}\r\n\$[0-9]{1,10}\r\n([A-Za-z.]{1,40})\r\n")
_UNANSWERED, _GIVEN_UP = "not answered", "given up"
_LONGEST = 200
MOST = 1000
"""A module may ask without end."""


@dataclass(slots=True)
class CalloutNote:
    """One callout.

    Attributes:
        kind: ``http``, ``grpc``, ``grpc stream``, ``redis`` or ``dns``.
        target: The cluster as the module names it, or the host to look up.
        call: What was asked: a method and a path, a method of gRPC, or a command. No bodies and no
            arguments, which may be secrets.
        result: What came of it.
        seconds: Until it ended; None where it did not, or was never sent.
    """

    kind: str
    target: str
    call: str
    result: str = _UNANSWERED
    seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "kind": self.kind,
            "target": self.target,
            "call": self.call,
            "result": self.result,
            "ms": None if self.seconds is None else round(self.seconds * 1000, 3),
        }


class NotedCallouts:
    """Callouts, each of which is noted; see `mixer.callouts.ports.Callouts`.

    Args:
        inner: Makes them.

    Attributes:
        notes: In the order in which the callouts were asked for; the first `MOST` of them.
    """

    def __init__(self, inner: Callouts) -> None:
        self._inner = inner
        self.notes: list[CalloutNote] = []

    def so_far(self) -> tuple[CalloutNote, ...]:
        """The notes as they are now: the end of the VM gives up what is open."""
        return tuple(map(replace, self.notes))

    def http_call(self, call: HttpCall, done: Callable[[HttpReply | None], None]) -> Cancel:
        """See `Callouts`."""
        asked = f"{_header(call.headers, b':method')} {_header(call.headers, b':path')}"
        with self._open("http", call.cluster, asked) as note:
            return note.ends(self._inner.http_call(call, note.tells(done, _of_http)))

    def grpc_call(
        self, method: GrpcMethod, message: bytes, done: Callable[[GrpcReply], None]
    ) -> Cancel:
        """See `Callouts`."""
        with self._open("grpc", _text(method.target), _method(method)) as note:
            return note.ends(self._inner.grpc_call(method, message, note.tells(done, _of_grpc)))

    def grpc_stream(self, method: GrpcMethod, events: GrpcEvents) -> GrpcStream:
        """See `Callouts`."""
        with self._open("grpc stream", _text(method.target), _method(method)) as note:
            stream = self._inner.grpc_stream(method, _NotedEvents(events, note))
            return _NotedStream(stream, note)

    def redis(self, target: RedisTarget) -> Redis:
        """See `Callouts`."""
        return _NotedRedis(self._inner.redis(target), target.service.partition("?")[0], self._open)

    def resolve_dns(self, name: str, done: Callable[[DnsReply], None]) -> Cancel:
        """See `Callouts`."""
        with self._open("dns", name[:_LONGEST], "lookup") as note:
            return note.ends(self._inner.resolve_dns(name, note.tells(done, _of_dns)))

    @contextmanager
    def _open(self, kind: str, target: str, call: str) -> "Iterator[_OpenNote]":
        note = CalloutNote(kind, target, call[:_LONGEST])
        if len(self.notes) < MOST:
            self.notes.append(note)
        try:
            yield _OpenNote(note)
        except (UnknownClusterError, NotSentError, ValueError) as error:
            note.result = f"not sent: {error}"
            raise


class _OpenNote:
    def __init__(self, note: CalloutNote) -> None:
        self._note = note
        self._began = time.perf_counter()

    def end(self, result: str) -> None:
        """The first end counts."""
        if self._note.seconds is None:
            self._note.result = result
            self._note.seconds = time.perf_counter() - self._began

    def tells(self, done: Callable[[_T], None], show: Callable[[_T], str]) -> Callable[[_T], None]:
        def told(reply: _T) -> None:
            self.end(show(reply))
            done(reply)

        return told

    def ends(self, cancel: Cancel) -> Cancel:
        def cancelled() -> None:
            self.end(_GIVEN_UP)
            cancel()

        return cancelled


class _NotedEvents:
    def __init__(self, inner: GrpcEvents, note: _OpenNote) -> None:
        self._inner = inner
        self._note = note
        self._messages = 0

    def on_initial_metadata(self, metadata: Pairs) -> None:
        self._inner.on_initial_metadata(metadata)

    def on_message(self, message: bytes) -> None:
        self._messages += 1
        self._inner.on_message(message)

    def on_trailing_metadata(self, metadata: Pairs) -> None:
        self._inner.on_trailing_metadata(metadata)

    def on_close(self, status: int, message: str) -> None:
        self._note.end(f"{_status(status, message)}, {self._messages} messages")
        self._inner.on_close(status, message)


class _NotedStream:
    def __init__(self, inner: GrpcStream, note: _OpenNote) -> None:
        self._inner = inner
        self._note = note

    def send(self, message: bytes, *, end_of_stream: bool) -> None:
        self._inner.send(message, end_of_stream=end_of_stream)

    def close(self) -> None:
        self._inner.close()

    def reset(self) -> None:
        self._note.end(_GIVEN_UP)
        self._inner.reset()


class _NotedRedis:
    def __init__(self, inner: Redis, service: str, opened: Callable[..., Any]) -> None:
        self._inner = inner
        self._service = service
        self._open = opened

    def call(self, query: bytes, done: Callable[[RedisReply], None]) -> Cancel:
        command = _COMMAND.match(query)
        asked = command[1].decode().upper() if command else f"{len(query)} bytes"
        with self._open("redis", self._service, asked) as note:
            cancel: Cancel = note.ends(self._inner.call(query, note.tells(done, _of_redis)))
            return cancel

    def close(self) -> None:
        self._inner.close()


def _of_http(reply: HttpReply | None) -> str:
    if reply is None:
        return "reset"
    return f"{_header(reply.headers, b':status')}, {len(reply.body)} bytes"


def _of_grpc(reply: GrpcReply) -> str:
    status = _status(reply.status, reply.status_message)
    return status if reply.status else f"{status}, {len(reply.message)} bytes"


def _of_redis(reply: RedisReply) -> str:
    return f"status {reply.status}" if reply.status else f"{len(reply.response)} bytes"


def _of_dns(reply: DnsReply) -> str:
    return "failed" if reply is None else ", ".join(one.ip for one in reply) or "no address"


def _status(status: int, message: str) -> str:
    return f"status {status}: {message}" if message else f"status {status}"


def _method(method: GrpcMethod) -> str:
    return f"{method.service}/{method.method}"


def _header(headers: Pairs, name: bytes) -> str:
    return _text(dict(headers).get(name, b""))


def _text(value: bytes) -> str:
    return value[:_LONGEST].decode("utf-8", "backslashreplace")
