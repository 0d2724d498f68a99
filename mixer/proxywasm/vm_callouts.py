"""The callouts of one VM: numbered, bounded, and told to the plugin that made them.

A callout belongs to the plugin, not to the stream that asked for it: it is told even where that
stream is gone. Each telling is one call from the scheduler's thread, never from within another.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING

from mixer.callouts.ports import NotSentError, UnknownClusterError
from mixer.proxywasm.abi import BufferType
from mixer.proxywasm.callout_view import CalloutView, of_buffer, of_dns, of_http
from mixer.vm import TrapError

if TYPE_CHECKING:
    from mixer.callouts.ports import (
        Cancel,
        DnsReply,
        GrpcMethod,
        GrpcReply,
        HttpCall,
        HttpReply,
        Redis,
        RedisReply,
        RedisTarget,
    )
    from mixer.proxywasm.contexts import RootContext
    from mixer.proxywasm.grpc_stream import OpenStream
    from mixer.proxywasm.wasm_vm import WasmVm
    from mixer.vm import GuestFunction

MAX_OPEN = 1024
"""Callouts of one VM that are not answered yet, gRPC streams included."""
MAX_OPEN_BYTES = 64 << 20
"""What those send, together."""
MAX_REDIS = 64
"""Logins at Redis servers that one VM may have."""

_KIND_BITS = 2
_MAX_NUMBER = (1 << 30) - 1
_DNS = 1 << 34
"""Added to a token of DNS where all are kept: Envoy counts those by themselves, kind and all."""


class CalloutKind(IntEnum):
    """The low bits of a token, as in Envoy; Redis is Higress's."""

    HTTP = 0
    GRPC_CALL = 1
    GRPC_STREAM = 2
    REDIS = 3

    @classmethod
    def of(cls, token: int) -> CalloutKind:
        """What a token is for."""
        return cls(token & (1 << _KIND_BITS) - 1)


@dataclass(slots=True)
class _Open:
    size: int
    cancel: Cancel


class UnknownRedisError(LookupError):
    """The module did not call ``proxy_redis_init`` for this service."""


class VmCallouts:
    """The callouts of one VM.

    Attributes:
        streams: The gRPC streams whose tokens are known, by token.
    """

    def __init__(self, vm: WasmVm) -> None:
        self._vm = vm
        self._open: dict[int, _Open] = {}
        self._bytes = 0
        self._numbers: Counter[CalloutKind] = Counter()
        self._last_dns = 1
        self._redis: dict[str, Redis] = {}
        self._logins: dict[RedisTarget, Redis] = {}
        self.streams: dict[int, OpenStream] = {}

    def __len__(self) -> int:
        """How many are not answered yet."""
        return len(self._open)

    @property
    def awaited(self) -> bool:
        """Whether one of them will be answered once; a gRPC stream may go on for ever."""
        return any(CalloutKind.of(token) is not CalloutKind.GRPC_STREAM for token in self._open)

    def http_call(self, root: RootContext, call: HttpCall) -> int:
        """Send an HTTP request; its token. Raises UnknownClusterError, NotSentError."""
        size = len(call.body) + sum(len(n) + len(v) for n, v in (*call.headers, *call.trailers))
        token = self._number(CalloutKind.HTTP, size)
        done = partial(self._http_done, root, token)
        try:
            cancel = self._vm.services.callouts.http_call(call, done)
        except UnknownClusterError:  # Envoy numbers what it sends
            self._numbers[CalloutKind.HTTP] -= 1
            raise
        self.keep(token, size, cancel)
        return token

    def _http_done(self, root: RootContext, token: int, reply: HttpReply | None) -> None:
        self.forget(token)
        counts = (0, 0, 0)
        if reply is not None:
            counts = len(reply.headers), len(reply.body), len(reply.trailers)
        self.tell(root, of_http(reply), self._vm.callbacks.on_http_call_response, token, *counts)

    def grpc_call(self, root: RootContext, method: GrpcMethod, message: bytes) -> int:
        """Call a unary gRPC method; its token. Raises UnknownClusterError, NotSentError."""
        size = size_of(method) + len(message)
        token = self._number(CalloutKind.GRPC_CALL, size)
        done = partial(self._grpc_done, root, token)
        cancel = self._vm.services.callouts.grpc_call(method, message, done)
        self.keep(token, size, cancel)
        return token

    def _grpc_done(self, root: RootContext, token: int, reply: GrpcReply) -> None:
        self.forget(token)
        callbacks = self._vm.callbacks
        if reply.status == 0:
            view = of_buffer(BufferType.GRPC_CALL_MESSAGE, reply.message)
            self.tell(root, view, callbacks.on_grpc_receive, token, len(reply.message))
        else:
            view = CalloutView(status=reply.status, message=reply.status_message)
            self.tell(root, view, callbacks.on_grpc_close, token, reply.status)

    def redis_init(self, target: RedisTarget) -> None:
        """Name a Redis server and the login for it; another one than before is for later calls.

        Raises:
            UnknownClusterError: There is no such cluster.
            NotSentError: The VM has too many servers.
        """
        cluster = _cluster(target.service)
        if target in self._logins:
            self._redis[cluster] = self._logins[target]
            return
        if len(self._logins) >= MAX_REDIS:
            raise NotSentError(f"the VM has {MAX_REDIS} Redis servers already")
        redis = self._vm.services.callouts.redis(target)
        self._redis[cluster] = self._logins[target] = redis

    def redis_call(self, root: RootContext, service: str, query: bytes) -> int:
        """Send commands to a Redis server; the token.

        Raises:
            UnknownRedisError: There was no `redis_init` for the service.
            ValueError: The query is no RESP.
            NotSentError: Too many callouts are open.
        """
        redis = self._redis.get(_cluster(service))
        if redis is None:
            raise UnknownRedisError(f"no proxy_redis_init for {service!r}")
        token = self._number(CalloutKind.REDIS, len(query))
        cancel = redis.call(query, partial(self._redis_done, root, token))
        self.keep(token, len(query), cancel)
        return token

    def _redis_done(self, root: RootContext, token: int, reply: RedisReply) -> None:
        self.forget(token)
        view = of_buffer(BufferType.REDIS_CALL_RESPONSE, reply.response)
        callback = self._vm.callbacks.on_redis_call_response
        self.tell(root, view, callback, token, reply.status, len(reply.response))

    def resolve_dns(self, root: RootContext, name: str) -> int:
        """Ask for the addresses of a host; the token. Raises UnknownClusterError, NotSentError."""
        self._check_room(len(name))
        token = self._last_dns % 0xFFFF_FFFF + 1
        done = partial(self._dns_done, root, token)
        cancel = self._vm.services.callouts.resolve_dns(name, done)
        self._last_dns = token
        self.keep(_DNS | token << _KIND_BITS, len(name), cancel)
        return token

    def _dns_done(self, root: RootContext, token: int, reply: DnsReply) -> None:
        self.forget(_DNS | token << _KIND_BITS)
        view = of_dns(reply)
        size = len(view.buffers[BufferType.CALL_DATA])
        self.tell(root, view, self._vm.callbacks.on_resolve_dns, token, size)

    def number_stream(self, size: int) -> int:
        """The token of a gRPC stream that is about to be opened. Raises NotSentError."""
        return self._number(CalloutKind.GRPC_STREAM, size)

    def _check_room(self, size: int) -> None:
        if len(self._open) >= MAX_OPEN:
            raise NotSentError(f"the VM has {MAX_OPEN} open callouts")
        if self._bytes + size > MAX_OPEN_BYTES:
            raise NotSentError(f"the open callouts of the VM have over {MAX_OPEN_BYTES} bytes")

    def _number(self, kind: CalloutKind, size: int) -> int:
        self._check_room(size)
        while True:
            self._numbers[kind] = self._numbers[kind] % _MAX_NUMBER + 1
            token = self._numbers[kind] << _KIND_BITS | kind
            if token not in self._open:
                return token

    def keep(self, token: int, size: int, cancel: Cancel) -> None:
        """Note an open callout, and what ends it without an answer."""
        self._open[token] = _Open(size, cancel)
        self._bytes += size

    def forget(self, token: int) -> Cancel | None:
        """It is answered, or given up; what would cancel it, if it was open."""
        known = self._open.pop(token, None)
        if known is None:
            return None
        self._bytes -= known.size
        return known.cancel

    def tell(
        self, root: RootContext, view: CalloutView, callback: GuestFunction, *args: int
    ) -> None:
        """Make a callback of a plugin; a trap closes the VM, and whoever owns it is told."""
        if root.id in self._vm.contexts:  # neither refused nor ended meanwhile
            self._call(root, view, callback, *args)
        if self._vm.retired:
            self._vm.release()

    def _call(
        self, root: RootContext, view: CalloutView, callback: GuestFunction, *args: int
    ) -> None:
        root.callout = view
        try:
            self._vm.call(root, callback, root.id, *args)
        except TrapError as trap:
            self._vm.close()
            self._vm.services.failed(trap)
        finally:
            root.callout = None

    def cancel(self, token: int) -> bool:
        """Give a callout up; whether it was open."""
        cancel = self.forget(token)
        if cancel is not None:
            cancel()
        return cancel is not None

    def close(self) -> None:
        """Give everything up."""
        for token in tuple(self._open):
            self.cancel(token)
        for redis in self._logins.values():
            redis.close()
        self._redis.clear()
        self._logins.clear()
        self.streams.clear()


def size_of(method: GrpcMethod) -> int:
    """What an open call of a method keeps beside its message."""
    names = len(method.target) + len(method.service) + len(method.method)
    return names + sum(len(n) + len(v) for n, v in method.metadata)


def _cluster(service: str) -> str:
    """The cluster's name alone: calls do not repeat the settings that `redis_init` had."""
    return service.partition("?")[0]
