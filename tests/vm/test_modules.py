"""What is not a module, and what instances leave behind."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.vm import (
    I32,
    MAX_MODULE_BYTES,
    HostFunction,
    ModuleError,
    Signature,
    TrapError,
    VmLimits,
    read_module,
)
from mixer.vm import engine as engine_module
from mixer.vm.fast import FastLinker
from tests.support.compile import engine, module, wasm
from tests.support.guarded import MIB, growth

SMALL = """(module
  (import "host" "call" (func $call (param i32) (result i32)))
  (import "host" "flag" (global $g i32))
  (memory (export "memory") 2) (table (export "table") 1 funcref)
  (func (export "run") (param i32 i64 f32 f64) (result i32) (call $call (local.get 0)))
  (func (export "reference") (param externref)))"""

LEAKY = """(module
  (import "host" "call" (func $call (param i32) (result i32)))
  (memory (export "memory") 4)
  (func (export "run") (param i32) (result i32)
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 262144))
    (call $call (local.get 0)))
  (func (export "trap") unreachable))"""


@pytest.mark.parametrize(
    "code",
    [b"", b"\0asm", b"#!/bin/sh", wasm("(module)")[:-1] + b"\x02", wasm(LEAKY)[:-5]],
    ids=["empty", "head", "script", "another version", "truncated"],
)
def test_what_is_no_module_is_refused(code: bytes) -> None:
    """Bytes that are no WebAssembly module are refused, and the message says what they are not."""
    with pytest.raises(ModuleError, match="not a valid WebAssembly module"):
        engine().compile(code)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_module_never_does_more_than_be_refused(data: st.DataObject) -> None:
    """A module with any byte changed, or cut anywhere, is compiled or refused, nothing else."""
    code = bytearray(wasm(LEAKY))
    code[data.draw(st.integers(0, len(code) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ModuleError):
        engine().compile(bytes(code[: data.draw(st.integers(0, len(code)))]))


def test_module_over_the_bound_is_refused() -> None:
    """A module over the bound is refused before it is compiled, with both numbers."""
    with pytest.raises(ModuleError, match=rf"{MAX_MODULE_BYTES + 1}.*{MAX_MODULE_BYTES}"):
        engine().compile(bytes(MAX_MODULE_BYTES + 1))


@pytest.mark.parametrize(
    "text",
    ['(module (memory (export "memory") 1 2 shared))', "(module (memory i64 1))"],
    ids=["shared memory", "64-bit memory"],
)
def test_memories_that_escape_the_limits_are_refused(text: str) -> None:
    """Shared and 64-bit memories, which the limits do not reach, are refused."""
    with pytest.raises(ModuleError):
        engine().compile(wasm(text))


def test_imports_and_exports_are_told() -> None:
    """A module tells its imports and exports with their kinds and signatures."""
    described = module(SMALL)
    assert [str(i.signature) for i in described.imports] == ["(i32) -> (i32)", "None"]
    assert {e.name: (e.kind, str(e.signature)) for e in described.exports} == {
        "memory": ("memory", "None"),
        "table": ("table", "None"),
        "run": ("func", "(i32, i64, f32, f64) -> (i32)"),
        "reference": ("func", "(reference) -> ()"),
    }


def test_file_is_read(tmp_path: Path) -> None:
    """A module's bytes come from its file."""
    path = tmp_path / "a.wasm"
    path.write_bytes(b"\0asm")
    assert read_module(path) == b"\0asm"


@pytest.mark.parametrize("name", ["none.wasm", ".", "a.wasm/b", "x" * 300])
def test_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    """A missing file, a folder and an impossible path are all told by the path."""
    (tmp_path / "a.wasm").write_bytes(b"")
    with pytest.raises(ModuleError, match=f"{tmp_path}"):
        read_module(tmp_path / name)


def test_file_over_the_bound_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file over the bound is refused by its size."""
    monkeypatch.setattr(engine_module, "MAX_MODULE_BYTES", 10)
    path = tmp_path / "a.wasm"
    path.write_bytes(bytes(11))
    with pytest.raises(ModuleError, match="11 bytes, over the bound of 10"):
        read_module(path)


def _call(_data: object, value: int) -> int:
    if value:
        raise ValueError("told to fail")
    return 0


def test_instances_leave_nothing_behind() -> None:
    """Thousands of instances, closed in order or after a trap, do not make the process grow."""
    functions = [HostFunction("host", "call", Signature((I32,), (I32,)), _call)]
    linker = FastLinker(engine(), functions)
    limits = VmLimits(memory_bytes=8 * MIB, cpu=5.0)

    def one(index: int) -> None:
        instance = linker.instantiate(module(LEAKY), object(), limits)
        run, trap = instance.function("run"), instance.function("trap")
        assert run is not None
        assert trap is not None
        run(0)
        if index % 4 == 0:
            with pytest.raises(TrapError):
                trap()
        elif index % 4 == 1:
            with pytest.raises(TrapError):
                run(1)
        instance.close()

    def many(count: int) -> None:
        for index in range(count):
            one(index)

    assert growth(many, warm_up=100, times=2000) < 16 * MIB
    linker.close()


def test_failed_instantiations_leave_nothing_behind() -> None:
    """Instances that trap in their start section or exceed a bound do not make the process grow."""
    linker = FastLinker(engine(), [])
    trap = module("(module (memory 4) (func $go unreachable) (start $go))")
    large = module("(module (memory 400))")

    def many(count: int) -> None:
        for _ in range(count):
            with pytest.raises(TrapError):
                linker.instantiate(trap, None, VmLimits(cpu=5.0))
            with pytest.raises(ModuleError):
                linker.instantiate(large, None, VmLimits(memory_bytes=MIB))

    assert growth(many, warm_up=50, times=500) < 8 * MIB
    linker.close()
