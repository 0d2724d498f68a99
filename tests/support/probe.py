"""A module that calls any host function, as a script in its memory tells it.

The script is a list of calls, each for one phase (a callback of the module). Tests write it into
the guest's memory, drive the host, and read the statuses and the results back. Every callback is
noted in the guest's memory too, so that a test can see which ones were made, and with what.

The script for the module's own start cannot be written beforehand: the module asks for it as if it
were randomness, which the host takes from its services.
"""

from enum import IntEnum

from mixer.proxywasm import host_functions
from mixer.vm import I32, HostFunction

MAX_ARGUMENTS = 12
PAGE = 65_536

EVENTS = 0x400
MAX_EVENTS = 64
EVENT_BYTES = 16
ACTIONS = 0x1800
ALLOCATOR_FORCED = 0x1F00
ALLOCATOR_RESULT = 0x1F04
HEAP = 0x1F08
SCRIPT = 0x2000
SCRIPT_BYTES = 0x5000
ENTRY_BYTES = 128
ARGUMENTS = 8
RESULT = ARGUMENTS + 8 * MAX_ARGUMENTS
NO_RESULT = 0xDEAD
DATA = 0x8000
HEAP_START = 0x1_0000
PAGES = 4


class Phase(IntEnum):
    """Where in the life of the module a call of the script is made."""

    INITIALIZE = 0
    CONTEXT_CREATE = 1
    VM_START = 2
    CONFIGURE = 3
    REQUEST_HEADERS = 4
    REQUEST_BODY = 5
    LOG = 6
    DONE = 7
    DELETE = 8
    ALLOCATE = 9
    TICK = 10
    QUEUE_READY = 11
    REQUEST_TRAILERS = 12
    RESPONSE_HEADERS = 13
    RESPONSE_BODY = 14
    RESPONSE_TRAILERS = 15
    HTTP_CALL_RESPONSE = 16
    GRPC_INITIAL_METADATA = 17
    GRPC_RECEIVE = 18
    GRPC_TRAILING_METADATA = 19
    GRPC_CLOSE = 20
    REDIS_CALL_RESPONSE = 21
    REQUEST_METADATA = 22
    RESPONSE_METADATA = 23
    RESOLVE_DNS = 24
    FOREIGN_FUNCTION = 25


_CALLBACKS = {
    "proxy_on_context_create": (Phase.CONTEXT_CREATE, 2, False),
    "proxy_on_vm_start": (Phase.VM_START, 2, True),
    "proxy_on_configure": (Phase.CONFIGURE, 2, True),
    "proxy_on_request_headers": (Phase.REQUEST_HEADERS, 3, True),
    "proxy_on_request_body": (Phase.REQUEST_BODY, 3, True),
    "proxy_on_request_trailers": (Phase.REQUEST_TRAILERS, 2, True),
    "proxy_on_response_headers": (Phase.RESPONSE_HEADERS, 3, True),
    "proxy_on_response_body": (Phase.RESPONSE_BODY, 3, True),
    "proxy_on_response_trailers": (Phase.RESPONSE_TRAILERS, 2, True),
    "proxy_on_request_metadata": (Phase.REQUEST_METADATA, 2, True),
    "proxy_on_response_metadata": (Phase.RESPONSE_METADATA, 2, True),
    "proxy_on_log": (Phase.LOG, 1, False),
    "proxy_on_done": (Phase.DONE, 1, True),
    "proxy_on_delete": (Phase.DELETE, 1, False),
    "proxy_on_tick": (Phase.TICK, 1, False),
    "proxy_on_queue_ready": (Phase.QUEUE_READY, 2, False),
    "proxy_on_http_call_response": (Phase.HTTP_CALL_RESPONSE, 5, False),
    "proxy_on_grpc_receive_initial_metadata": (Phase.GRPC_INITIAL_METADATA, 3, False),
    "proxy_on_grpc_receive": (Phase.GRPC_RECEIVE, 3, False),
    "proxy_on_grpc_receive_trailing_metadata": (Phase.GRPC_TRAILING_METADATA, 3, False),
    "proxy_on_grpc_close": (Phase.GRPC_CLOSE, 3, False),
    "envoy_on_resolve_dns": (Phase.RESOLVE_DNS, 3, False),
    "proxy_on_foreign_function": (Phase.FOREIGN_FUNCTION, 3, False),
    "proxy_on_redis_call_response": (Phase.REDIS_CALL_RESPONSE, 4, False),
}

FUNCTIONS: dict[str, HostFunction] = {
    f.name: f for f in reversed(host_functions()) if f.module != "wasi_unstable"
}
"""Every host function by name; of those with two signatures, the one that returns a status."""

_INDEX = {name: index for index, name in enumerate(FUNCTIONS)}


def function_index(name: str) -> int:
    """By which number the script names a host function."""
    return _INDEX[name]


def probe_text(abi: str = "0_2_1", *, allocator: str = "malloc") -> str:
    """The text of the module."""
    imports = "\n".join(_import(f, i) for i, f in enumerate(FUNCTIONS.values()))
    wrappers = "\n".join(_wrapper(f, i) for i, f in enumerate(FUNCTIONS.values()))
    names = " ".join(f"$w{i}" for i in range(len(FUNCTIONS)))
    callbacks = "\n".join(
        _callback(name, phase, 2 if abi == "0_1_0" and name in _HEADERS else params, has_result)
        for name, (phase, params, has_result) in _CALLBACKS.items()
    )
    return f"""(module
      (type $wrapper (func (param i32) (result i32)))
      {imports}
      (memory (export "memory") {PAGES})
      (table {len(FUNCTIONS)} funcref)
      (elem (i32.const 0) {names})
      {wrappers}
      {_RUN}
      {_NOTE}
      (func (export "proxy_abi_version_{abi}"))
      (func (export "_initialize")
        (drop (call $i{_INDEX["random_get"]} (i32.const {SCRIPT}) (i32.const {SCRIPT_BYTES})))
        (call $run (i32.const {Phase.INITIALIZE:d})))
      {callbacks}
      {_ALLOCATE.replace("NAME", allocator)}
      (data (i32.const {HEAP}) "\\00\\00\\01\\00")
      (data (i32.const {ACTIONS + 4 * Phase.VM_START}) "\\01\\00\\00\\00\\01\\00\\00\\00"))"""


_HEADERS = ("proxy_on_request_headers", "proxy_on_response_headers")


def _types(function: HostFunction) -> list[str]:
    return [t.value for t in function.signature.params if t]


def _import(function: HostFunction, index: int) -> str:
    params = " ".join(_types(function))
    result = "(result i32)" if function.signature.results else ""
    return (
        f'(import "{function.module}" "{function.name}" (func $i{index} (param {params}) {result}))'
    )


def _wrapper(function: HostFunction, index: int) -> str:
    arguments = " ".join(
        f"({'i32' if t is I32 else 'i64'}.load offset={ARGUMENTS + 8 * i} (local.get 0))"
        for i, t in enumerate(function.signature.params)
    )
    result = "" if function.signature.results else "(i32.const 0)"
    return f"(func $w{index} (type $wrapper) (call $i{index} {arguments}) {result})"


def _callback(name: str, phase: Phase, params: int, has_result: bool) -> str:
    declared = "(param i32) " * params
    noted = " ".join(f"(local.get {i})" if i < params else "(i32.const 0)" for i in range(3))
    result, answer = "", ""
    if has_result:
        result, answer = "(result i32)", f"(i32.load (i32.const {ACTIONS + 4 * phase}))"
    return f"""(func (export "{name}") {declared} {result}
        (call $note (i32.const {phase:d}) {noted}) (call $run (i32.const {phase:d})) {answer})"""


_RUN = f"""
(func $run (param $phase i32) (local $entry i32) (local $end i32)
  (local.set $entry (i32.const {SCRIPT + 16}))
  (local.set $end (i32.add (local.get $entry)
    (i32.mul (i32.load (i32.const {SCRIPT})) (i32.const {ENTRY_BYTES}))))
  (block $done
    (loop $next
      (br_if $done (i32.ge_u (local.get $entry) (local.get $end)))
      (if (i32.eq (i32.load (local.get $entry)) (local.get $phase))
        (then (i32.store offset={RESULT} (local.get $entry)
          (call_indirect (type $wrapper)
            (local.get $entry) (i32.load offset=4 (local.get $entry))))))
      (local.set $entry (i32.add (local.get $entry) (i32.const {ENTRY_BYTES})))
      (br $next))))"""

_NOTE = f"""
(func $note (param i32 i32 i32 i32) (local $count i32) (local $at i32)
  (local.set $count (i32.load (i32.const {EVENTS})))
  (if (i32.ge_u (local.get $count) (i32.const {MAX_EVENTS})) (then (return)))
  (i32.store (i32.const {EVENTS}) (i32.add (local.get $count) (i32.const 1)))
  (local.set $at (i32.add (i32.const {EVENTS + 16})
    (i32.mul (local.get $count) (i32.const {EVENT_BYTES}))))
  (i32.store (local.get $at) (local.get 0))
  (i32.store offset=4 (local.get $at) (local.get 1))
  (i32.store offset=8 (local.get $at) (local.get 2))
  (i32.store offset=12 (local.get $at) (local.get 3)))"""

_ALLOCATE = f"""
(func (export "NAME") (param $size i32) (result i32) (local $at i32)
  (call $run (i32.const {Phase.ALLOCATE:d}))
  (if (i32.load (i32.const {ALLOCATOR_FORCED}))
    (then (return (i32.load (i32.const {ALLOCATOR_RESULT})))))
  (local.set $at (i32.load (i32.const {HEAP})))
  (i32.store (i32.const {HEAP}) (i32.add (local.get $at) (local.get $size)))
  (if (i32.gt_u (i32.load (i32.const {HEAP})) (i32.mul (memory.size) (i32.const {PAGE})))
    (then (if (i32.eq (memory.grow (i32.add (i32.const 1)
          (i32.div_u (local.get $size) (i32.const {PAGE})))) (i32.const -1))
      (then (return (i32.const 0))))))
  (local.get $at))"""
