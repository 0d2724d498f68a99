"""Instances that live in a pool."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mixer.vm import (
    CompileCache,
    InstancePool,
    ModuleError,
    PoolExhaustedError,
    TrapError,
    TrapKind,
    VmLimits,
    WasmEngine,
)
from mixer.vm.fast import FastLinker
from mixer.vm.portable import PortableLinker
from tests.support.compile import wasm

MIB = 1 << 20
PLACES = 3
LINKERS = {"fast": FastLinker, "portable": PortableLinker}
STATE = """(module (memory (export "memory") 1)
  (data (i32.const 8) "data")
  (global $g (mut i32) (i32.const 5))
  (table $t 4 funcref)
  (func $one (result i32) (i32.const 1))
  (elem declare func $one)
  (func (export "spoil") (drop (memory.grow (i32.const 8)))
    (memory.fill (i32.const 0) (i32.const 7) (i32.mul (memory.size) (i32.const 65536)))
    (table.set $t (i32.const 2) (ref.func $one))
    (global.set $g (i32.const 6)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "store") (param i32) (i32.store (local.get 0) (i32.const 1)))
  (func (export "sum") (result i32)
    (i32.add (global.get $g) (ref.is_null (table.get $t (i32.const 2))))))"""


class Pooled:
    """An engine with a small pool, and a linker."""

    def __init__(self, kind: str, memory: int = 4 * MIB, cache: CompileCache | None = None) -> None:
        self.engine = WasmEngine(cache, InstancePool(PLACES, memory))
        self.linker: Any = LINKERS[kind](self.engine, [])

    def make(self, text: str = STATE, memory: int = 4 * MIB) -> Any:
        module = self.engine.compile(wasm(text))
        return self.linker.instantiate(module, None, VmLimits(memory_bytes=memory, cpu=5.0))

    def close(self) -> None:
        self.linker.close()
        self.engine.close()


@pytest.fixture(params=LINKERS)
def pooled(request: pytest.FixtureRequest) -> Iterator[Pooled]:
    """Over each of the linkers."""
    made = Pooled(request.param)
    yield made
    made.close()


def test_nothing_is_left_of_the_one_before(pooled: Pooled) -> None:
    """Memory, its size, globals and tables of a place are as the module begins, each time."""
    for _ in range(3 * PLACES):
        one = pooled.make()
        assert one.memory.size() == 65_536
        assert one.memory.read(0, 65_536) == (b"\0" * 8 + b"data").ljust(65_536, b"\0")
        assert one.function("sum")() == 6
        one.function("spoil")()
        assert one.memory.read(9 * 65_536 - 1, 1) == b"\7"
        assert one.function("grow")(8) == 9
        assert one.memory.read(9 * 65_536, 65_536).strip(b"\0") == b""
        one.close()


def test_nothing_is_left_after_a_trap(pooled: Pooled) -> None:
    """Also where the one before ended with a trap."""
    for _ in range(2 * PLACES):
        one = pooled.make()
        one.function("spoil")()
        with pytest.raises(TrapError):
            one.function("load")(0x7FFF_FFFF)
        one.close()
    assert pooled.make().memory.read(8, 8) == b"data\0\0\0\0"


def test_every_place_is_taken(pooled: Pooled) -> None:
    """One instance more is refused with the bound, and may be made once another is closed."""
    living = [pooled.make() for _ in range(PLACES)]
    for _ in range(2):
        with pytest.raises(PoolExhaustedError, match="all 3 places"):
            pooled.make()
    living.pop().close()
    living.append(pooled.make())
    assert living[-1].function("sum")() == 6
    for one in living:
        one.close()


def test_tables_run_out_as_places_do(pooled: Pooled) -> None:
    """Modules with many tables are refused alike: a clear error, and the others go on."""
    tables = "(table 1 funcref)" * 16
    living = [pooled.make(f"(module (memory 1) {tables})")]
    with pytest.raises(PoolExhaustedError):
        living += [pooled.make(f"(module (memory 1) {tables})") for _ in range(PLACES)]
    for one in living:
        one.close()
    pooled.make().close()


@pytest.mark.parametrize("limit", [1 * MIB, 2 * MIB, 4 * MIB])
def test_each_instance_has_its_own_limit(pooled: Pooled, limit: int) -> None:
    """The pool's bound is that of the largest; a smaller limit holds as it does elsewhere."""
    one = pooled.make(memory=limit)
    grow = one.function("grow")
    pages = limit // 65_536
    assert grow(pages) == 0xFFFF_FFFF
    assert grow(pages - 1) == 1
    assert grow(1) == 0xFFFF_FFFF
    one.function("store")(limit - 4)
    for at in (limit - 3, limit, 4 * MIB, 5 * MIB, 64 * MIB, 0x7FFF_FFFF, 0xFFFF_FFFF):
        other = pooled.make(memory=limit)
        with pytest.raises(TrapError) as caught:
            other.function("store")(at)
        assert caught.value.kind is TrapKind.OUT_OF_BOUNDS
        other.close()
    one.close()


def test_a_neighbour_is_out_of_reach(pooled: Pooled) -> None:
    """Whatever address one writes to, the memory of the next place is not changed."""
    first, second, third = (pooled.make() for _ in range(PLACES))
    for writer in (first, second, third):
        for distance in range(0, 256 * MIB, 4 * MIB):
            with pytest.raises(TrapError):
                writer.function("store")(65_536 + distance)
    for one in (first, second, third):
        assert one.memory.read(0, 65_536) == (b"\0" * 8 + b"data").ljust(65_536, b"\0")
        one.close()


def test_a_module_that_begins_with_more(pooled: Pooled) -> None:
    """A module whose memory begins over its limit, or that of the pool, is refused."""
    with pytest.raises(ModuleError, match=r"needs 2\.00 MiB of memory at its start"):
        pooled.make("(module (memory 32))", memory=1 * MIB)
    with pytest.raises(ModuleError, match="exceeds the limit"):
        pooled.make("(module (memory 65))")


def test_no_more_address_space_than_it_says() -> None:
    """A pool reserves what its limits ask for, not 4 GiB for each place."""
    pool = InstancePool(64, 8 * MIB)
    before = address_space()
    engine = WasmEngine(pool=pool)
    assert address_space() - before < pool.reserved_bytes
    assert pool.reserved_bytes < 65 * (8 + 40) * MIB + 1
    engine.close()


def address_space() -> int:
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if "VmSize" in x]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("places", [1 << 20, 1 << 40])
def test_more_address_space_than_there_is(places: int) -> None:
    """It is an error, and not the end of the process."""
    with pytest.raises(ModuleError, match="no address space of"):
        WasmEngine(pool=InstancePool(places, 4 << 30))


def test_compiled_modules_are_kept_apart(tmp_path: Path) -> None:
    """A pool's modules are cached beside those without one, and each is found again."""
    tmp_path.chmod(0o700)
    cache, code = CompileCache(tmp_path), wasm(STATE)
    pools = (None, InstancePool(2, 4 * MIB), InstancePool(2, 8 * MIB))
    for again in (False, True):
        for pool in pools:
            engine = WasmEngine(cache, pool)
            assert engine.compile(code).from_cache is again
            engine.close()
    other_size = WasmEngine(cache, InstancePool(7, 4 * MIB))
    assert other_size.compile(code).from_cache
    other_size.close()
