"""Which modules load, and how others are refused."""

from collections.abc import Iterable

import pytest

from mixer.proxywasm import AbiVersion, PluginSettings, WasmVm, host_functions, load_module
from mixer.proxywasm.hostcalls.versions import versions_with
from mixer.proxywasm.services import Services
from mixer.vm import HostFunction, ModuleError, ValueType, VmLimits
from tests.support.compile import engine, linker, wasm
from tests.support.guest import Guest

MALLOC = '(func (export "malloc") (param i32) (result i32) (i32.const 0))'
MARKER = '(func (export "proxy_abi_version_0_2_1"))'
MEMORY = '(memory (export "memory") 1)'


def text(*parts: str, marker: str = MARKER, allocator: str = MALLOC) -> str:
    imports = [p for p in parts if p.startswith("(import")]
    others = [p for p in parts if not p.startswith("(import")]
    return f"(module {' '.join([*imports, MEMORY, marker, allocator, *others])})"


def refusal(code: str) -> str:
    with pytest.raises(ModuleError) as caught:
        load_module(engine(), wasm(code))
    return str(caught.value)


@pytest.mark.parametrize("version", list(AbiVersion), ids=str)
def test_versions(version: AbiVersion) -> None:
    """A module tells its ABI version by an export."""
    marker = f'(func (export "{version.traits.marker}"))'
    assert load_module(engine(), wasm(text(marker=marker))).abi is version


@pytest.mark.parametrize("allocator", ["malloc", "proxy_on_memory_allocate"])
def test_allocators(allocator: str) -> None:
    """Either name of the allocator will do."""
    from tests.support.guest import BYTES, OK, Answer, call

    with Guest(allocator=allocator) as guest:
        answers = guest.in_headers(call("proxy_get_property", b"plugin_name", BYTES))
    assert answers == [Answer(OK, b"probe")]


def imports(functions: Iterable[HostFunction]) -> list[str]:
    return [
        f'(import "{f.module}" "{f.name}" (func (param {_types(f.signature.params)})'
        f" (result {_types(f.signature.results)})))"
        for f in functions
    ]


def _types(types: Iterable[ValueType | None]) -> str:
    return " ".join(t.value for t in types if t)


@pytest.mark.parametrize("version", list(AbiVersion), ids=str)
def test_every_call_of_a_version(version: AbiVersion) -> None:
    """A module may import all that its version has; what that has not is named."""
    functions = {(f.module, f.name): f for f in host_functions()}.values()
    known = [f for f in functions if version in versions_with(f.name)]
    others = [f for f in functions if version not in versions_with(f.name)]
    marker = f'(func (export "{version.traits.marker}"))'
    assert load_module(engine(), wasm(text(*imports(known), marker=marker))).abi is version
    message = refusal(text(*imports(others), marker=marker))
    for function in others:
        assert f"imports env.{function.name}, which its ABI {version} does not have" in message


@pytest.mark.parametrize("result", ["", "(result i32)"])
@pytest.mark.parametrize("name", ["continue_request", "continue_response", "clear_route_cache"])
def test_call_with_and_without_a_result(name: str, result: str) -> None:
    """Three calls of ABI 0.1 may be imported as the specification has them, and as Envoy has."""
    called = (
        f'(import "env" "proxy_{name}" (func $call {result}))',
        f'(func (export "proxy_on_tick") (param i32) (call $call) {"drop" if result else ""})',
    )
    old = '(func (export "proxy_abi_version_0_1_0"))'
    module = load_module(engine(), wasm(text(*called, marker=old)))
    with WasmVm(module, linker(), VmLimits(cpu=5.0), start_cpu=5.0, services=Services()) as vm:
        root = vm.start_plugin(PluginSettings("old"))
        vm.call(root, vm.callbacks.on_tick, root.id)


def test_not_a_proxy_wasm_module() -> None:
    """A module without a marker is WebAssembly, but not for this host."""
    assert "not a Proxy-Wasm module" in refusal(text(marker=""))


def test_unknown_version() -> None:
    """A marker that is not known is named, with those that are."""
    message = refusal(text(marker='(func (export "proxy_abi_version_0_9_0"))'))
    assert "proxy_abi_version_0_9_0" in message
    assert "0.1.0, 0.2.0, 0.2.1, 0.2.100" in message


def test_missing_allocator() -> None:
    """A module without an allocator is refused by the names of what it lacks."""
    message = refusal(text(allocator=""))
    assert "malloc" in message
    assert "proxy_on_memory_allocate" in message


@pytest.mark.parametrize(
    ("export", "signature"),
    [
        ("proxy_on_context_create", "(param i32)"),
        ("proxy_on_vm_start", "(param i32 i32)"),
        ("proxy_on_configure", "(param i32 i64) (result i32)"),
        ("proxy_on_request_headers", "(param i32 i32) (result i32)"),
        ("proxy_on_request_body", "(param i32 i32 i32) (result i64)"),
        ("proxy_on_log", "(param i32 i32)"),
        ("proxy_on_done", "(param i32)"),
        ("proxy_on_delete", "(param f32)"),
        ("proxy_on_tick", "(result i32)"),
        ("proxy_on_http_call_response", "(param i32 i32)"),
        ("proxy_on_response_headers", ""),
        ("proxy_on_foreign_function", "(param i32)"),
        ("envoy_on_resolve_dns", "(param i32)"),
        ("envoy_on_stats_update", "(param i32)"),
        ("malloc", "(param i64) (result i32)"),
        ("_initialize", "(param i32)"),
        ("_start", "(result i32)"),
        ("main", ""),
        ("main", "(param f64 f64) (result i32)"),
        ("__main_void", "(param i32) (result i32)"),
    ],
)
def test_wrong_signature(export: str, signature: str) -> None:
    """A callback that could not be called as the ABI says is refused by its name."""
    function = f'(func (export "{export}") {signature} unreachable)'
    allocator = "" if export == "malloc" else MALLOC
    message = refusal(text(function, allocator=allocator))
    assert f"export {export} " in message
    assert "must be" in message


@pytest.mark.parametrize(
    ("export", "marker"),
    [
        ("proxy_on_memory_allocate", "proxy_abi_version_0_2_1"),
        ("proxy_on_foreign_function", "proxy_abi_version_0_1_0"),
    ],
)
def test_wrong_signature_of_what_is_not_called(export: str, marker: str) -> None:
    """A second allocator, or a callback that its version does not have, may be anything."""
    function = f'(func (export "{export}") (param f64))'
    load_module(engine(), wasm(text(function, marker=f'(func (export "{marker}"))')))


def test_old_header_callback() -> None:
    """In ABI 0.1 the header callbacks have two parameters, and only there."""
    two = '(func (export "proxy_on_request_headers") (param i32 i32) (result i32) unreachable)'
    three = two.replace("i32 i32", "i32 i32 i32")
    old = '(func (export "proxy_abi_version_0_1_0"))'
    assert load_module(engine(), wasm(text(two, marker=old))).abi is AbiVersion.V0_1_0
    assert "proxy_on_request_headers" in refusal(text(three, marker=old))
    assert "proxy_on_request_headers" in refusal(text(two))


def test_all_bad_imports_are_told_at_once() -> None:
    """Imports that are missing, of another type or no functions are named in one message."""
    message = refusal(
        text(
            '(import "env" "proxy_log" (func (param i32 i64 i32) (result i32)))',
            '(import "env" "proxy_brew_coffee" (func (param i32) (result i32)))',
            '(import "wasi_snapshot_preview1" "fd_write" (func (param i32)))',
            '(import "env" "__stack_pointer" (global i32))',
            '(import "other" "proxy_log" (func (param i32 i32 i32) (result i32)))',
            '(import "env" "proxy_done" (func (result i32)))',
        )
    )
    assert message.count("imports ") == 5
    assert "imports env.proxy_log as (i32, i64, i32) -> (i32); it is (i32, i32, i32)" in message
    assert "imports env.proxy_brew_coffee, which this host does not have" in message
    assert "imports wasi_snapshot_preview1.fd_write as (i32) -> ()" in message
    assert "imports env.__stack_pointer, which is not a function" in message
    assert "imports other.proxy_log, which this host does not have" in message


def test_reference_types_in_an_import() -> None:
    """An import with a type that no host function has is named, too."""
    assert "reference" in refusal(
        text('(import "env" "proxy_log" (func (param externref i32 i32) (result i32)))')
    )


def test_absent_callbacks_answer_what_envoy_assumes() -> None:
    """A module that exports no callbacks starts, and lets every request pass."""
    from mixer.proxywasm import Outcome, StreamContext
    from tests.support.guest import http_stream

    module = load_module(engine(), wasm(text()))
    with WasmVm(module, linker(), VmLimits(cpu=5.0), start_cpu=5.0, services=Services()) as vm:
        context = StreamContext(vm.start_plugin(PluginSettings("none")), http_stream(body=b"b"))
        assert context.on_request_headers(end_of_stream=False) is Outcome.CONTINUE
        assert context.on_request_body(end_of_stream=True) is Outcome.CONTINUE
        context.log_stream()
        context.delete()
