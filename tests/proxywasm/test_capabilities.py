"""Adapters that may not make every host call."""

import pytest

from mixer.proxywasm import HostLinkers, LogLevel, capabilities_of, known_capabilities
from mixer.proxywasm.capabilities import restricted
from mixer.vm import make_linker
from tests.support.compile import engine, module
from tests.support.guest import BYTES, OK, WORD, Answer, Guest, Phase, call
from tests.support.probe import FUNCTIONS, probe_text

HEADERS = [(b"x", b"1")]
EVERY = known_capabilities() | capabilities_of(module(probe_text()))
REFUSED, NOTCAPABLE = 10, 76


def guest_with(*allowed: str) -> Guest:
    linker = make_linker(engine(), restricted(frozenset(allowed)))
    return Guest(using=linker, allowed=frozenset(allowed))


@pytest.mark.parametrize("name", sorted(known_capabilities() - {"proxy_log"}))
def test_a_call_that_is_not_allowed(name: str) -> None:
    """It refuses, with one line in the log however often, whatever its arguments."""
    arguments = (0,) * len(FUNCTIONS[name].signature.params)
    with guest_with(*EVERY - {name, "random_get"}) as guest:
        answers = guest.in_headers(call(name, *arguments), call(name, *arguments))
        has_result = bool(FUNCTIONS[name].signature.results)
        refusal = REFUSED if name.startswith("proxy_") else NOTCAPABLE
        assert [a.status for a in answers] == [refusal if has_result else 0] * 2
        told = [line for level, line in guest.logs if level is LogLevel.ERROR and name in line]
        assert told == [f"{name} is not among the adapter's allowed capabilities"]


def test_a_call_that_is_allowed() -> None:
    """What is on the list works as ever."""
    with guest_with("proxy_log", "proxy_on_request_headers", "proxy_get_property") as guest:
        answers = guest.in_headers(
            call("proxy_get_property", b"plugin_name", BYTES),
            call("proxy_log", 2, b"said"),
            call("proxy_get_current_time_nanoseconds", WORD),
        )
    assert answers == [Answer(OK, b"probe"), Answer(OK), Answer(REFUSED)]
    assert (LogLevel.INFO, "said") in guest.logs


def test_a_callback_that_is_not_allowed() -> None:
    """It is as absent: the module is not told, and the request goes on."""
    with guest_with("proxy_on_request_headers") as guest, guest.open(headers=HEADERS) as context:
        guest.answer_with(Phase.REQUEST_BODY, 1)
        context.on_request_headers(end_of_stream=False)
        context.on_request_body(end_of_stream=True)
        context.log_stream()
        assert [phase for phase, *_ in guest.events()] == [Phase.REQUEST_HEADERS]


def test_an_empty_list_allows_all() -> None:
    """As in Envoy."""
    with guest_with() as guest:
        answers = guest.in_headers(call("proxy_get_property", b"plugin_name", BYTES))
    assert answers == [Answer(OK, b"probe")]


def test_what_a_module_needs() -> None:
    """It is every call that it imports, and every callback that it has."""
    needs = capabilities_of(module(probe_text(allocator="proxy_on_memory_allocate")))
    assert known_capabilities() <= needs
    assert "proxy_on_request_body" in needs
    assert "proxy_on_memory_allocate" not in needs
    assert "pthread_equal" not in needs


def test_a_linker_for_each_list() -> None:
    """Adapters with the same list share one, and those without a list another."""
    linkers = HostLinkers(engine())
    some = frozenset({"proxy_log"})
    assert linkers.of(None) is linkers.of(frozenset())
    assert linkers.of(some) is linkers.of(frozenset({"proxy_log"}))
    assert linkers.of(some) is not linkers.of(None)
    linkers.close()
