"""From our signatures to wasmtime's function types."""

import wasmtime

from mixer.vm.model import Signature, ValueType

_TYPES = {
    ValueType.I32: wasmtime.ValType.i32,
    ValueType.I64: wasmtime.ValType.i64,
    ValueType.F32: wasmtime.ValType.f32,
    ValueType.F64: wasmtime.ValType.f64,
}


def function_type(signature: Signature) -> wasmtime.FuncType:
    """Build wasmtime's type; every parameter and result is a number."""
    return wasmtime.FuncType(
        [_TYPES[t]() for t in signature.params if t],
        [_TYPES[t]() for t in signature.results if t],
    )
