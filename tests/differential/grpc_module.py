"""A module that makes gRPC callouts as a script says, and logs what comes of them.

The n-th request of a VM runs the n-th list of steps; while it is the last one, the steps that a
script has for a gRPC callback run after the callback was logged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mixer.proxywasm.pairs import serialize
from tests.support.adapters import Texts

MARK = "grpc: "
"""Begins every line that the module logs."""

_TOKEN = 0x600
_RESULT = 0x610
_LINE = 0x2_0000
_HEAP = 0x3_0000
_END = 0x10_0000

Pairs = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Call:
    """``proxy_grpc_call``; the timeout is in milliseconds."""

    target: bytes
    service: str
    method: str
    message: bytes = b""
    metadata: Pairs = ()
    timeout: int = 5000


@dataclass(frozen=True)
class Stream:
    """``proxy_grpc_stream``."""

    target: bytes
    service: str
    method: str
    metadata: Pairs = ()


@dataclass(frozen=True)
class Send:
    """``proxy_grpc_send`` on the last token."""

    message: bytes
    end: bool = False


@dataclass(frozen=True)
class Other:
    """``proxy_grpc_close`` or ``proxy_grpc_cancel`` on the last token."""

    name: str


CLOSE = Other("close")
CANCEL = Other("cancel")
Step = Call | Stream | Send | Other


@dataclass(frozen=True)
class Script:
    """What one request does.

    Attributes:
        steps: In the request's callback.
        then: By a callback's name (``initial``, ``message``, ``trailing``, ``close``), in it.
    """

    steps: tuple[Step, ...]
    then: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)


def text(scripts: Sequence[Script]) -> str:
    """The module's text."""
    texts = Texts(4096)
    callbacks = "".join(_callback(name, scripts, texts) for name in _CALLBACKS)
    starts = "".join(_when(n, one.steps, texts) for n, one in enumerate(scripts, 1))
    return f"""(module {_IMPORTS} {_RUNTIME}
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (global.set $request (i32.add (global.get $request) (i32.const 1)))
        {starts} (i32.const 0))
      {callbacks} {texts.data})"""


_CALLBACKS = {
    "initial": ("proxy_on_grpc_receive_initial_metadata", "(call $map (i32.const 4))"),
    "message": ("proxy_on_grpc_receive", "(call $buffer)"),
    "trailing": ("proxy_on_grpc_receive_trailing_metadata", "(call $map (i32.const 5))"),
    "close": ("proxy_on_grpc_close", "(call $number (local.get 2)) (call $status)"),
}


def _callback(name: str, scripts: Sequence[Script], texts: Texts) -> str:
    export, shown = _CALLBACKS[name]
    steps = "".join(
        _when(n, one.then[name], texts) for n, one in enumerate(scripts, 1) if name in one.then
    )
    return f"""(func (export "{export}") (param i32 i32 i32)
        (call $text {texts.place(f"{MARK}on {name}")}) (call $number (local.get 1))
        {shown} (call $flush) {steps})"""


def _when(request: int, steps: Sequence[Step], texts: Texts) -> str:
    code = "".join(_code(step, texts) for step in steps)
    return f"(if (i32.eq (global.get $request) (i32.const {request})) (then {code}))"


def _code(step: Step, texts: Texts) -> str:
    name, arguments = _host_call(step, texts)
    # The call first: Envoy may call back from within it.
    return f"""(global.set $status (call ${name} {" ".join(arguments)}))
        (call $text {texts.place(MARK + name)}) (call $number (global.get $status))
        (call $number {_LAST}) (call $flush)"""


def _host_call(step: Step, texts: Texts) -> tuple[str, Iterator[str]]:
    match step:
        case Send():
            return "grpc_send", iter(
                (_LAST, texts.place(step.message), f"(i32.const {step.end:d})")
            )
        case Other():
            return f"grpc_{step.name}", iter((_LAST,))
        case Call():
            own = (texts.place(step.message), f"(i32.const {step.timeout})")
            return "grpc_call", iter((*_method(step, texts), *own, f"(i32.const {_TOKEN})"))
        case Stream():
            return "grpc_stream", iter((*_method(step, texts), f"(i32.const {_TOKEN})"))


def _method(step: Call | Stream, texts: Texts) -> list[str]:
    metadata = serialize(list(step.metadata))
    named = (step.target, step.service.encode(), step.method.encode(), metadata)
    return [texts.place(one) for one in named]


_LAST = f"(i32.load (i32.const {_TOKEN}))"

_IMPORTS = "".join(
    f'(import "env" "proxy_{name}" (func ${name} (param {"i32 " * count}) (result i32)))'
    for name, count in {
        "log": 3,
        "grpc_call": 12,
        "grpc_stream": 9,
        "grpc_send": 4,
        "grpc_close": 1,
        "grpc_cancel": 1,
        "get_header_map_pairs": 3,
        "get_buffer_bytes": 5,
        "get_status": 3,
    }.items()
)

_RUNTIME = f"""
(memory (export "memory") 16)
(global $request (mut i32) (i32.const 0))
(global $status (mut i32) (i32.const 0))
(global $line (mut i32) (i32.const {_LINE}))
(global $heap (mut i32) (i32.const {_HEAP}))
(func (export "proxy_abi_version_0_2_1"))
(func (export "malloc") (param $size i32) (result i32)
  (if (i32.gt_u (i32.add (global.get $heap) (local.get $size)) (i32.const {_END}))
    (then (global.set $heap (i32.const {_HEAP}))))
  (global.get $heap)
  (global.set $heap (i32.add (global.get $heap) (local.get $size))))
(func $text (param $at i32) (param $size i32)
  (memory.copy (global.get $line) (local.get $at) (local.get $size))
  (global.set $line (i32.add (global.get $line) (local.get $size))))
(func $digit (param $value i32)
  (i32.store8 (global.get $line) (i32.add (local.get $value)
    (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $value) (i32.const 10)))))
  (global.set $line (i32.add (global.get $line) (i32.const 1))))
(func $space
  (i32.store8 (global.get $line) (i32.const 32))
  (global.set $line (i32.add (global.get $line) (i32.const 1))))
(func $number (param $value i32)
  (call $space)
  (call $digit (i32.and (i32.shr_u (local.get $value) (i32.const 12)) (i32.const 15)))
  (call $digit (i32.and (i32.shr_u (local.get $value) (i32.const 8)) (i32.const 15)))
  (call $digit (i32.and (i32.shr_u (local.get $value) (i32.const 4)) (i32.const 15)))
  (call $digit (i32.and (local.get $value) (i32.const 15))))
(func $shown (local $at i32) (local $end i32)
  (call $space)
  (local.set $at (i32.load (i32.const {_RESULT})))
  (local.set $end (i32.add (local.get $at) (i32.load (i32.const {_RESULT + 4}))))
  (block $done (loop $next
    (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
    (call $digit (i32.shr_u (i32.load8_u (local.get $at)) (i32.const 4)))
    (call $digit (i32.and (i32.load8_u (local.get $at)) (i32.const 15)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br $next))))
(func $map (param $kind i32)
  (drop (call $get_header_map_pairs
    (local.get $kind) (i32.const {_RESULT}) (i32.const {_RESULT + 4})))
  (call $shown))
(func $buffer
  (drop (call $get_buffer_bytes (i32.const 5) (i32.const 0) (i32.const 0x100000)
    (i32.const {_RESULT}) (i32.const {_RESULT + 4})))
  (call $shown))
(func $status
  (drop (call $get_status
    (i32.const {_RESULT + 8}) (i32.const {_RESULT}) (i32.const {_RESULT + 4})))
  (call $number (i32.load (i32.const {_RESULT + 8})))
  (call $shown))
(func $flush
  (drop (call $log (i32.const 3)
    (i32.const {_LINE}) (i32.sub (global.get $line) (i32.const {_LINE}))))
  (global.set $line (i32.const {_LINE})))"""
