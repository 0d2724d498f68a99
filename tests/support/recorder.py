"""A Proxy-Wasm module that puts a header, in hexadecimal, into the ledger's queue."""

import functools

import wasmtime

_OWNER, _NAME = "mixer", "usage"
_GRANTED = "mixer.quota.granted"


@functools.cache
def recorder(*, header: str = "x-entry", on_headers: bool = True, on_log: bool = True) -> bytes:
    """The module.

    It traps where the queue refuses the entry, and does nothing where there is no such header or
    no such queue.

    Args:
        header: Its name.
        on_headers: Whether it does so for a request's headers.
        on_log: Whether it does so as a stream is logged.
    """
    headers = "(call $record)" if on_headers else ""
    log = "(call $record)" if on_log else ""
    return bytes(
        wasmtime.wat2wasm(f"""(module
(import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_resolve_shared_queue"
  (func $resolve (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
(memory (export "memory") 4)
(func (export "proxy_abi_version_0_2_1"))
(data (i32.const 1024) "{header}")
(data (i32.const 1100) "{_OWNER}")
(data (i32.const 1120) "{_NAME}")
;; Whatever the host hands over is in one place: a call's result is read before the next one.
(func (export "malloc") (param i32) (result i32) (i32.const 65536))
(func (export "proxy_on_context_create") (param i32 i32))
(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
(func (export "proxy_on_configure") (param i32 i32) (result i32)
  (i32.store (i32.const 16) (call $resolve (i32.const 1100) (i32.const {len(_OWNER)})
    (i32.const 1120) (i32.const {len(_NAME)}) (i32.const 12)))
  (i32.const 1))
(func $digit (param $c i32) (result i32)
  (select (i32.sub (local.get $c) (i32.const 48)) (i32.sub (local.get $c) (i32.const 87))
    (i32.lt_u (local.get $c) (i32.const 58))))
(func $record (local $n i32) (local $from i32) (local $size i32)
  (if (i32.load (i32.const 16)) (then (return)))
  (if (call $get (i32.const 0) (i32.const 1024) (i32.const {len(header)})
        (i32.const 0) (i32.const 4)) (then (return)))
  (local.set $from (i32.load (i32.const 0)))
  (local.set $size (i32.shr_u (i32.load (i32.const 4)) (i32.const 1)))
  (block $done (loop $next
    (br_if $done (i32.ge_u (local.get $n) (local.get $size)))
    (i32.store8 (i32.add (i32.const 2048) (local.get $n)) (i32.or
      (i32.shl (call $digit (i32.load8_u (local.get $from))) (i32.const 4))
      (call $digit (i32.load8_u (i32.add (local.get $from) (i32.const 1))))))
    (local.set $from (i32.add (local.get $from) (i32.const 2)))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br $next)))
  (if (call $enqueue (i32.load (i32.const 12)) (i32.const 2048) (local.get $size))
    (then unreachable)))
(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
  {headers} (i32.const 0))
(func (export "proxy_on_log") (param i32) {log}))""")
    )


@functools.cache
def always_recorder(entry: bytes) -> bytes:
    """A module that puts the same entry into the queue for each request, connection and log.

    Where the queue refuses it, it goes on all the same. Of a quota it grants 1.

    Args:
        entry: What it enqueues.
    """
    data = "".join(f"\\{byte:02x}" for byte in entry)
    return bytes(
        wasmtime.wat2wasm(f"""(module
(import "env" "proxy_resolve_shared_queue"
  (func $resolve (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
(import "env" "proxy_set_property" (func $set (param i32 i32 i32 i32) (result i32)))
(memory (export "memory") 1)
(func (export "proxy_abi_version_0_2_1"))
(data (i32.const 1100) "{_OWNER}")
(data (i32.const 1120) "{_NAME}")
(data (i32.const 1140) "{_GRANTED}")
(data (i32.const 1180) "1")
(data (i32.const 2048) "{data}")
(func (export "malloc") (param i32) (result i32) (i32.const 32768))
(func (export "proxy_on_context_create") (param i32 i32))
(func $record (result i32)
  (drop (call $resolve (i32.const 1100) (i32.const {len(_OWNER)})
    (i32.const 1120) (i32.const {len(_NAME)}) (i32.const 12)))
  (drop (call $enqueue (i32.load (i32.const 12)) (i32.const 2048) (i32.const {len(entry)})))
  (drop (call $set (i32.const 1140) (i32.const {len(_GRANTED)}) (i32.const 1180) (i32.const 1)))
  (i32.const 0))
(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (call $record))
(func (export "proxy_on_new_connection") (param i32) (result i32) (call $record))
(func (export "proxy_on_log") (param i32) (drop (call $record))))""")
    )
