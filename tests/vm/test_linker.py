"""Which linker a worker gets."""

import ctypes
import logging
from typing import Any

import pytest

from mixer.vm import I32, HostFunction, Signature, VmLimits, capi, make_linker
from mixer.vm.fast import FastLinker
from mixer.vm.portable import PortableLinker
from tests.support.compile import engine, module

ADD = """(module (import "host" "add" (func $add (param i32) (result i32)))
  (func (export "run") (param i32) (result i32) (call $add (local.get 0))))"""
FUNCTIONS = [HostFunction("host", "add", Signature((I32,), (I32,)), lambda n, x: n + x)]


def test_fast_linker_where_the_library_is_as_expected() -> None:
    """With the wasmtime that is installed the fast linker proves itself and is chosen."""
    linker = make_linker(engine(), FUNCTIONS)
    assert isinstance(linker, FastLinker)
    linker.close()


def _refuses(*_: Any) -> Any:
    raise OSError("symbol not found")


def _wrong_size(*_: Any) -> int:
    return 0


def _other_exports(*args: Any) -> bool:
    ctypes.memset(args[-1], 0, 1)
    return False


def _does_nothing(*_: Any) -> None:
    return None


@pytest.mark.parametrize(
    ("name", "replacement"),
    [
        ("store_new", _refuses),
        ("linker_instantiate_pre", _refuses),
        ("memory_data_size", _wrong_size),
        ("instance_export_get", _other_exports),
        ("func_call_unchecked", _does_nothing),
    ],
)
def test_portable_linker_where_the_self_check_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, replacement: Any
) -> None:
    """If any part of the C API misbehaves, the portable linker serves, and a warning says so."""
    monkeypatch.setattr(capi, name, replacement)
    with caplog.at_level(logging.WARNING):
        linker = make_linker(engine(), FUNCTIONS)
    assert isinstance(linker, PortableLinker)
    assert "slower public API" in caplog.text
    instance = linker.instantiate(module(ADD), 40, VmLimits(cpu=5.0))
    run = instance.function("run")
    assert run is not None
    assert run(2) == 42
    instance.close()
    linker.close()


def test_forgotten_module_can_be_instantiated_again() -> None:
    """A module that a linker forgot leaves its instances alone, and can be used anew."""
    linker = FastLinker(engine(), FUNCTIONS)
    instance = linker.instantiate(module(ADD), 1, VmLimits(cpu=5.0))
    linker.forget(module(ADD))
    linker.forget(module(ADD))
    run = instance.function("run")
    again = linker.instantiate(module(ADD), 2, VmLimits(cpu=5.0))
    second = again.function("run")
    assert run is not None
    assert second is not None
    assert [run(1), second(1)] == [2, 3]
    instance.close()
    again.close()
    linker.close()
