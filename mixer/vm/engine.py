"""The wasmtime engine of one worker: how modules are compiled, and the clock that bounds them."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

import wasmtime

from mixer.vm.cache import CompileCache
from mixer.vm.errors import ModuleError
from mixer.vm.model import Export, Import, Signature, ValueType
from mixer.vm.pool import InstancePool, use_pool
from mixer.vm.ticker import ticker

MAX_MODULE_BYTES = 64 << 20
"""The largest module that is compiled."""

_MAGIC = b"\0asm"

_SETTINGS = "epoch;no-threads;no-memory64;no-gc;fixed-memory"
"""Names what `_config` sets, as part of the key of a compiled module; a pool adds its own."""


@cache
def wasmtime_version() -> str:
    """The version of the wasmtime package, such as ``50.0.1``."""
    return version("wasmtime")


def _config() -> wasmtime.Config:
    config = wasmtime.Config()
    config.epoch_interruption = True
    # Shared and 64-bit memories and a collected heap escape the limiter or the fixed base.
    config.wasm_threads = False
    config.wasm_memory64 = False
    config.wasm_gc = False
    config.memory_may_move = False
    return config


class WasmEngine:
    """Compiles modules and ticks the epoch by which their CPU limits are measured.

    Args:
        cache: Where compiled modules are kept, or None to compile each time.
        pool: Where instances live; unless it is given, each has memory of its own.
        compiling: Told the size of a module that is about to be compiled, in bytes.

    Raises:
        ModuleError: There is no address space for the pool, or no timer.
    """

    def __init__(
        self,
        cache: CompileCache | None = None,
        pool: InstancePool | None = None,
        *,
        compiling: Callable[[int], None] = lambda _size: None,
    ) -> None:
        config = _config()
        if pool is not None:
            use_pool(config, pool)
        self._engine = wasmtime.Engine(config)
        self._settings = f"{_SETTINGS};{pool.settings}" if pool else _SETTINGS
        self._cache = cache
        self._compiling = compiling
        try:
            self._ticker = ticker(self._engine)
        except OSError as error:
            raise ModuleError(f"guests could not be interrupted: {error}") from error

    @property
    def raw(self) -> wasmtime.Engine:
        """The engine as the rest of this package needs it."""
        return self._engine

    def compile(self, code: bytes) -> "Module":
        """Compile a module, or load it from the cache.

        May take seconds for a module of several megabytes; releases the GIL while it does.

        Raises:
            ModuleError: The bytes are no valid module, or too many.
        """
        if len(code) > MAX_MODULE_BYTES:
            raise ModuleError(
                f"the module has {len(code)} bytes, over the bound of {MAX_MODULE_BYTES}"
            )
        if not code.startswith(_MAGIC):  # wasmtime would take text for its text format
            raise ModuleError("not a valid WebAssembly module: it does not begin with \\0asm")
        digest = hashlib.sha256(code).hexdigest()
        raw = self._cached(digest)
        if raw is not None:
            return Module(raw, digest, len(code), from_cache=True)
        self._compiling(len(code))
        with _module_errors():
            raw = wasmtime.Module(self._engine, code)
        if self._cache:
            self._cache.store(self._key(digest), bytes(raw.serialize()))
        return Module(raw, digest, len(code), from_cache=False)

    def _cached(self, digest: str) -> wasmtime.Module | None:
        compiled = self._cache.load(self._key(digest)) if self._cache else None
        if compiled is None:
            return None
        try:
            return wasmtime.Module.deserialize(self._engine, compiled)
        except wasmtime.WasmtimeError:  # made on another processor: compile it anew
            return None

    def _key(self, digest: str) -> str:
        settings = hashlib.sha256(self._settings.encode()).hexdigest()[:8]
        return f"{digest}-{wasmtime_version()}-{settings}"

    def close(self) -> None:
        """Stop the ticker. Instances must not be entered afterwards."""
        self._ticker.close()

    def __enter__(self) -> "WasmEngine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Module:
    """A compiled module.

    Attributes:
        raw: wasmtime's module.
        digest: SHA-256 of the module's bytes, in hexadecimal.
        size: Bytes of the module before compilation.
        from_cache: Whether it was compiled before.
    """

    raw: wasmtime.Module
    digest: str
    size: int
    from_cache: bool

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """What the module asks for."""
        return tuple(Import(i.module, i.name or "", _signature(i.type)) for i in self.raw.imports)

    @cached_property
    def exports(self) -> tuple[Export, ...]:
        """What the module offers."""
        return tuple(
            Export(e.name, type(e.type).__name__.removesuffix("Type").lower(), _signature(e.type))
            for e in self.raw.exports
        )

    @cached_property
    def functions(self) -> Mapping[str, Signature]:
        """The signatures of the functions that it exports."""
        return {e.name: e.signature for e in self.exports if e.signature}


def read_module(path: Path) -> bytes:
    """Read the bytes of a module from a file.

    Raises:
        ModuleError: There is no such file, it is no regular file, or it is over the bound.
    """
    try:
        if not path.is_file():
            raise ModuleError(f"{path}: {'is no file' if path.exists() else 'no such file'}")
        if (size := path.stat().st_size) > MAX_MODULE_BYTES:
            raise ModuleError(f"{path}: {size} bytes, over the bound of {MAX_MODULE_BYTES}")
        return path.read_bytes()
    except OSError as error:
        raise ModuleError(f"{path}: {error.strerror}") from error


def _signature(kind: object) -> Signature | None:
    if not isinstance(kind, wasmtime.FuncType):
        return None
    return Signature(tuple(map(_type, kind.params)), tuple(map(_type, kind.results)))


def _type(kind: wasmtime.ValType) -> ValueType | None:
    return next((t for t in ValueType if t.value == str(kind)), None)


@contextmanager
def _module_errors() -> Iterator[None]:
    try:
        yield
    except wasmtime.WasmtimeError as error:
        raise ModuleError(f"not a valid WebAssembly module: {error}") from error
