"""`mixer.testing`: what a test of a module sees and does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mixer.testing import (
    AlreadyOverError,
    Host,
    LogLevel,
    ModuleError,
    Outcome,
    PluginStartError,
    TrapError,
)
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.compile import wasm

ASKING = adapter(
    do.callout("auth"),
    do.answer(3),
    http_call_response=[do.in_stream(do.if_called("5", do.trap), do.add("x", "1"), do.resume)],
)


@pytest.fixture
def host() -> Iterator[Host]:
    """A host that keeps nothing."""
    with Host(compile_cache=None) as one:
        yield one


def test_a_whole_stream(host: Host) -> None:
    """Each callback is made when the test says so, and what it changes can be seen."""
    plugin = host.load(
        wasm(
            adapter(
                do.add("x-new", "1"),
                request_body=[do.set_body("request")],
                response_headers=[do.add_to_response("x-seen", "1")],
                response_body=[do.set_body("response", kind=1)],
                log=[do.log("log")],
                done=[do.log("done")],
                delete=[do.log("delete")],
            )
        )
    )
    stream = plugin.stream()
    assert stream.request_headers({":path": "/a"}, end_of_stream=False) is Outcome.CONTINUE
    assert stream.request_body("one", end_of_stream=False) is Outcome.CONTINUE
    assert stream.request_body(b"two") is Outcome.CONTINUE
    assert stream.passed_request_body == b"requestrequest"
    assert stream.request.headers[":authority"] == "example.com"
    assert stream.request.headers["x-new"] == "1"
    assert stream.response_headers({"a": "b"}, status=404, end_of_stream=False) is Outcome.CONTINUE
    assert stream.response_body("three") is Outcome.CONTINUE
    assert stream.response is not None
    assert stream.response.headers["x-seen"] == "1"
    assert stream.passed_response_body == b"response"
    stream.close()
    assert plugin.messages(LogLevel.INFO) == ["log", "done", "delete"]


def test_metadata(host: Host) -> None:
    """Blocks of HTTP/2 metadata are told; the outcome is that of the message, or an answer."""
    stream = host.load(
        wasm(adapter(request_metadata=[do.log("told")], response_metadata=[do.deny(502)]))
    ).request({":path": "/"}, "body")
    assert stream.request_metadata({"a": "1"}) is Outcome.CONTINUE
    stream.response_headers(end_of_stream=False)
    assert stream.outcome is Outcome.CONTINUE
    assert stream.response_metadata([("a", "1")]) is Outcome.RESET
    assert stream.outcome is Outcome.RESET


def test_a_body_that_is_held_back(host: Host) -> None:
    """What waits has not gone on, and goes on when the module resumes it."""
    text = adapter(
        request_body=[do.callout("auth"), do.answer(1)],
        http_call_response=[do.in_stream(do.resume)],
    )
    stream = host.load(wasm(text)).request(body="body")
    assert stream.outcome is Outcome.PAUSE
    assert stream.waits
    assert stream.passed_request_body == b""
    host.http_calls[0].respond(204)
    assert stream.outcome is Outcome.CONTINUE
    assert stream.passed_request_body == b"body"


def test_the_stream_of_an_answer(host: Host) -> None:
    """Callouts are answered in any order, each for its own stream, once."""
    plugin = host.load(wasm(ASKING))
    first, second = plugin.request(), plugin.request()
    host.http_calls[1].respond()
    assert (first.outcome, second.outcome) == (Outcome.PAUSE, Outcome.CONTINUE)
    assert second.request.headers["x"] == "1"
    with pytest.raises(AlreadyOverError):
        host.http_calls[1].respond()


def test_a_trap_in_the_answer_of_a_callout(host: Host) -> None:
    """The plugin's failure is there for the test to see, and its streams are reset."""
    plugin = host.load(wasm(ASKING))
    stream = plugin.request()
    host.http_calls[0].respond(500)
    assert plugin.failure is not None
    assert "unreachable" in str(plugin.failure)
    assert stream.outcome is Outcome.RESET


def test_a_trap_in_a_callback(host: Host) -> None:
    """It is raised where it happens."""
    with pytest.raises(TrapError):
        host.load(wasm(adapter(do.trap))).request()


def test_an_answer_of_the_module(host: Host) -> None:
    """It can be sent through the response callbacks, as in Envoy."""
    text = adapter(do.deny(403, "no", "why"), response_headers=[do.set_status(418)])
    stream = host.load(wasm(text)).request()
    assert stream.outcome is Outcome.RESPOND
    assert stream.local_response is not None
    assert (stream.local_response.status, stream.local_response.details) == (403, "why")
    assert stream.local_reply() is Outcome.CONTINUE
    assert stream.response is not None
    assert stream.response.headers[":status"] == "418"
    assert stream.passed_response_body == b"no"


def test_an_answer_whose_headers_are_held(host: Host) -> None:
    """The body of the module's own answer does not come before its headers have gone on."""
    text = adapter(do.deny(403, "no"), response_headers=[do.answer(1)])
    stream = host.load(wasm(text)).stream()
    stream.request_headers()
    assert stream.local_reply() is Outcome.PAUSE
    assert stream.passed_response_body == b""


def test_headers_that_are_given(host: Host) -> None:
    """They take the place of the default ones."""
    stream = host.load(wasm(adapter())).stream()
    stream.request_headers({":method": "POST", "x-a": "1"})
    assert list(stream.request.headers.pairs()) == [
        (b":path", b"/"), (b":authority", b"example.com"), (b":scheme", b"http"),
        (b":method", b"POST"), (b"x-a", b"1"),
    ]  # fmt: skip


def test_time(host: Host) -> None:
    """Ticks come when the test lets time pass, and the module's clock is the test's."""
    plugin = host.load(wasm(adapter(configure=[do.tick(1000)], tick=[do.count("ticks", 1)])))
    host.advance(0.9)
    with pytest.raises(KeyError, match="no counter 'ticks'"):
        host.counter("ticks")
    host.advance(2.2)
    assert host.counter("ticks") == 3
    assert plugin.vm.services.wall_clock() == 1_700_000_003_100_000_000
    assert plugin.vm.services.monotonic_clock() == 4_100_000_000


def test_what_plugins_share(host: Host) -> None:
    """Plugins with one vm_id share data; the test can set and read it."""
    host.shared_data.set("one", b"go", b"1")
    text = wasm(adapter(do.when_shared("go", do.set_shared("seen", "yes"))))
    host.load(text, vm_id="another").request()
    assert host.shared_data.get("another", b"seen") is None
    host.load(text, vm_id="one").request()
    entry = host.shared_data.get("one", b"seen")
    assert entry is not None
    assert entry.value == b"yes"


def test_configurations(host: Host, tmp_path: Path) -> None:
    """A mapping is JSON, and what the module refuses is told with its reason."""
    file = tmp_path / "module.wasm"
    file.write_bytes(wasm(adapter()))
    assert host.load(file, {"a": [1]}).vm.contexts
    with pytest.raises(PluginStartError, match="bad things"):
        host.load(wasm(adapter(configure=[do.log("bad things", 4), do.answer(0)])))
    with pytest.raises(ModuleError, match="no such file"):
        host.load(tmp_path / "another.wasm")


def test_clusters_that_are_not_there() -> None:
    """A host with names refuses other ones, as a configuration would."""
    with Host(clusters=["other"]) as host:
        plugin = host.load(wasm(ASKING))
        plugin.request()
        assert not host.http_calls
        assert any("no cluster 'auth'" in text for text in plugin.messages())


def test_properties(host: Host) -> None:
    """Attributes are given by the test, and what the module sets can be seen."""
    plugin = host.load(wasm(adapter(do.set_property("a", "b"))))
    stream = plugin.request()
    assert stream.properties == {b"a": b"b"}


@pytest.mark.parametrize("headers", [{"x": 1}, [(b"x", "1")]])
def test_headers_that_are_no_text(host: Host, headers: Any) -> None:
    """They are refused by their name, and the module is not called."""
    plugin = host.load(wasm(adapter(do.log("called"))))
    with pytest.raises(TypeError, match=r"header b?'x': .*must be str"):
        plugin.request(headers)
    assert plugin.messages(LogLevel.INFO) == []


def test_the_compile_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the user's unless a test names another one, or none."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    for folder in (None, tmp_path / "own"):
        with Host(compile_cache=folder) as host:
            host.load(wasm(adapter()))
    assert not (tmp_path / "user").exists()
    assert list((tmp_path / "own").iterdir())
    with Host() as host:
        host.load(wasm(adapter()))
    assert list((tmp_path / "user" / "wasm-mixer").iterdir())


def test_compat(host: Host) -> None:
    """Where SDKs panic on a status of Envoy's, a plugin can have another one."""
    text = adapter(do.trap_unless_ok("add", "x", "1", kind=2))
    with pytest.raises(TrapError):
        host.load(wasm(text)).request()
    assert host.load(wasm(text), compat="lenient").request().outcome is Outcome.CONTINUE


def test_allowed_capabilities(host: Host) -> None:
    """Other host calls are refused, and other callbacks are not made."""
    code = wasm(adapter(do.add("x-new", "1"), do.log("said"), log=[do.log("logged")]))
    allowed = ["proxy_log", "proxy_on_request_headers", "proxy_on_context_create"]
    plugin = host.load(code, allowed_capabilities=allowed)
    stream = plugin.request()
    stream.close()
    assert "x-new" not in stream.request.headers
    assert "said" in plugin.messages()
    assert "logged" not in plugin.messages()
    assert "proxy_add_header_map_value is not among" in plugin.messages(LogLevel.ERROR)[0]
    with pytest.raises(ValueError, match="capability 'proxy_lag': neither"):
        host.load(code, allowed_capabilities=["proxy_lag"])


def test_log_level(host: Host) -> None:
    """What is below it is not logged."""
    code = wasm(adapter(do.log("information", 2), do.log("warning", 3)))
    plugin = host.load(code, log_level=LogLevel.WARN)
    plugin.request()
    assert plugin.messages() == ["warning"]
