"""A module that makes every call of a table in every one of its callbacks, and logs what comes.

The table lies in the module's own memory, so that one module makes thousands of calls, in Envoy as
here. What a call wrote is logged as words and as bytes; `parse` reads it back.
"""

import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mixer.proxywasm.pairs import serialize
from mixer.vm import I32, HostFunction
from tests.support.probe import FUNCTIONS

MARK = "sweep: "
PAGES = 24
SIZE = PAGES * 65_536
BAD = 0x7FFF_0000
RESULT, SECOND, THIRD = 0x100, 0x108, 0x110

_CALLED = 0x70
_LINE, _FLAGS, _DATA, _TABLE = 0x1000, 0x80, 0x8000, 0x2_0000
_HEAP = 0x12_0000
_ENTRY_BYTES = 104
_MAX_SHOWN = 512

CALLBACKS = {
    "vm_start": (2, "1"),
    "configure": (2, "1"),
    "tick": (1, ""),
    "queue_ready": (2, ""),
    "http_call_response": (5, ""),
    "request_headers": (3, "0"),
    "request_body": (3, "0"),
    "request_trailers": (2, "0"),
    "response_headers": (3, "0"),
    "response_body": (3, "0"),
    "response_trailers": (2, "0"),
    "log": (1, ""),
    "done": (1, "1"),
    "delete": (1, ""),
    "new_connection": (1, "0"),
    "downstream_data": (3, "0"),
    "upstream_data": (3, "0"),
    "downstream_connection_close": (2, ""),
    "upstream_connection_close": (2, ""),
}
PHASES = ("root_create", "stream_create", *CALLBACKS)


@dataclass(frozen=True)
class Entry:
    """One call of the table.

    Attributes:
        call: The host function.
        args: Numbers, and bytes that become address and size.
        shows: What is logged beside the status: nothing, ``words`` or ``bytes``.
    """

    call: str
    args: tuple[int | bytes, ...]
    shows: str = ""

    def __str__(self) -> str:
        shown = (hex(a) if isinstance(a, int) else repr(a) for a in self.args)
        return f"{self.call}({', '.join(shown)})"


@dataclass(frozen=True)
class Outcome:
    """What one call came to.

    Attributes:
        status: What it returned.
        words: What lies at the three places for results, if that is shown.
        data: The bytes that it handed over, if that is shown.
    """

    status: int
    words: tuple[int, ...] = ()
    data: bytes = b""


class _Layout:
    """Where the texts of a table lie."""

    def __init__(self) -> None:
        self._texts: dict[bytes, int] = {}
        self._end = _DATA

    def place(self, text: bytes) -> tuple[int, int]:
        if text not in self._texts:
            self._texts[text], self._end = self._end, self._end + len(text) + -len(text) % 8
            assert self._end <= _TABLE
        return self._texts[text], len(text)

    def segments(self) -> str:
        return "".join(f'(data (i32.const {at}) "{_escaped(t)}")' for t, at in self._texts.items())


def _escaped(data: bytes) -> str:
    return "".join(f"\\{byte:02x}" for byte in data)


def _packed(entry: Entry, index: int, layout: _Layout) -> bytes:
    numbers: list[int] = []
    for argument in entry.args:
        numbers += [argument] if isinstance(argument, int) else layout.place(argument)
    shows = ("", "words", "bytes").index(entry.shows)
    numbers = [n & (1 << 64) - 1 for n in numbers]
    return struct.pack("<II12Q", index, shows, *numbers, *[0] * (12 - len(numbers)))


def text(entries: Sequence[Entry], *, abi: str = "0_2_1") -> str:
    """The module's text.

    Once configured it has a message of a queue to be told, and then ticks, in the first of which
    it makes a callout to the cluster ``upstream``.

    Args:
        entries: The table.
        abi: Version of the ABI.
    """
    layout = _Layout()
    names = list(dict.fromkeys(["proxy_log", *_NEEDED, *(e.call for e in entries)]))
    functions = [FUNCTIONS[name] for name in names]
    table = b"".join(_packed(e, names.index(e.call), layout) for e in entries)
    assert _TABLE + len(table) <= _HEAP
    at, size = layout.place(b"told")
    started = f"""
      (drop (call $proxy_register_shared_queue (i32.const {at}) (i32.const {size}) (i32.const 0)))
      (drop (call $proxy_enqueue_shared_queue (i32.load (i32.const 0)) (i32.const {at})
        (i32.const {size})))
      {_TICKS}"""
    more = {"configure": started, "queue_ready": _TICKS, "tick": _callout(layout)}
    old = abi == "0_1_0"
    callbacks = "".join(
        _callback(name, count - (old and name.endswith("_headers")), default, more.get(name, ""))
        for name, (count, default) in CALLBACKS.items()
    )
    return f"""(module {"".join(map(_import, functions))}
      (type $wrapper (func (param i32) (result i32)))
      (memory (export "memory") {PAGES})
      (table {len(names)} funcref)
      (elem (i32.const 0) {" ".join(f"$w_{name}" for name in names)})
      {"".join(map(_wrapper, functions))}
      (func (export "proxy_abi_version_{abi}"))
      {_RUNTIME.replace("COUNT", str(len(entries)))}
      (func (export "proxy_on_context_create") (param i32 i32)
        (call $run (select (i32.const 1) (i32.const 0) (local.get 1))))
      {callbacks}
      {layout.segments()}
      (data (i32.const {_TABLE}) "{_escaped(table)}"))"""


_NEEDED = (
    "proxy_register_shared_queue",
    "proxy_enqueue_shared_queue",
    "proxy_set_tick_period_milliseconds",
    "proxy_http_call",
)


def _callout(layout: _Layout) -> str:
    fields = serialize([(b":method", b"GET"), (b":path", b"/"), (b":authority", b"a")])
    texts = (b"upstream", fields, b"", b"")
    spans = " ".join(f"(i32.const {n})" for one in texts for n in layout.place(one))
    return f"""(if (i32.eqz (i32.load8_u (i32.const {_CALLED})))
      (then (i32.store8 (i32.const {_CALLED}) (i32.const 1))
        (drop (call $proxy_http_call {spans} (i32.const 10000) (i32.const 0)))))"""


def _import(function: HostFunction) -> str:
    params = " ".join(t.value for t in function.signature.params if t)
    result = "(result i32)" if function.signature.results else ""
    name = function.name
    return f'(import "{function.module}" "{name}" (func ${name} (param {params}) {result}))'


def _wrapper(function: HostFunction) -> str:
    arguments = " ".join(
        f"({'i32' if t is I32 else 'i64'}.load offset={8 + 8 * i} (local.get 0))"
        for i, t in enumerate(function.signature.params)
    )
    result = "" if function.signature.results else "(i32.const 0)"
    name = function.name
    return f"(func $w_{name} (type $wrapper) (call ${name} {arguments}) {result})"


def _callback(name: str, params: int, default: str, more: str) -> str:
    result = f"(result i32) (call $run (i32.const {PHASES.index(name)}))" if default else ""
    run = "" if default else f"(call $run (i32.const {PHASES.index(name)}))"
    answer = f"(i32.const {default})" if default else ""
    declared = f'(func (export "proxy_on_{name}") {"(param i32) " * params} {result}'
    return f"{declared} {run} {more} {answer})"


_TICKS = "(drop (call $proxy_set_tick_period_milliseconds (i32.const 20)))"
_RUNTIME = f"""
(global $heap (mut i32) (i32.const {_HEAP}))
(global $end (mut i32) (i32.const {_LINE}))
(func (export "malloc") (param i32) (result i32)
  (if (i32.gt_u (i32.add (global.get $heap) (local.get 0)) (i32.const {SIZE}))
    (then (return (i32.const 0))))
  (global.get $heap)
  (global.set $heap (i32.add (global.get $heap) (local.get 0))))
(func $digits (param $value i32) (param $count i32) (local $digit i32)
  (loop $next
    (local.set $count (i32.sub (local.get $count) (i32.const 1)))
    (local.set $digit (i32.and (i32.const 15)
      (i32.shr_u (local.get $value) (i32.mul (i32.const 4) (local.get $count)))))
    (i32.store8 (global.get $end) (i32.add (local.get $digit)
      (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $digit) (i32.const 10)))))
    (global.set $end (i32.add (global.get $end) (i32.const 1)))
    (br_if $next (local.get $count))))
(func $number (param i32)
  (i32.store8 (global.get $end) (i32.const 32))
  (global.set $end (i32.add (global.get $end) (i32.const 1)))
  (call $digits (local.get 0) (i32.const 8)))
(func $bytes (param $at i32) (param $size i32)
  (call $number (local.get $size))
  (i32.store8 (global.get $end) (i32.const 32))
  (global.set $end (i32.add (global.get $end) (i32.const 1)))
  (if (i32.gt_u (local.get $size) (i32.const {_MAX_SHOWN}))
    (then (local.set $size (i32.const {_MAX_SHOWN}))))
  (block $done (loop $next
    (br_if $done (i32.eqz (local.get $size)))
    (call $digits (i32.load8_u (local.get $at)) (i32.const 2))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (local.set $size (i32.sub (local.get $size) (i32.const 1)))
    (br $next))))
(data (i32.const {_LINE}) "{MARK}")
(func $run (param $phase i32) (local $index i32) (local $entry i32) (local $status i32)
  (if (i32.load8_u offset={_FLAGS} (local.get $phase)) (then (return)))
  (i32.store8 offset={_FLAGS} (local.get $phase) (i32.const 1))
  (local.set $entry (i32.const {_TABLE}))
  (block $done (loop $next
    (br_if $done (i32.ge_u (local.get $index) (i32.const COUNT)))
    (memory.fill (i32.const {RESULT}) (i32.const 0xaa) (i32.const 24))
    (memory.fill (i32.const {SIZE - 64}) (i32.const 0) (i32.const 64))
    (global.set $heap (i32.const {_HEAP}))
    (local.set $status
      (call_indirect (type $wrapper) (local.get $entry) (i32.load (local.get $entry))))
    (global.set $end (i32.const {_LINE + len(MARK)}))
    (call $digits (local.get $phase) (i32.const 2))
    (call $number (local.get $index))
    (call $number (local.get $status))
    (if (i32.load offset=4 (local.get $entry)) (then
      (call $number (i32.load (i32.const {RESULT})))
      (call $number (i32.load (i32.const {SECOND})))
      (call $number (i32.load (i32.const {THIRD})))))
    (if (i32.and (i32.eqz (local.get $status))
        (i32.eq (i32.load offset=4 (local.get $entry)) (i32.const 2))) (then
      (if (i32.and (i32.lt_u (i32.load (i32.const {RESULT})) (i32.const {SIZE}))
            (i32.lt_u (i32.load (i32.const {SECOND})) (i32.const {SIZE}))) (then
        (call $bytes (i32.load (i32.const {RESULT})) (i32.load (i32.const {SECOND})))))))
    (drop (call $proxy_log (i32.const 3) (i32.const {_LINE})
      (i32.sub (global.get $end) (i32.const {_LINE}))))
    (local.set $entry (i32.add (local.get $entry) (i32.const {_ENTRY_BYTES})))
    (local.set $index (i32.add (local.get $index) (i32.const 1)))
    (br $next))))"""

_OUTCOME = re.compile(rf"{MARK}(\w\w) (\w{{8}}) (\w{{8}})((?: \w{{8}}){{3}})?(?: \w{{8}} (\w*))?")

Swept = dict[str, dict[int, Outcome]]
"""What each entry came to, by phase and index."""


def parse(lines: Iterable[str]) -> Swept:
    """Read what the module logged; of a phase that ran more than once, the last run."""
    swept: Swept = {}
    for line in lines:
        found = re.search(
            rf"{MARK}(\w\w) (\w{{8}}) (\w{{8}})((?: \w{{8}}){{3}})?(?: \w{{8}} (\w*))?", line
        )
        if found:
            phase, index, status = (int(found[n], 16) for n in (1, 2, 3))
            words = tuple(int(word, 16) for word in (found[4] or "").split())
            outcome = Outcome(status, words, bytes.fromhex(found[5] or ""))
            swept.setdefault(PHASES[phase], {})[index] = outcome
    return swept
