"""Small modules in WebAssembly text, each with one behaviour."""

import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path

import wasmtime

_DATA, _HEAP = 0x1000, 0x1_0000

_PRELUDE = """
(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
(import "env" "proxy_get_header_map_value"
  (func $get (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
(import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_replace_header_map_value"
  (func $replace (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_set_buffer_bytes" (func $set (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_set_property" (func $property (param i32 i32 i32 i32) (result i32)))
(import "env" "proxy_send_local_response"
  (func $send (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
(memory (export "memory") 2)
(global $heap (mut i32) (i32.const HEAP))
(func (export "proxy_abi_version_0_2_1"))
(func (export "proxy_on_context_create") (param i32 i32))
(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
(func (export "proxy_on_delete") (param i32))
(func $malloc (export "malloc") (param $size i32) (result i32) (local $at i32)
  (local.set $at (global.get $heap))
  (global.set $heap (i32.add (global.get $heap) (local.get $size)))
  (block $enough (loop $more
    (br_if $enough (i32.lt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
    (br $more)))
  (local.get $at))
;; A response whose body is what the host wrote a pointer to.
(func $tell (param $status i32) (drop (call $send (local.get $status) (i32.const 0) (i32.const 0)
  (i32.load (i32.const 0)) (i32.load (i32.const 4))
  (i32.const 0) (i32.const 0) (i32.const -1))))
""".replace("HEAP", str(_HEAP))


class Guests:
    """Makes modules as files.

    Args:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, name: str, content: bytes) -> Path:
        """A file with any content."""
        path = self._folder / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}.wasm"
        path.write_bytes(content)
        return path

    def module(
        self,
        name: str,
        on_headers: str = "",
        on_body: str = "(i32.const 0)",
        on_configure: str = "(i32.const 1)",
        texts: Sequence[bytes] = (),
    ) -> Path:
        """A module.

        Args:
            name: Of the file, together with a digest.
            on_headers: Run for a request's headers, with ``$end`` of the stream; the request goes
                on, unless this returns.
            on_body: Run for its body, with ``$size`` and ``$end``; leaves an action.
            on_configure: Run with ``$size``; leaves whether the configuration is accepted.
            texts: Data; ``{0}`` in the code stands for address and size of the first one.
        """
        places, at, data = [], _DATA, ""
        for text in texts:
            places.append(f"(i32.const {at}) (i32.const {len(text)})")
            escaped = "".join(f"\\{byte:02x}" for byte in text)
            data += f'(data (i32.const {at}) "{escaped}")\n'
            at += len(text)
        headers, body, configure = (
            code.format(*places) for code in (on_headers, on_body, on_configure)
        )
        return self.file(
            name,
            bytes(
                wasmtime.wat2wasm(f"""(module {_PRELUDE} {data}
(func (export "proxy_on_configure") (param i32) (param $size i32) (result i32) {configure})
(func (export "proxy_on_request_headers") (param i32 i32) (param $end i32) (result i32)
  (global.set $heap (i32.const {_HEAP})) {headers} (i32.const 0))
(func (export "proxy_on_request_body") (param i32) (param $size i32) (param $end i32)
  (result i32) {body}))""")
            ),
        )

    def lists(self) -> Path:
        """Answers 403 with all request headers, serialized; see `listed`."""
        code = "(drop (call $pairs (i32.const 0) (i32.const 0) (i32.const 4)))"
        return self.module("lists", f"{code} (call $tell (i32.const 403))")

    def reads(self, header: bytes) -> Path:
        """Answers 403 with the value of a request header."""
        read = (  # without the header, nothing is written: what the last request left must go
            "(i32.store (i32.const 4) (i32.const 0))"
            "(drop (call $get (i32.const 0) {0} (i32.const 0) (i32.const 4)))"
        )
        return self.module("reads", f"{read} (call $tell (i32.const 403))", texts=[header])

    def reads_body(self) -> Path:
        """Answers with the body: 403 if it is the whole one, 429 if there is more."""
        read = "(drop (call $buffer (i32.const 0) (i32.const 0) (local.get $size)"
        tell = "(call $tell (select (i32.const 403) (i32.const 429) (local.get $end)))"
        return self.module(
            "reads-body",
            "(if (i32.eqz (local.get $end)) (then (return (i32.const 1))))",
            f"{read} (i32.const 0) (i32.const 4))) {tell} (i32.const 1)",
        )

    def changes_body(self) -> Path:
        """Replaces the first bytes of a body."""
        change = "(drop (call $set (i32.const 0) (i32.const 0) (i32.const 3) {0})) (i32.const 0)"
        return self.module("changes-body", on_body=change, texts=[b"new"])

    def adds(self, *headers: tuple[bytes, bytes]) -> Path:
        """Adds request headers."""
        code, texts = "", list[bytes]()
        for name, value in headers:
            code += f"(drop (call $add (i32.const 0) {{{len(texts)}}} {{{len(texts) + 1}}}))\n"
            texts += [name, value]
        return self.module("adds", code, texts=texts)

    def sets_property(self, path: bytes, value: bytes) -> Path:
        """Sets a property of the stream."""
        return self.module("sets", "(drop (call $property {0} {1}))", texts=[path, value])

    def denies(
        self, body: bytes, details: bytes, status: int = 403, *headers: tuple[bytes, bytes]
    ) -> Path:
        """Answers every request."""
        send = f"(drop (call $send (i32.const {status}) {{0}} {{1}} {{2}} (i32.const -1)))"
        return self.module("denies", send, texts=[details, body, serialized(headers)])

    def answers(self) -> Path:
        """Answers with the status that the header x-answer asks for; with 000 it traps."""
        read = (  # without the header, nothing is written: what the last request left must go
            "(i32.store (i32.const 4) (i32.const 0))"
            "(drop (call $get (i32.const 0) {0} (i32.const 0) (i32.const 4)))"
        )
        digit = "(i32.sub (i32.load8_u offset={} (i32.load (i32.const 0))) (i32.const 48))"
        status = "(i32.const 0)"
        for place in range(3):
            status = f"(i32.add (i32.mul {status} (i32.const 10)) {digit.format(place)})"
        code = f"""
(if (i32.eqz (i32.load (i32.const 4))) (then (return (i32.const 0))))
(i32.store (i32.const 8) {status})
(if (i32.eqz (i32.load (i32.const 8))) (then unreachable))
(drop (call $send (i32.load (i32.const 8)) {{1}} {{2}} {{3}} (i32.const -1)))
(return (i32.const 1))"""
        headers = [
            (b"location", b"/login"), (b"retry-after", b"7"), (b"www-authenticate", b"Basic"),
            (b"x-more", b"1"),
        ]  # fmt: skip
        texts = [b"x-answer", b"asked", b"denied", serialized(headers)]
        return self.module("answers", read + code, texts=texts)

    def hostile(self) -> Path:
        """Does what the header x-attack asks for: loop, grow, trap, or burn some milliseconds."""
        read = (  # without the header, nothing is written: what the last request left must go
            "(i32.store (i32.const 4) (i32.const 0))"
            "(drop (call $get (i32.const 0) {0} (i32.const 0) (i32.const 4)))"
        )
        attacks = """
(if (i32.eqz (i32.load (i32.const 4))) (then (return (i32.const 0))))
(if (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 0x6c)) (then
  (loop $forever (br $forever))))
(if (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 0x67)) (then
  (loop $more
    (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
  unreachable))
(if (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 0x74)) (then unreachable))
(i32.store (i32.const 8) (i32.const 0))
(loop $burn
  (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
  (br_if $burn (i32.lt_u (i32.load (i32.const 8)) (i32.const 10000000))))"""
        return self.module("hostile", read + attacks, texts=[b"x-attack"])

    def refuses(self, reason: bytes) -> Path:
        """Refuses its configuration, and logs why."""
        code = "(drop (call $log (i32.const 4) {0})) (i32.const 0)"
        return self.module("refuses", on_configure=code, texts=[reason])


def serialized(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Headers in the ABI's form."""
    sizes = b"".join(struct.pack("<II", len(name), len(value)) for name, value in pairs)
    content = b"".join(name + b"\0" + value + b"\0" for name, value in pairs)
    return struct.pack("<I", len(pairs)) + sizes + content


def listed(body: str) -> list[tuple[str, str]]:
    """What `Guests.lists` answered."""
    data = body.encode()
    (count,) = struct.unpack_from("<I", data)
    at, pairs = 4 + 8 * count, []
    for name, value in struct.iter_unpack("<II", data[4:at]):
        pairs.append((data[at : at + name].decode(), data[at + name + 1 :][:value].decode()))
        at += name + value + 2
    return pairs
