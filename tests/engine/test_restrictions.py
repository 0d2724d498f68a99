"""Adapters with an allow-list, and with lenient answers."""

from mixer.engine import Decision, Verdict
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support import adapters as do
from tests.support.adapters import adapter


def header(decision: Decision, name: str) -> bool:
    return any(change.name == name.encode() for change in decision.request_headers)


def test_a_call_that_an_adapter_may_not_make(make_engine: MakeEngine, plugins: Plugins) -> None:
    """One adapter may not add headers, and another with the same module may."""
    text = adapter(do.add("x-added", "1"))
    plugins.plugin("free", text)
    tied = plugins.plugin(
        "tied", text, {"allowed-capabilities": "proxy_on_request_headers,proxy_log"}
    )
    assert not header(make_engine(tied).decide(request()), "x-added")
    assert header(make_engine(plugins.document("free")).decide(request()), "x-added")


def test_a_callback_that_is_not_made(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Without it on the list, a module that would deny does not see the request."""
    text = adapter(do.deny())
    blind = plugins.plugin("blind", text, {"allowed-capabilities": "proxy_send_local_response"})
    assert make_engine(blind).decide(request()).verdict is Verdict.ALLOW


def test_lenient_answers(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A module that traps on Envoy's status goes on with the lenient one."""
    text = adapter(do.trap_unless_ok("add", "x", "1", kind=2))
    strict = plugins.plugin("strict", text)
    lenient = plugins.plugin("lenient", text, {"compat": "lenient"})
    assert make_engine(strict).decide(request()).verdict is Verdict.ERROR
    assert make_engine(lenient).decide(request()).verdict is Verdict.ALLOW


def test_a_slip_in_the_list(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A name that is nothing breaks the adapter: it would allow less than it seems."""
    listed = "proxy_log,proxy_on_request_header"
    engine = make_engine(
        plugins.plugin("one", adapter(do.deny()), {"allowed-capabilities": listed})
    )
    (broken,) = engine.broken
    assert broken.error == "proxy_on_request_header: neither a host call nor a callback"
    assert "mixer.dev/allowed-capabilities" in broken.problem.field
    assert engine.decide(request()).verdict is Verdict.ERROR


def test_what_may_not_do_what_was_meant(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Callbacks that the list leaves out, and a threshold above the limit, are told."""
    text = adapter(do.deny(), response_headers=[], log=[])
    annotations = {
        "allowed-capabilities": "proxy_send_local_response,proxy_on_request_headers",
        "max-vm-memory": "64Mi",
        "memory-limit": "32Mi",
    }
    engine = make_engine(plugins.plugin("one", text, annotations))
    withheld, unreachable = (str(notice) for notice in engine.notices)
    assert withheld.endswith(
        "the module has callbacks that are not made: proxy_on_log, proxy_on_response_headers"
    )
    assert unreachable.endswith("67108864 bytes are never reached: the memory limit is 33554432")
    assert not make_engine(plugins.plugin("two", text)).notices
