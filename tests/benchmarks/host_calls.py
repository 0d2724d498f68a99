"""What each host call costs, here and in Envoy's V8: one module measures itself in both.

The module makes each call many times in a loop and reads the host's clock before and after, so that
nothing but the call itself is in the figure.
"""

import re
import statistics
from dataclasses import dataclass
from pathlib import Path

from mixer.proxywasm import LogLevel, PluginSettings
from mixer.runner import RunPlugin, RunRequest, run_request
from mixer.study import bootstrap as build
from mixer.study.client import HttpConnection, Request
from mixer.study.envoy import EnvoyProcess
from mixer.vm import VmLimits
from tests.support.adapters import Texts
from tests.support.compile import wasm
from tests.support.probe import FUNCTIONS

_LOOPS = 2000
_ROUNDS = 5
_MARK = "host call "
_OUT = "(i32.const 16) (i32.const 24)"

CALLS = {
    "get_header_map_value": ("(i32.const 0) :path", _OUT),
    "get_header_map_value (absent)": ("(i32.const 0) x-absent", _OUT),
    "replace_header_map_value": ("(i32.const 0) x-new value", ""),
    "add_header_map_value, remove_header_map_value": None,
    "get_header_map_pairs": ("(i32.const 0)", _OUT),
    "get_property (request.path)": ("request\0path", _OUT),
    "set_property": ("name value", ""),
    "get_buffer_bytes": ("(i32.const 6) (i32.const 0) (i32.const 99)", _OUT),
    "get_current_time_nanoseconds": ("(i32.const 32)", ""),
    "set_shared_data": ("key value (i32.const 0)", ""),
    "get_shared_data": ("key", f"{_OUT} (i32.const 28)"),
    "increment_metric": ("(i32.load (i32.const 40)) (i64.const 1)", ""),
    "get_log_level": ("(i32.const 32)", ""),
}
"""Arguments before and after: expressions in parentheses, other words are texts."""


@dataclass(frozen=True)
class HostCallCost:
    """One host call.

    Attributes:
        name: Its name, and with what.
        here: Microseconds in this host.
        envoy: Microseconds in Envoy's V8.
    """

    name: str
    here: float
    envoy: float


def _operands(texts: Texts, words: str) -> str:
    parts = re.findall(r"\((?:[^()]|\([^()]*\))*\)|[^ ()]+", words)
    return " ".join(part if part.startswith("(") else texts.place(part) for part in parts)


def _call(texts: Texts, name: str) -> str:
    arguments = CALLS[name]
    if arguments is None:
        added = _operands(texts, "(i32.const 0) x-once value")
        removed = _operands(texts, "(i32.const 0) x-once")
        return (
            f"(drop (call $add_header_map_value {added}))"
            f"(drop (call $remove_header_map_value {removed}))"
        )
    operands = f"{_operands(texts, arguments[0])} {arguments[1]}"
    return f"(drop (call ${name.partition(' ')[0]} {operands}))"


def _measured(texts: Texts, name: str) -> str:
    return f"""(local.set $left (i32.const {_LOOPS}))
      (drop (call $get_current_time_nanoseconds (i32.const 0)))
      (loop $again (global.set $heap (i32.const 0x8000)) {_call(texts, name)}
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br_if $again (local.get $left)))
      (drop (call $get_current_time_nanoseconds (i32.const 8)))
      (call $tell {texts.place(_MARK + name + ": ")}
        (i64.sub (i64.load (i32.const 8)) (i64.load (i32.const 0))))"""


def _module() -> str:
    texts = Texts()
    names = {part.strip() for name in CALLS for part in name.partition(" (")[0].split(",")}
    imports = "".join(_import(name) for name in sorted({*names, "log", "define_metric"}))
    define = f"(drop (call $define_metric (i32.const 0) {texts.place('bench')} (i32.const 40)))"
    loops = "".join(_measured(texts, name) for name in CALLS)
    return f"""(module {imports}
      (memory (export "memory") 4)
      (global $heap (mut i32) (i32.const 0x8000))
      (func (export "proxy_abi_version_0_2_1"))
      (func (export "malloc") (param i32) (result i32) (global.get $heap)
        (global.set $heap (i32.add (global.get $heap) (local.get 0))))
      (func $tell (param $at i32) (param $size i32) (param $value i64) (local $to i32)
        (memory.copy (i32.const 0x7000) (local.get $at) (local.get $size))
        (local.set $to (i32.add (i32.const 0x7000) (i32.add (local.get $size) (i32.const 15))))
        (loop $next
          (i32.store8 (local.get $to) (i32.add (i32.const 48)
            (i32.wrap_i64 (i64.rem_u (local.get $value) (i64.const 10)))))
          (local.set $value (i64.div_u (local.get $value) (i64.const 10)))
          (local.set $to (i32.sub (local.get $to) (i32.const 1)))
          (br_if $next (i32.ge_u (local.get $to) (i32.add (i32.const 0x7000) (local.get $size)))))
        (drop (call $log (i32.const 3)
          (i32.const 0x7000) (i32.add (local.get $size) (i32.const 16)))))
      (func (export "proxy_on_configure") (param i32 i32) (result i32) {define} (i32.const 1))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (local $left i32) {loops} (i32.const 0))
      {texts.data})"""


def _import(name: str) -> str:
    params = " ".join(t.value for t in FUNCTIONS[f"proxy_{name}"].signature.params if t)
    return f'(import "env" "proxy_{name}" (func ${name} (param {params}) (result i32)))'


def _figures(log: str) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for name, nanoseconds in re.findall(rf"{_MARK}(.*?): (\d{{16}})", log):
        found.setdefault(name, []).append(int(nanoseconds) / _LOOPS / 1000)
    return {name: statistics.median(values) for name, values in found.items()}


def _here(code: bytes) -> dict[str, float]:
    headers = (
        (":authority", "a"), (":path", "/bench"), (":method", "GET"), (":scheme", "http"),
        ("user-agent", "bench"), ("accept", "*/*"), ("x-request-id", "1"),
    )  # fmt: skip
    plugin = RunPlugin(PluginSettings("bench"), log_level=LogLevel.WARN, limits=VmLimits(cpu=60.0))
    logs = []
    for _ in range(_ROUNDS):
        logs += [text for _, text in run_request(code, RunRequest(headers, plugin)).logs]
    return _figures("\n".join(logs))


async def _in_envoy(code: bytes, folder: Path) -> dict[str, float]:
    module = folder / "bench.wasm"
    module.write_bytes(code)
    listener = build.listener("bench", "nowhere", [build.wasm_filter("bench", module, "")])
    clusters = [build.cluster("nowhere", "127.0.0.1:1")]
    async with EnvoyProcess(build.bootstrap([listener], clusters)) as envoy:
        async with HttpConnection(envoy.address("bench")) as connection:
            for _ in range(_ROUNDS):
                await connection.send(Request("GET", "/bench", ()))
        return _figures(envoy.log.read_text(errors="replace"))


async def measure(folder: Path) -> list[HostCallCost]:
    """The same module in both.

    Args:
        folder: For the module that Envoy loads.
    """
    code = wasm(_module())
    here = _here(code)
    envoy = await _in_envoy(code, folder)
    return [HostCallCost(name, here[name], envoy[name]) for name in CALLS]
