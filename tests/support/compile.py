"""WebAssembly text to compiled modules; what is alike is made once for each process."""

from functools import cache

import wasmtime

from mixer.proxywasm import (
    ProxyWasmModule,
    check_exports,
    detect_abi,
    host_functions,
    load_module,
)
from mixer.vm import Linker, Module, WasmEngine, make_linker


@cache
def wasm(text: str) -> bytes:
    """The binary form of a module's text."""
    return bytes(wasmtime.wat2wasm(text))


@cache
def engine() -> WasmEngine:
    """The one engine of this process."""
    return WasmEngine()


@cache
def module(text: str) -> Module:
    """A compiled module of the one engine."""
    return engine().compile(wasm(text))


@cache
def plugin(text: str) -> ProxyWasmModule:
    """A checked Proxy-Wasm module of the one engine."""
    return load_module(engine(), wasm(text))


@cache
def with_every_call(text: str) -> ProxyWasmModule:
    """A Proxy-Wasm module that may import the host calls of every version of the ABI."""
    compiled = module(text)
    abi = detect_abi(compiled)
    check_exports(compiled, abi)
    return ProxyWasmModule(compiled, abi)


@cache
def linker() -> Linker:
    """A linker with all that the Proxy-Wasm host offers."""
    return make_linker(engine(), host_functions())
