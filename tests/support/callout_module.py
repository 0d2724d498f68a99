"""A module that makes one HTTP callout for each request and logs what comes of it, in hex."""

import re
from dataclasses import dataclass

from mixer.callouts.ports import HttpCall, Pairs
from mixer.proxywasm.pairs import deserialize, serialize

_LONGEST_BODY = 262144

_RUNTIME = """
(memory (export "memory") 40 700)
(func (export "proxy_abi_version_0_2_1"))
(global $heap (mut i32) (i32.const 0x200000))
(global $stream (mut i32) (i32.const 0))
(func (export "malloc") (param i32) (result i32)
  (local $at i32)
  (local.set $at (global.get $heap))
  (global.set $heap (i32.add (global.get $heap) (i32.and (i32.add (local.get 0) (i32.const 15))
    (i32.const -16))))
  (local.get $at))
(func (export "proxy_on_context_create") (param i32 i32)
  (if (local.get 1) (then (global.set $stream (local.get 0)))))
(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
(func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
(func $digit (param i32) (result i32)
  (select (i32.add (local.get 0) (i32.const 48)) (i32.add (local.get 0) (i32.const 87))
    (i32.lt_u (local.get 0) (i32.const 10))))
(func $log_hex (param $mark i32) (param $at i32) (param $size i32)
  (local $i i32) (local $to i32) (local $byte i32)
  (if (i32.gt_u (local.get $size) (i32.const 500000)) (then (local.set $size (i32.const 0))))
  (i32.store8 (i32.const 0x100000) (local.get $mark))
  (i32.store8 (i32.const 0x100001) (i32.const 61))
  (local.set $to (i32.const 0x100002))
  (block $done (loop $next
    (br_if $done (i32.ge_u (local.get $i) (local.get $size)))
    (local.set $byte (i32.load8_u (i32.add (local.get $at) (local.get $i))))
    (i32.store8 (local.get $to) (call $digit (i32.shr_u (local.get $byte) (i32.const 4))))
    (i32.store8 (i32.add (local.get $to) (i32.const 1))
      (call $digit (i32.and (local.get $byte) (i32.const 15))))
    (local.set $to (i32.add (local.get $to) (i32.const 2)))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br $next)))
  (drop (call $log (i32.const 3) (i32.const 0x100000)
    (i32.sub (local.get $to) (i32.const 0x100000)))))"""


def module_text(call: HttpCall) -> str:
    """The module's text; it pauses the request until the answer is there."""
    timeout = round((call.timeout or 0) * 1000)
    blobs = (
        call.cluster.encode(), serialize(list(call.headers)), call.body,
        serialize(list(call.trailers)) if call.trailers else b"",
    )  # fmt: skip
    data, operands, at = "", "", 0x1000
    for blob in blobs:
        data += f'(data (i32.const {at}) "{_escaped(blob)}")\n'
        operands += f"(i32.const {at}) (i32.const {len(blob)}) "
        at += len(blob) + 16
    assert at < 0x100000
    return f"""(module
      (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
      (import "env" "proxy_http_call"
        (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
      (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
      (import "env" "proxy_get_buffer_bytes"
        (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
      (import "env" "proxy_set_effective_context" (func $effective (param i32) (result i32)))
      (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
      {_RUNTIME}
      {data}
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (i32.store (i32.const 0x100) (call $call {operands}
          (i32.const {timeout}) (i32.const 0x200)))
        (call $log_hex (i32.const 99) (i32.const 0x100) (i32.const 1))
        (i32.eqz (i32.load (i32.const 0x100))))
      (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (i32.store (i32.const 0x100) (local.get 2))
        (i32.store (i32.const 0x104) (local.get 3))
        (i32.store (i32.const 0x108) (local.get 4))
        (call $log_hex (i32.const 110) (i32.const 0x100) (i32.const 12))
        (drop (call $pairs (i32.const 6) (i32.const 0x200) (i32.const 0x204)))
        (call $log_hex (i32.const 104)
          (i32.load (i32.const 0x200)) (i32.load (i32.const 0x204)))
        (if (i32.le_u (local.get 3) (i32.const {_LONGEST_BODY})) (then
          (drop (call $buffer (i32.const 4) (i32.const 0) (i32.const {_LONGEST_BODY})
            (i32.const 0x200) (i32.const 0x204)))
          (call $log_hex (i32.const 98)
            (i32.load (i32.const 0x200)) (i32.load (i32.const 0x204)))))
        (drop (call $pairs (i32.const 7) (i32.const 0x200) (i32.const 0x204)))
        (call $log_hex (i32.const 116)
          (i32.load (i32.const 0x200)) (i32.load (i32.const 0x204)))
        (drop (call $effective (global.get $stream)))
        (drop (call $continue (i32.const 0)))))"""


def _escaped(data: bytes) -> str:
    return "".join(f"\\{byte:02x}" for byte in data)


@dataclass
class Logged:
    """What the module told of a callout.

    Attributes:
        call: Status of ``proxy_http_call``, None before it was made.
        headers: Of the answer, None before it was there.
        body: Of the answer; None if it is longer than the module logs.
        body_size: Of the answer.
        trailers: Of the answer.
        whole: Whether the answer was logged to its end.
    """

    call: int | None = None
    headers: Pairs | None = None
    body: bytes | None = None
    body_size: int = 0
    trailers: Pairs = ()
    whole: bool = False


def read_log(lines: list[str]) -> Logged:
    """Read the lines that the module logged."""
    seen = Logged()
    for mark, data in (m.groups() for line in lines if (m := re.fullmatch(r"(\w)=(\w*)", line))):
        raw = bytes.fromhex(data)
        if mark == "c":
            seen.call = raw[0]
        elif mark == "n":
            seen.body_size = int.from_bytes(raw[4:8], "little")
        elif mark == "h":
            seen.headers = tuple(deserialize(raw))
        elif mark == "b":
            seen.body = raw
        elif mark == "t":
            seen.trailers, seen.whole = tuple(deserialize(raw)), True
    return seen
