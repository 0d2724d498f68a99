"""How modules start, and how they fail to."""

import pytest

from mixer.proxywasm import (
    LogLevel,
    PluginSettings,
    PluginStartError,
    RootContext,
    Services,
    StreamContext,
    WasmVm,
)
from mixer.vm import TrapError, TrapKind, VmLimits
from tests.support.compile import linker, plugin
from tests.support.guest import Guest, Phase, call, http_stream

MIB = 1 << 20

IMPORTS = '(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))'
BASE = """(memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (data (i32.const 0) "abcdefghij")
  (func $say (param i32) (drop (call $log (i32.const 3) (local.get 0) (i32.const 1))))"""


def text(*parts: str) -> str:
    return f"(module {IMPORTS} {BASE} {' '.join(parts)})"


def say(index: int) -> str:
    return f"(call $say (i32.const {index}))"


def function(name: str, signature: str, *body: str) -> str:
    return f'(func (export "{name}") {signature} {" ".join(body)})'


DEEP = "(func $deep (call $deep))"
SPIN = "(loop (br 0))"
GROW = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))"
REQUEST = "(param i32 i32 i32) (result i32)"
CONFIGURE = "(param i32 i32) (result i32)"


class Host:
    """A VM with one plugin of a text."""

    def __init__(self, code: str, cpu: float = 5.0, start_cpu: float = 5.0) -> None:
        self.logs: list[str] = []
        services = Services(log=lambda _, line: self.logs.append(line))
        limits = VmLimits(memory_bytes=4 * MIB, cpu=cpu)
        self.vm = WasmVm(plugin(code), linker(), limits, start_cpu=start_cpu, services=services)

    def start(self) -> RootContext:
        root = self.vm.start_plugin(PluginSettings("plugin"))
        self.vm.started()
        return root

    def request(self) -> None:
        StreamContext(self.start(), http_stream()).on_request_headers(end_of_stream=True)

    def close(self) -> None:
        self.vm.close()


@pytest.mark.parametrize(
    ("exports", "said"),
    [
        (["_initialize"], "a"),
        (["_initialize", "main"], "ab"),
        (["_initialize", "__main_void"], "ac"),
        (["_initialize", "main", "__main_void"], "ab"),
        (["_start"], "d"),
        (["_initialize", "_start"], "a"),
        (["main"], ""),
        ([], ""),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else value,
)
def test_start_functions(exports: list[str], said: str) -> None:
    """A reactor is initialized and its main run, a command is started, and not both."""
    bodies = {
        "_initialize": function("_initialize", "", say(0)),
        "main": function("main", "(param i32 i32) (result i32)", say(1), "(i32.const 0)"),
        "__main_void": function("__main_void", "(result i32)", say(2), "(i32.const 0)"),
        "_start": function("_start", "", say(3)),
    }
    host = Host(text(*(bodies[name] for name in exports)))
    assert "".join(host.logs) == said
    host.close()


def test_order_of_the_start() -> None:
    """The root is created, the VM started, and the plugin configured, with the sizes of both."""
    settings = PluginSettings("p", configuration=b"12345")
    with Guest(configuration=b"123", settings=settings) as guest:
        assert guest.events() == [
            (Phase.CONTEXT_CREATE, 1, 0, 0),
            (Phase.VM_START, 1, 3, 0),
            (Phase.CONFIGURE, 1, 5, 0),
        ]


def test_second_plugin_of_a_vm() -> None:
    """Another plugin of the VM gets a root of its own, and the parent of its streams is that."""
    with Guest() as guest:
        other = guest.vm.start_plugin(PluginSettings("other"))
        StreamContext(other, http_stream())
        assert guest.events()[3:] == [
            (Phase.CONTEXT_CREATE, 2, 0, 0),
            (Phase.VM_START, 2, 0, 0),
            (Phase.CONFIGURE, 2, 0, 0),
            (Phase.CONTEXT_CREATE, 3, 2, 0),
        ]


@pytest.mark.parametrize(
    ("phase", "reason"),
    [(Phase.VM_START, "proxy_on_vm_start"), (Phase.CONFIGURE, "configuration")],
)
def test_refusal_to_start(phase: Phase, reason: str) -> None:
    """A module that refuses to start or its configuration is told with what it logged."""
    complaints = [
        call("proxy_log", 3, b"careful", phase=phase),
        call("proxy_log", 1, b"chatter", phase=phase),
        call("proxy_log", 4, b"no such key", phase=phase),
    ]
    with Guest(script=complaints, start=False) as guest:
        guest.answer_with(phase, 0)
        with pytest.raises(PluginStartError, match=f"{reason}.*: careful; no such key$"):
            guest.start()
        assert (LogLevel.DEBUG, "chatter") in guest.logs


def test_silent_refusal() -> None:
    """A module that refuses without a word is told so."""
    with Guest(start=False) as guest:
        guest.answer_with(Phase.CONFIGURE, 0)
        with pytest.raises(PluginStartError, match="logged no reason"):
            guest.start()


def test_only_the_last_complaints_are_kept() -> None:
    """Of many messages the last ones, which tell of the end, are in the error."""
    calls = [call("proxy_log", 4, str(n).encode()) for n in range(20)]
    with Guest(script=calls, start=False) as guest:
        guest.answer_with(Phase.CONFIGURE, 0)
        with pytest.raises(PluginStartError) as caught:
            guest.start()
    assert str(caught.value).endswith(": 15; 16; 17; 18; 19")


START_TRAPS = {
    "loop in _initialize": (function("_initialize", "", SPIN), TrapKind.DEADLINE),
    "loop in _start": (function("_start", "", SPIN), TrapKind.DEADLINE),
    "loop in the start section": (f"(func $go {SPIN}) (start $go)", TrapKind.DEADLINE),
    "trap in _initialize": (function("_initialize", "", "unreachable"), TrapKind.UNREACHABLE),
    "recursion": (DEEP + function("_initialize", "", "(call $deep)"), TrapKind.STACK_OVERFLOW),
}


@pytest.mark.parametrize("case", START_TRAPS)
def test_trap_of_the_start_code(case: str) -> None:
    """Start code that loops, recurses or traps ends the VM by its kind of trap."""
    part, kind = START_TRAPS[case]
    with pytest.raises(TrapError) as caught:
        Host(text(part), start_cpu=0.05)
    assert caught.value.kind is kind


CALLBACK_TRAPS = {
    "loop": (SPIN, TrapKind.DEADLINE),
    "recursion": ("(call $deep)", TrapKind.STACK_OVERFLOW),
    "trap": ("unreachable", TrapKind.UNREACHABLE),
    "bounds": ("(drop (i32.load (i32.const -1)))", TrapKind.OUT_OF_BOUNDS),
}


@pytest.mark.parametrize("case", CALLBACK_TRAPS)
def test_trap_while_it_is_configured(case: str) -> None:
    """A plugin that loops, recurses or traps while it is configured ends its VM."""
    body, kind = CALLBACK_TRAPS[case]
    code = text(DEEP, function("proxy_on_configure", CONFIGURE, body, "(i32.const 1)"))
    host = Host(code, start_cpu=0.05)
    with pytest.raises(TrapError) as caught:
        host.start()
    assert caught.value.kind is kind
    host.close()


@pytest.mark.parametrize("case", CALLBACK_TRAPS)
def test_trap_in_a_request(case: str) -> None:
    """A plugin that loops, recurses or traps in a request ends its VM."""
    body, kind = CALLBACK_TRAPS[case]
    code = text(DEEP, function("proxy_on_request_headers", REQUEST, body, "(i32.const 0)"))
    host = Host(code, cpu=0.05)
    with pytest.raises(TrapError) as caught:
        host.request()
    assert caught.value.kind is kind
    host.close()


def test_limits_of_start_and_of_requests() -> None:
    """The start has a limit of its own, which does not hold for requests."""
    code = text(function("proxy_on_request_headers", REQUEST, SPIN, "(i32.const 0)"))
    host = Host(code, cpu=0.02, start_cpu=60.0)
    with pytest.raises(TrapError, match="20 ms"):
        host.request()
    host.close()


@pytest.mark.parametrize(
    "part",
    [
        function("_initialize", "", GROW),
        function("proxy_on_configure", CONFIGURE, GROW, "(i32.const 1)"),
        function("proxy_on_request_headers", REQUEST, GROW, "(i32.const 0)"),
    ],
    ids=["start", "configure", "request"],
)
def test_memory_is_bounded(part: str) -> None:
    """A module that grows its memory without end is refused more, and lives on at its limit."""
    host = Host(text(part))
    host.request()
    assert host.vm.instance.memory.size() <= 4 * MIB
    host.close()


def test_neighbour_of_a_trapped_vm_goes_on() -> None:
    """A VM that trapped takes nothing with it."""
    bad = text(function("proxy_on_request_headers", REQUEST, "unreachable"))
    good, broken = Host(text()), Host(bad)
    with pytest.raises(TrapError):
        broken.request()
    broken.close()
    good.request()
    good.close()


def test_context_ids_are_not_reused_while_alive() -> None:
    """Ids count on, and past their end skip those that live."""
    with Guest() as guest:
        first, second = guest.stream(), guest.stream()
        assert (first.id, second.id) == (2, 3)
        first.delete()
        assert guest.stream().id == 4
        guest.vm._last_id = 0x7FFF_FFFF
        assert guest.stream().id == 2
        assert guest.stream().id == 5
