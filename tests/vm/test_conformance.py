"""What every linker must do, whichever API of wasmtime it is made of."""

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixer.vm import (
    I32,
    I64,
    HostCallError,
    HostFunction,
    MemoryAccessError,
    ModuleError,
    Signature,
    TrapError,
    TrapKind,
    VmLimits,
)
from tests.support.compile import engine, module
from tests.vm.conftest import LINKERS, Instantiate

PAGE = 65_536
U32 = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1]))
U64 = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 2**63 - 1, 2**63, 2**64 - 1]))

ECHO = """(module
  (import "host" "echo" (func $echo (param i32 i64 i32 i64) (result i32)))
  (func (export "run") (param i32 i64 i32 i64) (result i32)
    (call $echo (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func (export "nothing")))"""

MEMORY = """(module
  (memory (export "memory") 1 3)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1))))"""

TRAPS = """(module
  (import "host" "call" (func $call (param i32) (result i32)))
  (memory (export "memory") 1)
  (table 1 funcref)
  (type $none (func))
  (func $deep (export "deep") (call $deep))
  (func (export "unreachable") unreachable)
  (func (export "memory_bounds") (drop (i32.load (i32.const -4))))
  (func (export "divide") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
  (func (export "null_call") (call_indirect (type $none) (i32.const 0)))
  (func (export "spin") (loop (br 0)))
  (func (export "host") (param i32) (result i32) (call $call (local.get 0)))
  (func (export "fine") (result i32) (i32.const 42)))"""

REENTRANT = """(module
  (import "host" "down" (func $down (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "down") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 100))))
  (func (export "spin") (param i32) (result i32) (loop (br 0)) (unreachable))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"""


def one_call(call: Any, fault: int = 6, params: str = "i") -> list[HostFunction]:
    types = {"i": I32, "L": I64}
    signature = Signature(tuple(types[p] for p in params), (I32,))
    return [HostFunction("host", "call", signature, call, fault)]


def test_host_function_gets_the_data_and_unsigned_arguments(instantiate: Instantiate) -> None:
    """A host function is given the instance's data and every argument as an unsigned integer."""
    seen: list[Any] = []

    def echo(data: Any, *args: int) -> int:
        seen.append((data, *args))
        return args[2]

    signature = Signature((I32, I64, I32, I64), (I32,))
    functions = [HostFunction("host", "echo", signature, echo)]
    instance = instantiate(ECHO, functions, "data")
    run = instance.function("run")
    assert run is not None

    @given(U32, U64, U32, U64)
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def check(a: int, b: int, c: int, d: int) -> None:
        seen.clear()
        assert run(a, b, c, d) == c
        assert seen == [("data", a, b, c, d)]

    check()


def test_function_without_result_answers_zero(instantiate: Instantiate) -> None:
    """An export without a result gives 0, and an export that is missing gives None."""
    signature = Signature((I32, I64, I32, I64), (I32,))
    functions = [HostFunction("host", "echo", signature, lambda *_: 0)]
    instance = instantiate(ECHO, functions)
    nothing = instance.function("nothing")
    assert nothing is not None
    assert nothing() == 0
    assert instance.function("missing") is None


def test_export_of_another_kind_is_no_function(instantiate: Instantiate) -> None:
    """A memory is not handed out as a function."""
    assert instantiate(MEMORY).function("memory") is None


def test_host_function_without_result(instantiate: Instantiate) -> None:
    """A host function that returns nothing is called, and the guest goes on."""
    seen = []
    text = """(module (import "host" "note" (func $note (param i32)))
      (func (export "run") (result i32) (call $note (i32.const -1)) (i32.const 9)))"""
    note = HostFunction("host", "note", Signature((I32,), ()), lambda _, value: seen.append(value))
    run = instantiate(text, [note]).function("run")
    assert run is not None
    assert (run(), seen) == (9, [0xFFFF_FFFF])


def test_host_function_without_parameters(instantiate: Instantiate) -> None:
    """A host function that has no parameters is given the instance's data alone."""
    seen = []
    text = """(module (import "host" "none" (func $none (result i32)))
      (func (export "run") (result i32) (call $none)))"""

    def none(*args: object) -> int:
        seen.append(args)
        return 5

    run = instantiate(text, [HostFunction("host", "none", Signature((), (I32,)), none)], "data")
    function = run.function("run")
    assert function is not None
    assert (function(), seen) == (5, [("data",)])


@pytest.mark.parametrize("result", [0, 1, 2**31, 2**32 - 1])
def test_results_are_unsigned(instantiate: Instantiate, result: int) -> None:
    """A result travels from the host through the guest and back as the same unsigned integer."""
    host = instantiate(TRAPS, one_call(lambda *_: result)).function("host")
    assert host is not None
    assert host(0) == result


def test_memory_is_shared_with_the_guest(instantiate: Instantiate) -> None:
    """What one side writes the other one reads, up to the last byte."""
    instance = instantiate(MEMORY)
    load, store = instance.function("load"), instance.function("store")
    assert load is not None
    assert store is not None
    memory = instance.memory

    @given(st.integers(0, PAGE - 8), U32, U64)
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def check(at: int, word: int, wide: int) -> None:
        memory.write_u32(at, word)
        assert load(at) == word
        memory.write_u64(at, wide)
        assert load(at) == wide & 0xFFFF_FFFF
        assert load(at + 4) == wide >> 32
        store(at, word)
        assert memory.read(at, 4) == word.to_bytes(4, "little")

    check()


@pytest.mark.parametrize(
    ("at", "size"), [(PAGE, 1), (PAGE - 3, 4), (2**32 - 1, 1), (0, 2**32 - 1), (PAGE + 1, 0)]
)
def test_access_outside_the_memory_is_refused(instantiate: Instantiate, at: int, size: int) -> None:
    """A read that passes the end of the memory raises, however it is spelt."""
    memory = instantiate(MEMORY).memory
    with pytest.raises(MemoryAccessError):
        memory.read(at, size)


@pytest.mark.parametrize("at", [PAGE, PAGE - 3, 2**32 - 1])
def test_write_outside_the_memory_is_refused(instantiate: Instantiate, at: int) -> None:
    """A write that passes the end of the memory raises, and changes nothing before the end."""
    memory = instantiate(MEMORY).memory
    with pytest.raises(MemoryAccessError):
        memory.write(at, b"full")
    with pytest.raises(MemoryAccessError):
        memory.write_u32(at, 1)
    with pytest.raises(MemoryAccessError):
        memory.write_u64(at, 1)
    assert memory.read(PAGE - 8, 8) == bytes(8)


def test_access_up_to_the_end_is_fine(instantiate: Instantiate) -> None:
    """The last bytes belong to the memory, and so does nothing at its end."""
    memory = instantiate(MEMORY).memory
    memory.write(PAGE - 4, b"last")
    assert memory.read(PAGE - 4, 4) == b"last"
    assert memory.read(PAGE, 0) == b""


def test_memory_is_seen_after_growth(instantiate: Instantiate) -> None:
    """Pages that the guest adds are there for the host at once, and old content stays."""
    instance = instantiate(MEMORY)
    grow, load = instance.function("grow"), instance.function("load")
    assert grow is not None
    assert load is not None
    memory = instance.memory
    memory.write(0, b"kept")
    with pytest.raises(MemoryAccessError):
        memory.write_u32(2 * PAGE - 4, 7)
    assert grow(1) == 1
    memory.write_u32(2 * PAGE - 4, 7)
    assert load(2 * PAGE - 4) == 7
    assert (memory.size(), memory.read(0, 4)) == (2 * PAGE, b"kept")


def test_memory_limit_refuses_growth(instantiate: Instantiate) -> None:
    """A growth beyond the limit answers -1 to the guest, which goes on."""
    grow = instantiate(MEMORY, limits=VmLimits(memory_bytes=2 * PAGE, cpu=5.0)).function("grow")
    assert grow is not None
    assert [grow(1), grow(1)] == [1, 0xFFFF_FFFF]


def test_memory_above_the_limit_from_the_start(instantiate: Instantiate) -> None:
    """A module that starts with more memory than it may have is refused."""
    with pytest.raises(ModuleError, match="memory"):
        instantiate(MEMORY, limits=VmLimits(memory_bytes=PAGE - 1))


def test_table_limit(instantiate: Instantiate) -> None:
    """A table cannot start above the limit, nor grow beyond it."""
    text = """(module (table 10 funcref) (func (export "grow") (param i32) (result i32)
      (table.grow (ref.null func) (local.get 0))))"""
    with pytest.raises(ModuleError, match="table"):
        instantiate(text, limits=VmLimits(table_elements=9))
    grow = instantiate(text, limits=VmLimits(table_elements=11, cpu=5.0)).function("grow")
    assert grow is not None
    assert [grow(1), grow(1)] == [10, 0xFFFF_FFFF]


def test_module_without_memory(instantiate: Instantiate) -> None:
    """A module that exports no memory runs, and every access to its memory is out of bounds."""
    instance = instantiate('(module (memory 1) (func (export "run") (result i32) (i32.const 3)))')
    run = instance.function("run")
    assert run is not None
    assert (run(), instance.memory.size()) == (3, 0)
    for access in (
        lambda m: m.read(0, 0),
        lambda m: m.write(0, b""),
        lambda m: m.write_u32(0, 0),
        lambda m: m.write_u64(0, 0),
    ):
        with pytest.raises(MemoryAccessError):
            access(instance.memory)


@pytest.mark.parametrize(
    ("export", "args", "kind"),
    [
        ("deep", (), TrapKind.STACK_OVERFLOW),
        ("unreachable", (), TrapKind.UNREACHABLE),
        ("memory_bounds", (), TrapKind.OUT_OF_BOUNDS),
        ("divide", (0,), TrapKind.OTHER),
        ("null_call", (), TrapKind.OTHER),
        ("host", (0,), TrapKind.HOST_CALL),
    ],
)
def test_trap_kinds(
    instantiate: Instantiate, export: str, args: tuple[int, ...], kind: TrapKind
) -> None:
    """Each way to trap is told apart, and leaves another instance as it was."""

    def refuse(*_: int) -> int:
        raise HostCallError("not like this")

    functions = one_call(refuse)
    broken = instantiate(TRAPS, functions)
    other = instantiate(TRAPS, functions, together=True)
    function, fine = broken.function(export), other.function("fine")
    assert function is not None
    assert fine is not None
    with pytest.raises(TrapError) as caught:
        function(*args)
    assert caught.value.kind is kind
    assert fine() == 42


@pytest.mark.parametrize("error", [HostCallError("not like this"), ZeroDivisionError("oops")])
def test_error_of_a_host_function_is_the_trap_message(
    instantiate: Instantiate, error: Exception
) -> None:
    """What a host function raises ends the guest, and the trap says it and keeps it as a cause."""

    def fail(*_: int) -> int:
        raise error

    host = instantiate(TRAPS, one_call(fail)).function("host")
    assert host is not None
    with pytest.raises(TrapError, match=str(error)) as caught:
        host(0)
    assert caught.value.kind is TrapKind.HOST_CALL
    assert caught.value.__cause__ is not None


def test_failed_host_call_does_not_colour_the_next_trap(instantiate: Instantiate) -> None:
    """A trap of the guest's own is not told as the failure of an earlier host call."""

    def fail(*_: int) -> int:
        raise HostCallError("earlier")

    instance = instantiate(TRAPS, one_call(fail))
    host, unreachable = instance.function("host"), instance.function("unreachable")
    assert host is not None
    assert unreachable is not None
    with pytest.raises(TrapError, match="earlier"):
        host(0)
    with pytest.raises(TrapError) as caught:
        unreachable()
    assert caught.value.kind is TrapKind.UNREACHABLE
    assert "earlier" not in str(caught.value)


def test_bad_pointer_answers_the_fault_value(instantiate: Instantiate) -> None:
    """A host function that meets a bad pointer answers its fault value, and the guest goes on."""

    def read(memory: list[Any], pointer: int) -> int:
        return len(memory[0].read(pointer, 4))

    data: list[Any] = []
    instance = instantiate(TRAPS, one_call(read, fault=21), data)
    data.append(instance.memory)
    host = instance.function("host")
    assert host is not None
    assert [host(0), host(PAGE - 3), host(2**32 - 1), host(PAGE - 4)] == [4, 21, 21, 4]


@pytest.mark.parametrize(
    "functions",
    [[], [HostFunction("host", "call", Signature((I64,), (I32,)), lambda *_: 0)]],
    ids=["missing", "another type"],
)
def test_unsatisfied_import_is_named(
    instantiate: Instantiate, functions: list[HostFunction]
) -> None:
    """A module whose import is missing or of another type is refused by the import's name."""
    with pytest.raises(ModuleError, match="host::call"):
        instantiate(TRAPS, functions)


def test_start_section_runs(instantiate: Instantiate) -> None:
    """The start section runs before anything is called."""
    text = """(module (memory (export "memory") 1)
      (func $go (i32.store (i32.const 0) (i32.const 7))) (start $go))"""
    assert instantiate(text).memory.read(0, 1) == b"\x07"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("unreachable", TrapKind.UNREACHABLE),
        ("(drop (i32.load (i32.const -4)))", TrapKind.OUT_OF_BOUNDS),
        ("(loop (br 0))", TrapKind.DEADLINE),
        ("(drop (call $call (i32.const 0)))", TrapKind.HOST_CALL),
    ],
)
def test_trap_in_the_start_section(instantiate: Instantiate, body: str, kind: TrapKind) -> None:
    """A start section that traps, loops or is refused a host call is a trap of that kind."""

    def refuse(*_: int) -> int:
        raise HostCallError("not before the start")

    text = f"""(module (import "host" "call" (func $call (param i32) (result i32)))
      (memory 1) (func $go {body}) (start $go))"""
    with pytest.raises(TrapError) as caught:
        instantiate(text, one_call(refuse), limits=VmLimits(cpu=0.05))
    assert caught.value.kind is kind


def test_endless_loop_is_stopped(instantiate: Instantiate) -> None:
    """A guest that loops is stopped after about its CPU limit, and the message tells the limit."""
    instance = instantiate(TRAPS, one_call(lambda *_: 0), limits=VmLimits(cpu=0.05))
    spin = instance.function("spin")
    assert spin is not None
    began = time.thread_time()
    with pytest.raises(TrapError, match="50 ms") as caught:
        spin()
    used = time.thread_time() - began
    assert caught.value.kind is TrapKind.DEADLINE
    assert used < 1.0


def test_each_call_has_the_whole_limit(instantiate: Instantiate) -> None:
    """The limit is for each call: what earlier ones used is not counted."""
    text = """(module (func (export "work") (local $i i32) (local.set $i (i32.const 3000000))
      (loop (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))))"""
    work = instantiate(text, limits=VmLimits(cpu=0.2)).function("work")
    assert work is not None
    began = time.thread_time()
    while time.thread_time() - began < 0.3:
        work()


def test_cpu_limit_can_be_changed(instantiate: Instantiate) -> None:
    """A limit set later holds for the calls from then on."""
    instance = instantiate(TRAPS, one_call(lambda *_: 0), limits=VmLimits(cpu=60.0))
    instance.set_cpu_limit(0.02)
    spin = instance.function("spin")
    assert spin is not None
    with pytest.raises(TrapError, match="20 ms"):
        spin()


def test_function_found_before_a_change_of_limit_obeys_it(instantiate: Instantiate) -> None:
    """A change of the limit also holds for functions that were looked up before it."""
    instance = instantiate(TRAPS, one_call(lambda *_: 0), limits=VmLimits(cpu=60.0))
    spin = instance.function("spin")
    assert spin is not None
    instance.set_cpu_limit(0.02)
    with pytest.raises(TrapError, match="20 ms"):
        spin()


def test_instances_do_not_share_memory(instantiate: Instantiate) -> None:
    """What is written in one instance is not there in another one of the same module."""
    one, other = instantiate(MEMORY), instantiate(MEMORY, together=True)
    one.memory.write(0, b"secret")
    assert other.memory.read(0, 6) == bytes(6)


def test_host_call_knows_its_instance(instantiate: Instantiate) -> None:
    """Instances of one linker each have their own data, whoever was entered last."""
    functions = one_call(lambda data, value: data + value)
    one = instantiate(TRAPS, functions, 100)
    other = instantiate(TRAPS, functions, 200, together=True)
    first, second = one.function("host"), other.function("host")
    assert first is not None
    assert second is not None
    assert [first(1), second(2), first(3)] == [101, 202, 103]


def test_data_can_be_replaced(instantiate: Instantiate) -> None:
    """A host function is given the data that the instance has at that moment."""
    instance = instantiate(TRAPS, one_call(lambda data, _: data), 1)
    host = instance.function("host")
    assert host is not None
    before = host(0)
    instance.data = 2
    assert (before, host(0)) == (1, 2)


def reentrant(target: str) -> tuple[list[HostFunction], list[Any]]:
    """A host function that calls an export of its own instance."""
    holder: list[Any] = []

    def down(_: Any, value: int) -> int:
        return int(holder[0].function(target)(value))

    return [HostFunction("host", "down", Signature((I32,), (I32,)), down)], holder


def test_guest_can_be_entered_from_a_host_call(instantiate: Instantiate) -> None:
    """A host call may call the guest, to some depth, and each level keeps its own values."""
    functions, holder = reentrant("down")
    instance = instantiate(REENTRANT, functions)
    holder.append(instance)
    down = instance.function("down")
    assert down is not None
    assert down(10) == 110


def test_memory_grown_by_a_nested_call_is_seen(instantiate: Instantiate) -> None:
    """A host call that has the guest allocate can write where the memory has just grown."""
    functions, holder = reentrant("grow")
    instance = instantiate(REENTRANT, functions)
    holder.append(instance)
    down = instance.function("down")
    assert down is not None
    assert down(3) == 2  # one more than the old size of one page, which `grow` answered
    instance.memory.write(3 * PAGE - 1, b"x")
    assert instance.memory.read(3 * PAGE - 1, 1) == b"x"


def test_loop_in_a_nested_call_is_stopped(instantiate: Instantiate) -> None:
    """A guest that loops when a host call enters it again is stopped as well, and says why."""
    functions, holder = reentrant("spin")
    instance = instantiate(REENTRANT, functions, limits=VmLimits(cpu=0.05))
    holder.append(instance)
    down = instance.function("down")
    assert down is not None
    with pytest.raises(TrapError, match="50 ms"):
        down(1)


def test_nested_calls_share_one_limit(instantiate: Instantiate) -> None:
    """A guest cannot get a new limit by being entered again and again from within a host call."""
    text = """(module
      (import "host" "down" (func $down (param i32) (result i32)))
      (func (export "run") (loop (drop (call $down (i32.const 0))) (br 0)))
      (func (export "inner") (param i32) (result i32) (i32.const 0)))"""
    functions, holder = reentrant("inner")
    instance = instantiate(text, functions, limits=VmLimits(cpu=0.05))
    holder.append(instance)
    run = instance.function("run")
    assert run is not None
    with pytest.raises(TrapError) as caught:
        run()
    assert caught.value.kind is TrapKind.DEADLINE


def test_trap_in_a_nested_call_ends_the_outer_one(instantiate: Instantiate) -> None:
    """A trap in a guest entered from a host call ends the outer call too, with its message."""
    text = """(module (import "host" "down" (func $down (param i32) (result i32)))
      (func (export "run") (param i32) (result i32) (call $down (local.get 0)))
      (func (export "inner") (param i32) (result i32) unreachable))"""
    functions, holder = reentrant("inner")
    instance = instantiate(text, functions)
    holder.append(instance)
    run = instance.function("run")
    assert run is not None
    with pytest.raises(TrapError, match="unreachable"):
        run(0)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_interrupt_of_the_process_passes_through_the_guest(
    stop: type[BaseException],
) -> None:
    """Ctrl-C while a host function runs ends the process, not only the guest."""

    def interrupt(*_: int) -> int:
        raise stop

    linker = LINKERS["fast"](engine(), one_call(interrupt))
    instance = linker.instantiate(module(TRAPS), None, VmLimits(cpu=5.0))
    host = instance.function("host")
    assert host is not None
    with pytest.raises(stop):
        host(0)
    instance.close()
    linker.close()


def test_both_linkers_tell_the_same_story() -> None:
    """A random series of calls has the same results, traps and memory over both linkers."""
    text = """(module
      (import "host" "call" (func $call (param i32) (result i32)))
      (memory (export "memory") 1 2)
      (func (export "store") (param i32 i32) (result i32)
        (i32.store (local.get 0) (local.get 1)) (call $call (local.get 0)))
      (func (export "load") (param i32 i32) (result i32)
        (i32.add (i32.load (local.get 0)) (local.get 1)))
      (func (export "grow") (param i32 i32) (result i32) (memory.grow (local.get 0)))
      (func (export "divide") (param i32 i32) (result i32)
        (i32.div_s (local.get 0) (local.get 1))))"""
    steps = st.lists(
        st.tuples(st.sampled_from(["store", "load", "grow", "divide"]), U32, U32), max_size=6
    )
    near = st.lists(
        st.tuples(
            st.sampled_from(["store", "load", "grow", "divide"]),
            st.integers(0, 3) | st.integers(PAGE - 8, PAGE + 8),
            st.integers(0, 2),
        ),
        max_size=6,
    )

    def read(memory: list[Any], at: int) -> int:
        return int.from_bytes(memory[0].read(at, 4), "little")

    linkers = [kind(engine(), one_call(read, fault=99)) for kind in LINKERS.values()]

    def story(linker: Any, series: list[tuple[str, int, int]]) -> list[object]:
        data: list[Any] = []
        instance = linker.instantiate(module(text), data, VmLimits(cpu=5.0))
        data.append(instance.memory)
        told: list[object] = []
        for name, left, right in series:
            try:
                told.append(instance.function(name)(left, right))
            except TrapError as trap:
                told.append(trap.kind)
                break
        told += [instance.memory.size(), instance.memory.read(0, PAGE)]
        instance.close()
        return told

    @given(steps | near)
    @settings(max_examples=80, deadline=None)
    def check(series: list[tuple[str, int, int]]) -> None:
        fast, portable = (story(linker, series) for linker in linkers)
        assert fast == portable

    check()
    for linker in linkers:
        linker.close()


EITHER = [
    HostFunction("host", "call", Signature((), ()), lambda seen: seen.append("void")),
    HostFunction("host", "call", Signature((), (I32,)), lambda seen: seen.append("i32") or 7),
]


@pytest.mark.parametrize(
    ("result", "drop", "expected"), [("", "", "void"), ("(result i32)", "drop", "i32")]
)
def test_host_function_is_picked_by_the_type_of_the_import(
    instantiate: Instantiate, result: str, drop: str, expected: str
) -> None:
    """Under one name there may be several signatures; a module gets the one that it imports."""
    seen: list[str] = []
    instance = instantiate(
        f"""(module (import "host" "call" (func $call {result}))
          (func (export "run") (call $call) {drop}))""",
        EITHER,
        seen,
    )
    run = instance.function("run")
    assert run is not None
    run()
    assert seen == [expected]


def test_import_that_fits_no_signature_is_refused(instantiate: Instantiate) -> None:
    """Where no signature under the name fits, the error tells of the type."""
    text = '(module (import "host" "call" (func (param i64))))'
    with pytest.raises(ModuleError, match="incompatible import type"):
        instantiate(text, EITHER)
