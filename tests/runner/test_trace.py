"""The trace of a run: each callback and host call, what it was given, and what came of it."""

from types import SimpleNamespace
from typing import Any

import pytest

from mixer.proxywasm import PluginSettings, host_functions
from mixer.runner import RunPlugin, RunReport, RunRequest, run_request
from mixer.runner.trace import Trace, TraceLine
from mixer.runner.trace_shapes import shape_of, text_of
from mixer.vm import HostFunction
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.compile import wasm

HEADERS = ((":path", "/a"), (":method", "GET"), ("x-known", "va\x07lue"))


def traced(text: str, configuration: bytes = b"") -> tuple[list[TraceLine], RunReport]:
    """Run a request with a trace."""
    trace = Trace()
    plugin = RunPlugin(PluginSettings("run", configuration=configuration))
    report = run_request(wasm(text), RunRequest(HEADERS, plugin), trace=trace)
    return trace.lines, report


@pytest.mark.parametrize("function", host_functions(), ids=lambda f: f"{f.module}.{f.name}")
def test_every_host_function_has_a_shape(function: HostFunction) -> None:
    """The groups of a shape take exactly the parameters that there are."""
    params = len(function.signature.params)
    groups = list(shape_of(function)._groups(tuple(range(params))))
    assert [number for _, group in groups for number in group] == list(range(params))


def test_what_a_line_says() -> None:
    """A call shows names for numbers, what pointers point at, its status and what it returned."""
    lines, _ = traced(adapter(do.when("x-known", do.add("x-new", "1")), do.when("x-none")))
    known = next(line for line in lines if "x-known" in str(line))
    assert str(known).startswith(
        '  proxy_get_header_map_value(HTTP_REQUEST_HEADERS, "x-known") = OK "va\\x07lue"  ['
    )
    added = next(line for line in lines if "x-new" in str(line))
    assert 'add_header_map_value(HTTP_REQUEST_HEADERS, "x-new", "1") = OK  [' in str(added)
    missing = next(line for line in lines if "x-none" in str(line))
    assert (missing.result, missing.returned) == ("NOT_FOUND", ())


def test_the_order_is_that_of_the_calls() -> None:
    """A callback comes before what it calls, and takes at least as long.

    Those that the module does not have are not shown.
    """
    life = {"context_create": (), "vm_start": (), "configure": ()}
    lines, _ = traced(adapter(do.log("one"), do.add("a", "b"), do.answer(0), **life))
    names = [(line.depth, line.name) for line in lines]
    at = names.index((0, "proxy_on_request_headers"))
    assert names[:4] == [
        (0, "proxy_on_context_create"), (0, "proxy_on_vm_start"), (0, "proxy_on_configure"),
        (0, "proxy_on_context_create"),
    ]  # fmt: skip
    assert {name for depth, name in names if depth == 0} == {
        f"proxy_on_{name}" for name in (*life, "request_headers")
    }
    assert names[at + 1 : at + 3] == [(1, "proxy_log"), (1, "proxy_add_header_map_value")]
    assert lines[at].seconds >= sum(line.seconds for line in lines[at + 1 : at + 3])
    assert (lines[at].arguments, lines[at].result) == (("2", "3", "1"), "CONTINUE")


def test_a_call_that_ends_in_a_trap() -> None:
    """A callback that traps is told with its exception."""
    lines, report = traced(adapter(do.log("before"), do.trap))
    assert report.verdict == "trap"
    assert [line.result for line in lines if line.name == "proxy_on_request_headers"] == [
        "TrapError"
    ]
    assert lines[-1].name == "proxy_log"


def test_wild_pointers() -> None:
    """Pointers that point nowhere are shown as such, and harm nothing."""
    text = adapter(lambda _: "(drop (call $log (i32.const 2) (i32.const -8) (i32.const 64)))")
    lines, _ = traced(text)
    (log,) = [line for line in lines if line.name == "proxy_log"]
    assert log.arguments == ("INFO", "64 bytes at 0xfffffff8, outside of the memory")
    assert log.result == "INVALID_MEMORY_ACCESS"


def test_long_and_binary_texts() -> None:
    """A text is one line, whatever is in it, and not long."""
    assert text_of(b'a\nb"\xff') == '"a\\nb"\\\\xff"'
    assert text_of(b"x" * 1000).endswith('"... (1000 bytes)')
    assert len(text_of(b"x" * 1000)) < 200


def test_a_password_is_not_shown() -> None:
    """The password of a Redis login is left out."""
    function = next(f for f in host_functions() if f.name == "proxy_redis_init")
    at = b"redisusersecret"
    memory: Any = SimpleNamespace(read=lambda pointer, size: at[pointer : pointer + size])
    shown = list(shape_of(function).arguments(memory, (0, 5, 5, 4, 9, 6, 250)))
    assert shown == ['"redis"', '"user"', "(6 bytes)", "250"]
