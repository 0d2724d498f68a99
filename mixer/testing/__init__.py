"""Running modules in tests, without sockets and without a clock that moves by itself.

With pytest the fixture ``proxy_wasm`` gives a `Host`; everywhere else it is a context manager.
"""

from mixer.proxywasm import Compat, LocalResponse, LogLevel, Outcome, Peer, PluginStartError
from mixer.testing.callouts import (
    AlreadyOverError,
    FakeCallouts,
    FakeDnsCall,
    FakeGrpcCall,
    FakeGrpcStream,
    FakeHttpCall,
    FakeRedisCall,
)
from mixer.testing.connection import Connection
from mixer.testing.host import Host
from mixer.testing.plugin import LogLine, Plugin
from mixer.testing.stream import Stream
from mixer.vm import ModuleError, TrapError, VmLimits

__all__ = [
    "AlreadyOverError",
    "Compat",
    "Connection",
    "FakeCallouts",
    "FakeDnsCall",
    "FakeGrpcCall",
    "FakeGrpcStream",
    "FakeHttpCall",
    "FakeRedisCall",
    "Host",
    "LocalResponse",
    "LogLevel",
    "LogLine",
    "ModuleError",
    "Outcome",
    "Peer",
    "Plugin",
    "PluginStartError",
    "Stream",
    "TrapError",
    "VmLimits",
]
