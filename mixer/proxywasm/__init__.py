"""The Proxy-Wasm host: runs any module of that ABI, and knows no protocol and no engine."""

from mixer.proxywasm.abi import (
    AbiVersion,
    Action,
    BufferType,
    LogLevel,
    MapType,
    Status,
    StreamType,
)
from mixer.proxywasm.access_log_context import AccessLogContext
from mixer.proxywasm.callbacks import (
    NEVER_CALLED,
    Callbacks,
    VmClosedError,
    check_exports,
    detect_abi,
    export_of,
)
from mixer.proxywasm.capabilities import (
    Capabilities,
    HostLinkers,
    capabilities_of,
    known_capabilities,
    restricted,
    unknown_capabilities,
    withheld_callbacks,
)
from mixer.proxywasm.contexts import PluginSettings, PluginStartError, RootContext
from mixer.proxywasm.departures import Compat
from mixer.proxywasm.durations import CallbackDurations, Durations
from mixer.proxywasm.hostcalls import UNSUPPORTED
from mixer.proxywasm.http_stream import HttpMessage, HttpStream, LocalResponse, SavedStream
from mixer.proxywasm.lifecycle import LifecycleError
from mixer.proxywasm.loading import (
    ProxyWasmModule,
    host_functions,
    import_problem,
    import_problems,
    load_module,
)
from mixer.proxywasm.local_reply import local_reply
from mixer.proxywasm.message_view import MessageView, Outcome, Pause
from mixer.proxywasm.metrics import BUCKETS, Metric, MetricSnapshot, MetricStore, MetricType
from mixer.proxywasm.pairs import deserialize
from mixer.proxywasm.reads import Reads, ReadSet
from mixer.proxywasm.scheduling import Cancel, LoopScheduler, ManualScheduler, Scheduler
from mixer.proxywasm.services import LogSink, Services
from mixer.proxywasm.stream_context import StreamContext
from mixer.proxywasm.tcp_lifecycle import TcpLifecycleError
from mixer.proxywasm.tcp_stream import Peer, SavedTcpStream, TcpFlow, TcpStream
from mixer.proxywasm.tcp_stream_context import TcpStreamContext
from mixer.proxywasm.wasm_vm import WasmVm

__all__ = [
    "BUCKETS",
    "NEVER_CALLED",
    "UNSUPPORTED",
    "AbiVersion",
    "AccessLogContext",
    "Action",
    "BufferType",
    "CallbackDurations",
    "Callbacks",
    "Cancel",
    "Capabilities",
    "Compat",
    "Durations",
    "HostLinkers",
    "HttpMessage",
    "HttpStream",
    "LifecycleError",
    "LocalResponse",
    "LogLevel",
    "LogSink",
    "LoopScheduler",
    "ManualScheduler",
    "MapType",
    "MessageView",
    "Metric",
    "MetricSnapshot",
    "MetricStore",
    "MetricType",
    "Outcome",
    "Pause",
    "Peer",
    "PluginSettings",
    "PluginStartError",
    "ProxyWasmModule",
    "ReadSet",
    "Reads",
    "RootContext",
    "SavedStream",
    "SavedTcpStream",
    "Scheduler",
    "Services",
    "Status",
    "StreamContext",
    "StreamType",
    "TcpFlow",
    "TcpLifecycleError",
    "TcpStream",
    "TcpStreamContext",
    "VmClosedError",
    "WasmVm",
    "capabilities_of",
    "check_exports",
    "deserialize",
    "detect_abi",
    "export_of",
    "host_functions",
    "import_problem",
    "import_problems",
    "known_capabilities",
    "load_module",
    "local_reply",
    "restricted",
    "unknown_capabilities",
    "withheld_callbacks",
]
