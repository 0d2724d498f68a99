"""Adapters as WebAssembly text, made of a few things that an adapter can do."""

from collections.abc import Callable, Sequence
from typing import Any

from mixer.proxywasm.pairs import serialize

_IMPORTS = """
(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
(import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_replace_header_map_value"
  (func $replace (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))
(import "env" "proxy_set_buffer_bytes" (func $body (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_set_property" (func $property (param i32 i32 i32 i32) (result i32)))
(import "env" "proxy_get_property" (func $read (param i32 i32 i32 i32) (result i32)))
(import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
(import "env" "proxy_get_header_map_size" (func $size (param i32 i32) (result i32)))
(import "env" "proxy_get_buffer_bytes"
  (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_get_current_time_nanoseconds" (func $now (param i32) (result i32)))
(import "env" "proxy_call_foreign_function"
  (func $foreign (param i32 i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_get_metric" (func $metric (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
(import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
(import "env" "proxy_close_stream" (func $close (param i32) (result i32)))
(import "env" "proxy_send_local_response"
  (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_get_shared_data"
  (func $shared (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_set_shared_data"
  (func $share (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_register_shared_queue" (func $register (param i32 i32 i32) (result i32)))
(import "env" "proxy_resolve_shared_queue"
  (func $resolve (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
(import "env" "proxy_dequeue_shared_queue" (func $dequeue (param i32 i32 i32) (result i32)))
(import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
(import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
(import "env" "proxy_http_call" (func $http_call
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_grpc_send" (func $grpc_send (param i32 i32 i32 i32) (result i32)))
(import "env" "proxy_grpc_close" (func $grpc_close (param i32) (result i32)))
(import "env" "proxy_set_effective_context" (func $effective (param i32) (result i32)))
(import "env" "proxy_done" (func $done (result i32)))
(import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))"""

# `same` compares what was written to 0 (its address) and 4 (its size) with a text.
_BASE = """
(memory (export "memory") 1 64)
(func (export "proxy_abi_version_0_2_1"))
(global $heap (mut i32) (i32.const 16384))
(func (export "malloc") (param i32) (result i32)
  (if (i32.gt_u (local.get 0) (i32.const 16384)) (then (return (i32.const 0))))
  (if (i32.gt_u (i32.add (global.get $heap) (local.get 0)) (i32.const 65536))
    (then (global.set $heap (i32.const 16384))))
  (global.get $heap)
  (global.set $heap (i32.add (global.get $heap) (local.get 0))))
(func $deep (call $deep))
(func $same (param $n i32) (param $at i32) (param $wanted i32) (result i32)
  (if (i32.ne (i32.load (i32.const 4)) (local.get $wanted)) (then (return (i32.const 0))))
  (loop $next
    (if (i32.eq (local.get $n) (local.get $wanted)) (then (return (i32.const 1))))
    (if (i32.ne
          (i32.load8_u (i32.add (local.get $at) (local.get $n)))
          (i32.load8_u (i32.add (i32.load (i32.const 0)) (local.get $n))))
      (then (return (i32.const 0))))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br $next))
  (i32.const 0))"""

_SIGNATURES = {
    "proxy_on_context_create": ("(param i32 i32)", None),
    "proxy_on_vm_start": ("(param i32 i32) (result i32)", 1),
    "proxy_on_configure": ("(param i32 i32) (result i32)", 1),
    "proxy_on_request_headers": ("(param i32 i32 i32) (result i32)", 0),
    "proxy_on_request_body": ("(param i32 i32 i32) (result i32)", 0),
    "proxy_on_request_trailers": ("(param i32 i32) (result i32)", 0),
    "proxy_on_response_trailers": ("(param i32 i32) (result i32)", 0),
    "proxy_on_response_headers": ("(param i32 i32 i32) (result i32)", 0),
    "proxy_on_response_body": ("(param i32 i32 i32) (result i32)", 0),
    "proxy_on_request_metadata": ("(param i32 i32) (result i32)", 0),
    "proxy_on_response_metadata": ("(param i32 i32) (result i32)", 0),
    "proxy_on_log": ("(param i32)", None),
    "proxy_on_done": ("(param i32) (result i32)", 1),
    "proxy_on_delete": ("(param i32)", None),
    "proxy_on_tick": ("(param i32)", None),
    "proxy_on_queue_ready": ("(param i32 i32)", None),
    "proxy_on_http_call_response": ("(param i32 i32 i32 i32 i32)", None),
    "proxy_on_foreign_function": ("(param i32 i32 i32)", None),
    "_initialize": ("", None),
}


class Texts:
    """The constant texts of one module.

    Args:
        start: The address of the first one.
    """

    def __init__(self, start: int = 1024) -> None:
        self.data = ""
        self._end = start

    def place(self, text: str | bytes) -> str:
        """Place a text in the memory, and give its address and size as two operands."""
        encoded = text.encode() if isinstance(text, str) else text
        at, self._end = self._end, self._end + len(encoded)
        escaped = "".join(f"\\{byte:02x}" for byte in encoded)
        self.data += f'(data (i32.const {at}) "{escaped}")'
        return f"(i32.const {at}) (i32.const {len(encoded)})"


Step = Callable[[Texts], str]


def _on_header(function: str, *texts: str, kind: int = 0) -> Step:
    return lambda t: f"(drop (call ${function} (i32.const {kind}) {' '.join(map(t.place, texts))}))"


def add(name: str, value: str) -> Step:
    """Add a header."""
    return _on_header("add", name, value)


def add_to_response(name: str, value: str) -> Step:
    """Add a response header."""
    return _on_header("add", name, value, kind=2)


def add_to_trailers(name: str, value: str) -> Step:
    """Add a trailer of the request."""
    return _on_header("add", name, value, kind=1)


def add_to_response_trailers(name: str, value: str) -> Step:
    """Add a trailer of the response."""
    return _on_header("add", name, value, kind=3)


def set_status(status: int) -> Step:
    """Change the status of a response."""
    return _on_header("replace", ":status", str(status), kind=2)


def replace(name: str, value: str) -> Step:
    """Replace a header."""
    return _on_header("replace", name, value)


def remove(name: str) -> Step:
    """Remove a header."""
    return _on_header("remove", name)


def trap_unless_ok(function: str, *texts: str, kind: int) -> Step:
    """Do something with a header, and panic on any status but OK, as the Rust SDK does."""
    code = f"(call ${function} (i32.const {kind})"
    return lambda t: f"(if {code} {' '.join(map(t.place, texts))}) (then unreachable))"


def deny(status: int = 403, body: str = "", details: str = "", grpc: int = -1) -> Step:
    """Answer the request."""
    return lambda t: (
        f"(drop (call $respond (i32.const {status}) {t.place(details)} {t.place(body)}"
        f" (i32.const 0) (i32.const 0) (i32.const {grpc})))"
    )


def log(text: str, level: int = 2) -> Step:
    """Log a message."""
    return lambda t: f"(drop (call $log (i32.const {level}) {t.place(text)}))"


def set_body(text: str, kind: int = 0) -> Step:
    """Replace the whole body, of the response with 1."""
    return lambda t: (
        f"(drop (call $body (i32.const {kind}) (i32.const 0) (i32.const -1) {t.place(text)}))"
    )


def set_property(path: str, value: str) -> Step:
    """Set a property."""
    return lambda t: f"(drop (call $property {t.place(path)} {t.place(value)}))"


def when(name: str, *steps: Step) -> Step:
    """Do something only for requests with a header."""
    return lambda t: (
        f"(if (i32.eqz (call $get (i32.const 0) {t.place(name)} (i32.const 0) (i32.const 4)))"
        f" (then {' '.join(step(t) for step in steps)}))"
    )


def _where(call: Callable[[Texts], str], value: str | bytes | None, steps: Sequence[Step]) -> Step:
    """Do something if a call finds anything, or just this value."""

    def code(t: Texts) -> str:
        then = f"(then {' '.join(step(t) for step in steps)})"
        if value is not None:
            then = f"(then (if (call $same (i32.const 0) {t.place(value)}) {then}))"
        return f"(if (i32.eqz {call(t)}) {then})"

    return code


def where_header(name: str, value: str | None, *steps: Step) -> Step:
    """Do something only for requests with a header, of this value unless it is None."""
    return _where(
        lambda t: f"(call $get (i32.const 0) {t.place(name)} (i32.const 0) (i32.const 4))",
        value,
        steps,
    )


def where_property(path: str, value: str | bytes | None, *steps: Step) -> Step:
    """Do something only where there is a property, of this value unless it is None."""
    return _where(
        lambda t: f"(call $read {t.place(path)} (i32.const 0) (i32.const 4))", value, steps
    )


def where_body(value: str, *steps: Step) -> Step:
    """In ``request_body``: do something only for this body."""
    return _where(
        lambda _: (
            "(call $buffer (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4))"
        ),
        value,
        steps,
    )


def where_pairs(pairs: Sequence[tuple[bytes, bytes]], *steps: Step) -> Step:
    """Do something only for requests with exactly these headers."""
    return _where(
        lambda _: "(call $pairs (i32.const 0) (i32.const 0) (i32.const 4))",
        serialize(list(pairs)),
        steps,
    )


def where_header_bytes(size: int, *steps: Step) -> Step:
    """Do something only for requests whose headers have so many bytes."""
    return lambda t: (
        "(drop (call $size (i32.const 0) (i32.const 8)))"
        f"(if (i32.eq (i32.load (i32.const 8)) (i32.const {size}))"
        f" (then {' '.join(step(t) for step in steps)}))"
    )


def where_told(number: int, *steps: Step) -> Step:
    """Do something only if the callback is told this number: of headers, or bytes of the body."""
    return lambda t: (
        f"(if (i32.eq (local.get 1) (i32.const {number}))"
        f" (then {' '.join(step(t) for step in steps)}))"
    )


def call_foreign(name: str, arguments: str | bytes) -> Step:
    """Call a foreign function."""
    return lambda t: (
        f"(drop (call $foreign {t.place(name)} {t.place(arguments)} (i32.const 0) (i32.const 0)))"
    )


def where_true(expression: str, *steps: Step) -> Step:
    """Do something only where an expression is true (``expr_create``, ``expr_evaluate``)."""
    return lambda t: (
        f"(if (i32.eqz (call $foreign {t.place('expr_create')} {t.place(expression)}"
        " (i32.const 48) (i32.const 52)))"
        f" (then (if (i32.eqz (call $foreign {t.place('expr_evaluate')}"
        " (i32.load (i32.const 48)) (i32.const 4) (i32.const 56) (i32.const 60)))"
        " (then (if (i32.load8_u (i32.load (i32.const 56)))"
        f" (then {' '.join(step(t) for step in steps)}))))))"
    )


def when_shared(key: str, *steps: Step) -> Step:
    """Do something only where a key of the shared data is set."""
    return lambda t: (
        f"(if (i32.eqz (call $shared {t.place(key)} (i32.const 0) (i32.const 4) (i32.const 8)))"
        f" (then {' '.join(step(t) for step in steps)}))"
    )


def set_shared(key: str, value: str) -> Step:
    """Set a key of the shared data."""
    return lambda t: f"(drop (call $share {t.place(key)} {t.place(value)} (i32.const 0)))"


def register_queue(name: str) -> Step:
    """Register a queue."""
    return lambda t: f"(drop (call $register {t.place(name)} (i32.const 12)))"


def resolve_queue(vm_id: str, name: str) -> Step:
    """Find a queue."""
    return lambda t: f"(drop (call $resolve {t.place(vm_id)} {t.place(name)} (i32.const 12)))"


def _queue(number: int | None) -> str:
    return f"(i32.const {number})" if number else "(i32.load (i32.const 12))"


def enqueue(queue: int | None, message: str) -> Step:
    """Put a message into a queue; None is the one registered or resolved last."""
    return lambda t: f"(drop (call $enqueue {_queue(queue)} {t.place(message)}))"


def dequeue(queue: int | None) -> Step:
    """Take a message from a queue, likewise."""
    return lambda _: f"(drop (call $dequeue {_queue(queue)} (i32.const 16) (i32.const 20)))"


def count(name: str, delta: int) -> Step:
    """Define a counter, and count."""
    return lambda t: (
        f"(drop (call $define (i32.const 0) {t.place(name)} (i32.const 24)))"
        f"(drop (call $increment (i32.load (i32.const 24)) (i64.const {delta})))"
    )


_STREAMS = 512
"""Where the streams of the callouts are noted: 128 tokens."""


def callout(cluster: str, path: str = "/", body: str = "", timeout_ms: int = 0) -> Step:
    """Make an HTTP callout, and note for which stream."""
    headers = serialize(
        [(b":method", b"POST"), (b":path", path.encode()), (b":authority", b"called")]
    ).decode()
    return lambda t: (
        f"(drop (call $http_call {t.place(cluster)} {t.place(headers)} {t.place(body)}"
        f" (i32.const 0) (i32.const 0) (i32.const {timeout_ms}) (i32.const 28)))"
        f"(i32.store (i32.add (i32.const {_STREAMS}) (i32.load (i32.const 28))) (local.get 0))"
    )


def grpc_send(stream: int) -> Step:
    """Send an empty message on a stream of gRPC."""
    return lambda _: (
        f"(drop (call $grpc_send (i32.const {stream}) (i32.const 0) (i32.const 0) (i32.const 0)))"
    )


def grpc_close(stream: int) -> Step:
    """Close a stream of gRPC."""
    return lambda _: f"(drop (call $grpc_close (i32.const {stream})))"


def in_stream(*steps: Step) -> Step:
    """In ``http_call_response``: act for the stream that made the callout."""
    stream = f"(i32.load (i32.add (i32.const {_STREAMS}) (local.get 1)))"
    return lambda t: f"(drop (call $effective {stream})) {' '.join(step(t) for step in steps)}"


def in_noted_stream(*steps: Step) -> Step:
    """Act for the stream that was noted, if there is one."""
    return lambda t: (
        "(if (i32.load (i32.const 32)) (then"
        f" (drop (call $effective (i32.load (i32.const 32)))) {' '.join(s(t) for s in steps)}))"
    )


def if_called(status: str, *steps: Step) -> Step:
    """In ``http_call_response``: do something if the answer has this status."""
    return lambda t: (
        f"(if (i32.eqz (call $get (i32.const 6) {t.place(':status')} (i32.const 0) (i32.const 4)))"
        f" (then (if (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const {ord(status[0])}))"
        f" (then {' '.join(step(t) for step in steps)}))))"
    )


def tick(milliseconds: int) -> Step:
    """Set the period of the ticks."""
    return lambda _: f"(drop (call $tick (i32.const {milliseconds})))"


def answer(action: int) -> Step:
    """Return this from the callback."""
    return lambda _: f"(return (i32.const {action}))"


def _plain(code: str) -> Step:
    return lambda _: code


def if_remembered(*steps: Step) -> Step:
    """Do something if this VM did `remember`."""
    return lambda t: f"(if (i32.load (i32.const 40)) (then {' '.join(step(t) for step in steps)}))"


remember = _plain("(i32.store (i32.const 40) (i32.const 1))")
done = _plain("(drop (call $done))")
read_clock = _plain("(drop (call $now (i32.const 8)))")
read_random = _plain("(drop (call $random (i32.const 8) (i32.const 4)))")
read_metric = _plain("(drop (call $metric (i32.load (i32.const 24)) (i32.const 8)))")
"""Of the metric that was counted last."""
trap = _plain("unreachable")
trap_in_a_stream = _plain("(if (local.get 1) (then unreachable))")
"""For ``context_create``: the root context has no parent."""
spin = _plain("(loop (br 0))")
recurse = _plain("(call $deep)")
log_taken = _plain(
    "(drop (call $log (i32.const 2) (i32.load (i32.const 16)) (i32.load (i32.const 20))))"
)
"""Log the message that was taken last."""
close = _plain("(drop (call $close (i32.const 0)))")
resume = _plain("(drop (call $continue (i32.const 0)))")
resume_response = _plain("(drop (call $continue (i32.const 1)))")
note_stream = _plain("(i32.store (i32.const 32) (local.get 0))")
"""In a callback of a stream: note it for `in_noted_stream`."""
fill = _plain(
    "(drop (memory.grow (i32.const 15)))"
    " (memory.fill (i32.const 65536) (i32.const 1) (i32.const 983040))"
)
"""Take a mebibyte of memory, and use it."""
grow = _plain("(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))")


def adapter(*steps: Step, **callbacks: Sequence[Step]) -> str:
    """The text of an adapter.

    Args:
        steps: What it does with request headers.
        callbacks: What it does in others, such as ``request_body``; ``initialize`` is the start.
    """
    texts = Texts()
    bodies: dict[str, Any] = {"proxy_on_request_headers": steps}
    for name, others in callbacks.items():
        bodies["_initialize" if name == "initialize" else f"proxy_on_{name}"] = others
    functions = []
    for name, body in bodies.items():
        signature, default = _SIGNATURES[name]
        result = "" if default is None else f"(i32.const {default})"
        code = " ".join(step(texts) for step in body)
        functions.append(f'(func (export "{name}") {signature} {code} {result})')
    return f"(module {_IMPORTS} {_BASE} {' '.join(functions)} {texts.data})"
