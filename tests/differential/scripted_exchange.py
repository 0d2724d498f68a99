"""A module that does what a scenario says, and logs everything that it sees."""

from collections.abc import Callable, Mapping, Sequence

from mixer.proxywasm import export_of
from mixer.proxywasm.pairs import serialize
from tests.support.adapters import Texts

_IMPORTS = """
(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
(import "env" "proxy_get_header_map_value" (func $value (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
(import "env" "proxy_get_header_map_size" (func $size (param i32 i32) (result i32)))
(import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_replace_header_map_value"
  (func $replace (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))
(import "env" "proxy_get_buffer_bytes" (func $body (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_set_buffer_bytes" (func $set (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
(import "env" "proxy_http_call" (func $http_call
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_set_effective_context" (func $effective (param i32) (result i32)))
(import "env" "proxy_get_status" (func $code (param i32 i32 i32) (result i32)))
(import "env" "proxy_set_property" (func $set_property (param i32 i32 i32 i32) (result i32)))
(import "env" "proxy_call_foreign_function"
  (func $foreign (param i32 i32 i32 i32 i32 i32) (result i32)))
(import "env" "envoy_resolve_dns" (func $resolve (param i32 i32 i32) (result i32)))
(import "env" "proxy_send_local_response"
  (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))"""
_SINCE_ABI_0_2 = """
(import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
(import "env" "proxy_close_stream" (func $close (param i32) (result i32)))"""

# The result pointers are at 0 and 4, a number's digits from 64, the line from 4096.
_BASE = """
(memory (export "memory") 4)
(func (export "ABI"))
(global $heap (mut i32) (i32.const 131072))
(global $end (mut i32) (i32.const 4096))
(global $stream (mut i32) (i32.const 0))
(global $told (mut i32) (i32.const 1))
(global $kept (mut i32) (i32.const 0))
(func (export "malloc") (param i32) (result i32)
  (global.get $heap) (global.set $heap (i32.add (global.get $heap) (local.get 0))))
(func $text (param i32 i32)
  (memory.copy (global.get $end) (local.get 0) (local.get 1))
  (global.set $end (i32.add (global.get $end) (local.get 1))))
(func $byte (param i32)
  (i32.store8 (global.get $end) (local.get 0))
  (global.set $end (i32.add (global.get $end) (i32.const 1))))
(func $number (param i32)
  (if (i32.ge_u (local.get 0) (i32.const 10))
    (then (call $number (i32.div_u (local.get 0) (i32.const 10)))))
  (call $byte (i32.add (i32.const 48) (i32.rem_u (local.get 0) (i32.const 10)))))
(func $flush
  (if (global.get $told)
    (then (drop
      (call $log (i32.const 3) (i32.const 4096) (i32.sub (global.get $end) (i32.const 4096))))))
  (global.set $end (i32.const 4096)))
(func $clear (i64.store (i32.const 0) (i64.const 0)))
(func $status (param i32) (call $byte (i32.const 32)) (call $number (local.get 0)))
(func $result (param i32)
  (call $status (local.get 0))
  (call $byte (i32.const 32))
  (call $text (i32.load (i32.const 0)) (i32.load (i32.const 4))))
(func $digit (param i32)
  (call $byte (i32.add (local.get 0)
    (select (i32.const 87) (i32.const 48) (i32.ge_u (local.get 0) (i32.const 10))))))
(func $hex (param i32) (local $at i32) (local $last i32)
  (call $status (local.get 0))
  (call $byte (i32.const 32))
  (local.set $at (i32.load (i32.const 0)))
  (local.set $last (i32.add (local.get $at) (i32.load (i32.const 4))))
  (block $done (loop $next
    (br_if $done (i32.ge_u (local.get $at) (local.get $last)))
    (call $digit (i32.shr_u (i32.load8_u (local.get $at)) (i32.const 4)))
    (call $digit (i32.and (i32.load8_u (local.get $at)) (i32.const 15)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br $next))))
(func $int (param i32)
  (call $status (local.get 0))
  (if (i32.load (i32.const 4)) (then (call $status (i32.load (i32.load (i32.const 0)))))))
(func $list (param i32) (local $at i32) (local $last i32)
  (call $status (local.get 0))
  (if (i32.eqz (i32.load (i32.const 4))) (then (return)))
  (local.set $at (i32.load (i32.const 0)))
  (local.set $last (i32.add (local.get $at) (i32.load (i32.const 4))))
  (local.set $at (i32.add (local.get $at)
    (i32.add (i32.const 4) (i32.mul (i32.const 8) (i32.load (local.get $at))))))
  (block $done (loop $next
    (br_if $done (i32.ge_u (local.get $at) (local.get $last)))
    (call $byte (select (i32.load8_u (local.get $at)) (i32.const 124)
      (i32.load8_u (local.get $at))))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br $next))))"""

_CALLBACKS = {
    "request_headers": 3, "request_body": 3, "request_trailers": 2,
    "response_headers": 3, "response_body": 3, "response_trailers": 2,
    "log": 1, "done": 1, "delete": 1, "http_call_response": 5,
}  # fmt: skip
DNS_CALLBACKS = {"request_headers": 3, "resolve_dns": 3}
_VOID = {
    "log", "delete", "resolve_dns", "http_call_response",
    "downstream_connection_close", "upstream_connection_close",
}  # fmt: skip
# How many headers a request has is up to Envoy, which adds some; so it is with those of a callout.
_TOLD = {"request_headers": (2,), "http_call_response": (1, 3, 4)}
METADATA_CALLBACKS = {**_CALLBACKS, "request_metadata": 2, "response_metadata": 2}
TCP_CALLBACKS = {
    "new_connection": 1, "downstream_data": 3, "upstream_data": 3,
    "downstream_connection_close": 2, "upstream_connection_close": 2,
    "log": 1, "done": 1, "delete": 1,
}  # fmt: skip
_DATA = 1 << 16

Step = Callable[[Texts], str]
Script = Mapping[str, Sequence[Step]]


def _noted(label: str, code: Callable[[Texts], str]) -> Step:
    return lambda t: f"(call $clear) (call $text {t.place(label)}) {code(t)} (call $flush)"


def value(kind: int, name: str) -> Step:
    """Look a header up."""
    return _noted(
        f"value {kind} {name}",
        lambda t: (
            f"(call $result (call $value (i32.const {kind}) {t.place(name)}"
            " (i32.const 0) (i32.const 4)))"
        ),
    )


def pairs(kind: int) -> Step:
    """Read a whole map."""
    return _noted(
        f"pairs {kind}",
        lambda _: f"(call $list (call $pairs (i32.const {kind}) (i32.const 0) (i32.const 4)))",
    )


def size(kind: int, *, told: bool = True) -> Step:
    """Ask for the size of a map, and tell it or only the status."""
    more = "(call $status (i32.load (i32.const 0)))" if told else ""
    return _noted(
        f"size {kind}",
        lambda _: f"(call $status (call $size (i32.const {kind}) (i32.const 0))) {more}",
    )


def _change(call: str, kind: int, *texts: str) -> Step:
    return _noted(
        f"{call} {kind} {' '.join(texts)}",
        lambda t: (
            f"(call $status (call ${call} (i32.const {kind}) {' '.join(map(t.place, texts))}))"
        ),
    )


def add(kind: int, name: str, text: str) -> Step:
    """Add a header."""
    return _change("add", kind, name, text)


def replace(kind: int, name: str, text: str) -> Step:
    """Replace a header."""
    return _change("replace", kind, name, text)


def remove(kind: int, name: str) -> Step:
    """Remove a header."""
    return _change("remove", kind, name)


def body(kind: int) -> Step:
    """Read a whole body."""
    return _noted(
        f"body {kind}",
        lambda _: (
            f"(call $result (call $body (i32.const {kind}) (i32.const 0) (i32.const 65536)"
            " (i32.const 0) (i32.const 4)))"
        ),
    )


def set_body(kind: int, text: str, start: int = 0, length: int = 65536) -> Step:
    """Change a body."""
    return _noted(
        f"set {kind}",
        lambda t: (
            f"(call $status (call $set (i32.const {kind}) (i32.const {start})"
            f" (i32.const {length}) {t.place(text)}))"
        ),
    )


def prop(*path: str) -> Step:
    """Read a property of text."""
    return _noted(
        f"property {'.'.join(path)}",
        lambda t: (
            f"(call $result (call $property {t.place(chr(0).join(path))}"
            " (i32.const 0) (i32.const 4)))"
        ),
    )


def number(*path: str, told: bool = True) -> Step:
    """Read a property of a number, and tell it or only the status."""
    teller = "$int" if told else "$status"
    return _noted(
        f"property {'.'.join(path)}",
        lambda t: (
            f"(call {teller} (call $property {t.place(chr(0).join(path))}"
            " (i32.const 0) (i32.const 4)))"
        ),
    )


def _named(path: tuple[str | bytes, ...]) -> tuple[bytes, str]:
    """The path as the call has it, and how the log calls it: with slashes."""
    whole = b"\0".join(p.encode() if isinstance(p, str) else p for p in path)
    return whole, whole.decode(errors="backslashreplace").replace("\0", "/")


def raw(*path: str | bytes, told: bool = True) -> Step:
    """Read a property, and tell its bytes or only the status."""
    whole, label = _named(path)
    teller = "$hex" if told else "$status"
    return _noted(
        f"property {label}",
        lambda t: f"(call {teller} (call $property {t.place(whole)} (i32.const 0) (i32.const 4)))",
    )


def put(value: bytes, *path: str | bytes) -> Step:
    """Set a property."""
    whole, label = _named(path)
    return _noted(
        f"set {label}",
        lambda t: f"(call $status (call $set_property {t.place(whole)} {t.place(value)}))",
    )


def foreign(name: str, arguments: bytes = b"", label: str = "", *, told: bool = True) -> Step:
    """Call a foreign function, and tell its result or only the status."""
    teller = "$hex" if told else "$status"
    text = arguments.decode("ascii", "backslashreplace")
    return _noted(
        f"foreign {name} {label or (text if text.isprintable() else arguments.hex())}",
        lambda t: (
            # A null pointer means that no result is wanted: it cannot be written to address 0.
            "(i64.store (i32.const 8) (i64.const 0))"
            f"(global.set $kept (call $foreign {t.place(name)} {t.place(arguments)}"
            " (i32.const 8) (i32.const 12)))"
            "(i64.store (i32.const 0) (i64.load (i32.const 8)))"
            f"(call {teller} (global.get $kept))"
        ),
    )


def evaluated(expression: str) -> Step:
    """Create an expression, evaluate it once, and tell both statuses and the value."""
    return _noted(
        f"cel {expression!a}",
        lambda t: (
            "(i64.store (i32.const 8) (i64.const 0)) (i64.store (i32.const 16) (i64.const 0))"
            f"(call $status (call $foreign {t.place('expr_create')} {t.place(expression)}"
            " (i32.const 8) (i32.const 12)))"
            f"(global.set $kept (call $foreign {t.place('expr_evaluate')}"
            " (i32.load (i32.const 8)) (i32.load (i32.const 12))"
            " (i32.const 16) (i32.const 20)))"
            "(i64.store (i32.const 0) (i64.load (i32.const 16)))"
            "(call $hex (global.get $kept))"
        ),
    )


def foreign_at(name: str, arguments: bytes, data: int, size: int) -> Step:
    """Call a foreign function with these pointers for its result, and tell what it wrote."""
    return _noted(
        f"foreign {name} at {data} and {size}",
        lambda t: (
            "(i64.store (i32.const 8) (i64.const -1))"
            f"(call $status (call $foreign {t.place(name)} {t.place(arguments)}"
            f" (i32.const {data}) (i32.const {size})))"
            "(call $status (i32.eq (i32.load (i32.const 8)) (i32.const -1)))"
            "(call $status (i32.load (i32.const 12)))"
        ),
    )


def respond(status: int, text: str = "", headers: bytes = b"", details: str = "") -> Step:
    """Send a local response."""
    return _noted(
        f"respond {status}",
        lambda t: (
            f"(call $status (call $respond (i32.const {status}) {t.place(details)}"
            f" {t.place(text)} {t.place(headers.decode())} (i32.const -1)))"
        ),
    )


def resume(kind: int) -> Step:
    """Continue a stream."""
    return _noted(
        f"continue {kind}", lambda _: f"(call $status (call $continue (i32.const {kind})))"
    )


def close(kind: int) -> Step:
    """Close a stream."""
    return _noted(f"close {kind}", lambda _: f"(call $status (call $close (i32.const {kind})))")


def callout(
    cluster: str,
    headers: Sequence[tuple[bytes, bytes]],
    text: str = "",
    trailers: Sequence[tuple[bytes, bytes]] = (),
    timeout: int = 0,
) -> Step:
    """Make an HTTP callout from a stream, which is noted; the token is told."""
    maps = serialize(list(headers)).decode(), serialize(list(trailers)).decode() if trailers else ""
    return _noted(
        f"callout {cluster}",
        lambda t: (
            "(global.set $stream (local.get 0))"
            f"(call $status (call $http_call {t.place(cluster)} {t.place(maps[0])} {t.place(text)}"
            f" {t.place(maps[1])} (i32.const {timeout}) (i32.const 0)))"
            "(call $status (i32.load (i32.const 0)))"
        ),
    )


effective = _noted("effective", lambda _: "(call $status (call $effective (global.get $stream)))")
"""Act for the stream that made the last callout."""

status = _noted(
    "status",
    lambda _: (
        "(call $status (call $code (i32.const 8) (i32.const 0) (i32.const 4)))"
        "(call $status (i32.load (i32.const 8)))"
        "(call $byte (i32.const 32)) (call $text (i32.load (i32.const 0)) (i32.load (i32.const 4)))"
    ),
)
"""Ask how the callout ended."""


def resolve_dns(name: str) -> Step:
    """Ask for the addresses of a host; what is told within the call is logged before it."""
    return lambda t: (
        f"(global.set $kept (call $resolve {t.place(name)} (i32.const 16)))"
        f"(call $text {t.place(f'asked {name}')}) (call $status (global.get $kept))"
        "(call $status (i32.load (i32.const 16))) (call $flush)"
    )


data_of_callback = _noted(
    "data",
    lambda _: (
        "(call $hex (call $body (i32.const 8) (i32.const 0) (i32.const 65536)"
        " (i32.const 0) (i32.const 4)))"
    ),
)
"""Read the buffer of Envoy's own callbacks."""


def answer(action: int) -> Step:
    """Return this from the callback."""
    return lambda _: f"(return (i32.const {action}))"


def pause_until_end(action: int = 1) -> Step:
    """Return an action from a body callback that is not the last."""
    return lambda _: f"(if (i32.eqz (local.get 2)) (then (return (i32.const {action}))))"


def drop_at(length: int) -> Step:
    """Have a body callback drop what it sees if it is so long."""
    return lambda _: (
        f"(if (i32.eq (local.get 1) (i32.const {length})) (then (return (i32.const 3))))"
    )


def module_text(
    script: Script, abi: str = "0_2_1", callbacks: Mapping[str, int] = _CALLBACKS
) -> str:
    """The text of a module that runs a script; steps by callback."""
    texts = Texts(_DATA)
    functions = []
    old = abi == "0_1_0"
    for name, params in callbacks.items():
        count = params - (old and name.endswith("_headers"))
        code = " ".join(step(texts) for step in script.get(name, ()))
        functions.append(_callback(texts, name, count, code))
    if "configure" in script:
        functions.append(_configure(" ".join(step(texts) for step in script["configure"])))
    base = _BASE.replace("ABI", f"proxy_abi_version_{abi}")
    imports = _IMPORTS if old else _IMPORTS + _SINCE_ABI_0_2
    return f"(module {imports} {base} {' '.join(functions)} {texts.data})"


def _configure(code: str) -> str:
    """Tells nothing: Envoy starts a module several times."""
    return f"""(func (export "proxy_on_configure") (param i32 i32) (result i32)
      (global.set $told (i32.const 0)) {code} (global.set $told (i32.const 1)) (i32.const 1))"""


def _callback(texts: Texts, name: str, params: int, code: str) -> str:
    told = (i for i in _TOLD.get(name, range(1, params)) if i < params)
    arguments = " ".join(f"(call $status (local.get {i}))" for i in told)
    result = "" if name in _VOID else "(result i32)"
    default = "" if name in _VOID else f"(i32.const {int(name == 'done')})"
    return f"""(func (export "{export_of(f"on_{name}")}") {"(param i32) " * params} {result}
      (call $text {texts.place(f"on_{name}")}) {arguments} (call $flush) {code} {default})"""
