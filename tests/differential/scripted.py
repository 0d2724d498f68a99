"""A module that makes host calls as a script says, and logs each status and result.

Unlike the probe it needs nobody who writes into its memory, so that Envoy can run it too. The n-th
request of a VM runs the n-th list of steps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.support.adapters import Texts
from tests.support.probe import FUNCTIONS

MARK = "scripted: "
"""Begins every line that the module logs."""

RESULT = 0x7000
CAS = RESULT + 16
BAD = 0x7FFF_0000
_LINE = 0x7100
_HEAP = 0x9000

Argument = int | bytes | str
"""A number, a text that becomes address and size, or an expression."""

BYTES = (RESULT, RESULT + 8)
KEPT = "(global.get $kept)"
"""The comparing number that `keep` kept."""

_WORD_OF = {"word": "(i64.extend_i32_u (i32.load", "wide": "(i64.load"}


@dataclass(frozen=True)
class Step:
    """One host call.

    Attributes:
        call: Its name, without ``proxy_``.
        args: Of the call.
        shows: What it wrote that is logged: ``word``, ``wide``, ``bytes``, or nothing.
        keep: Whether to keep the comparing number that it wrote.
    """

    call: str
    args: tuple[Argument, ...]
    shows: str = ""
    keep: bool = False


def step(call: str, *args: Argument, shows: str = "", keep: bool = False) -> Step:
    """Name one host call."""
    return Step(call, args, shows, keep)


def text(requests: Sequence[Sequence[Step]], others: Mapping[str, Sequence[Step]]) -> str:
    """The module's text.

    Args:
        requests: The steps of each request.
        others: The steps of the callbacks ``configure``, ``tick`` and ``queue_ready``.
    """
    texts = Texts()
    steps = [*(s for one in requests for s in one), *(s for one in others.values() for s in one)]
    imports = "".join(_import(name) for name in sorted({"log", *(s.call for s in steps)}))
    cases = "".join(
        f"(if (i32.eq (global.get $request) (i32.const {n}))"
        f" (then {_code(f'request {n}', one, texts)}))"
        for n, one in enumerate(requests, 1)
    )
    code = {name: _code(name, one, texts) for name, one in others.items()}
    return f"""(module {imports} {_RUNTIME}
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        {code.get("configure", "")} (i32.const 1))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (global.set $request (i32.add (global.get $request) (i32.const 1))) {cases} (i32.const 0))
      (func (export "proxy_on_tick") (param i32)
        {_told("tick", 1, texts)} {code.get("tick", "")})
      (func (export "proxy_on_queue_ready") (param i32 i32)
        {_told("queue_ready", 2, texts)} {code.get("queue_ready", "")})
      {texts.data})"""


def _import(call: str) -> str:
    params = " ".join(t.value for t in FUNCTIONS[f"proxy_{call}"].signature.params if t)
    return f'(import "env" "proxy_{call}" (func ${call} (param {params}) (result i32)))'


def _told(name: str, params: int, texts: Texts) -> str:
    numbers = "".join(f"(call $number (i64.extend_i32_u (local.get {i})))" for i in range(params))
    return f"(call $text {texts.place(f'{MARK}{name}')}) {numbers} (call $flush)"


def _code(where: str, steps: Sequence[Step], texts: Texts) -> str:
    return "".join(_step(f"{where}, {i} {s.call}", s, texts) for i, s in enumerate(steps))


def _step(label: str, one: Step, texts: Texts) -> str:
    return f"""(memory.fill (i32.const {RESULT}) (i32.const 0xaa) (i32.const 32))
      (global.set $status (call ${one.call} {" ".join(_operands(one, texts))}))
      (call $text {texts.place(MARK + label)})
      (call $number (i64.extend_i32_u (global.get $status)))
      {_shown(one.shows)}
      {f"(global.set $kept (i32.load (i32.const {CAS})))" if one.keep else ""}
      (call $flush)"""


def _operands(one: Step, texts: Texts) -> list[str]:
    types = [t.value for t in FUNCTIONS[f"proxy_{one.call}"].signature.params if t]
    operands: list[str] = []
    for argument in one.args:
        if isinstance(argument, bytes):
            operands += texts.place(argument.decode()).split(") ")
            operands[-2] += ")"
        elif isinstance(argument, int):
            operands.append(f"({types[len(operands)]}.const {argument})")
        else:
            operands.append(argument)
    return operands


def _shown(shows: str) -> str:
    if not shows:
        return ""
    if shows == "bytes":
        address, size = f"(i32.load (i32.const {RESULT}))", f"(i32.load (i32.const {RESULT + 8}))"
        return f"""(call $number (i64.extend_i32_u {size}))
          (if (i32.lt_u {address} (i32.const 0x10000)) (then (call $text {address} {size})))"""
    end = "))" if shows == "word" else ")"
    return f"(call $number {_WORD_OF[shows]} (i32.const {RESULT}){end})"


_RUNTIME = f"""
(memory (export "memory") 1 16)
(global $request (mut i32) (i32.const 0))
(global $status (mut i32) (i32.const 0))
(global $kept (mut i32) (i32.const 0))
(global $line (mut i32) (i32.const {_LINE}))
(global $heap (mut i32) (i32.const {_HEAP}))
(func (export "proxy_abi_version_0_2_1"))
(func (export "malloc") (param $size i32) (result i32)
  (if (i32.gt_u (i32.add (global.get $heap) (local.get $size)) (i32.const 0xfff0))
    (then (global.set $heap (i32.const {_HEAP}))))
  (global.get $heap)
  (global.set $heap (i32.add (global.get $heap) (local.get $size))))
(func $text (param $at i32) (param $size i32)
  (memory.copy (global.get $line) (local.get $at) (local.get $size))
  (global.set $line (i32.add (global.get $line) (local.get $size))))
(func $number (param $value i64) (local $shift i64) (local $digit i32)
  (i32.store8 (global.get $line) (i32.const 32))
  (global.set $line (i32.add (global.get $line) (i32.const 1)))
  (local.set $shift (i64.const 60))
  (loop $next
    (local.set $digit (i32.wrap_i64
      (i64.and (i64.shr_u (local.get $value) (local.get $shift)) (i64.const 15))))
    (i32.store8 (global.get $line) (i32.add (local.get $digit)
      (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $digit) (i32.const 10)))))
    (global.set $line (i32.add (global.get $line) (i32.const 1)))
    (local.set $shift (i64.sub (local.get $shift) (i64.const 4)))
    (br_if $next (i64.ge_s (local.get $shift) (i64.const 0)))))
(func $flush
  (drop (call $log (i32.const 3)
    (i32.const {_LINE}) (i32.sub (global.get $line) (i32.const {_LINE}))))
  (global.set $line (i32.const {_LINE})))"""
