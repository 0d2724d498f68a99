"""A module that has the queue of usage in Envoy, and logs each message in hexadecimal digits."""

import re

from mixer.wire.ledger_pb2 import Entry

MARK = "usage message "

_TEXT = f"""(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_register_shared_queue"
    (func $register (param i32 i32 i32) (result i32)))
  (import "env" "proxy_dequeue_shared_queue"
    (func $dequeue (param i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 16) "usage")
  (data (i32.const 32) "0123456789abcdef")
  (data (i32.const 64) "{MARK}")
  (global $line (mut i32) (i32.const 0))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 0x10000))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (i32.eqz (call $register (i32.const 16) (i32.const 5) (i32.const 0))))
  (func $digit (param $value i32)
    (i32.store8 (global.get $line) (i32.load8_u (i32.add (i32.const 32) (local.get $value))))
    (global.set $line (i32.add (global.get $line) (i32.const 1))))
  (func (export "proxy_on_queue_ready") (param $root i32) (param $queue i32)
    (local $at i32) (local $end i32)
    (if (call $dequeue (local.get $queue) (i32.const 4) (i32.const 8)) (then (return)))
    (global.set $line (i32.const {64 + len(MARK)}))
    (local.set $at (i32.load (i32.const 4)))
    (local.set $end (i32.add (local.get $at) (i32.load (i32.const 8))))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (call $digit (i32.shr_u (i32.load8_u (local.get $at)) (i32.const 4)))
      (call $digit (i32.and (i32.load8_u (local.get $at)) (i32.const 15)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
    (drop (call $log (i32.const 3) (i32.const 64)
      (i32.sub (global.get $line) (i32.const 64))))))"""


def module_text() -> str:
    """The module; its ``vm_id`` must be ``mixer``."""
    return _TEXT


def logged(log: str) -> list[Entry]:
    """The entries that it told in a log."""
    return [Entry.FromString(bytes.fromhex(one)) for one in re.findall(f"{MARK}([0-9a-f]+)", log)]
