"""Envoy's own host call for DNS: what is asked, what is told, and what is refused."""

import struct

import pytest

from mixer.callouts.ports import NoCallouts
from mixer.proxywasm import LogLevel
from mixer.proxywasm.vm_callouts import MAX_OPEN
from tests.support.guest import BYTES, OK, WORD, Answer, Call, Guest, Phase, call

BAD_ARGUMENT, INTERNAL = 2, 10
READ = call("proxy_get_buffer_bytes", 8, 0, 9999, BYTES)


def resolve(name: bytes = b"up.example") -> Call:
    """Ask for a name."""
    return call("envoy_resolve_dns", name, WORD)


def answer(*addresses: bytes, ttl: int = 60) -> bytes:
    """What the buffer has."""
    count = len(addresses)
    return struct.pack(f"<{1 + count}I", count, *[ttl] * count) + b"".join(
        address + b"\0" for address in addresses
    )


def test_tokens_are_those_of_envoy() -> None:
    """They begin at 2 and count by themselves, whatever other callouts there are."""
    with Guest(script=[resolve(), resolve(b"other")]) as guest:
        assert guest.answers() == [Answer(OK, 2), Answer(OK, 3)]
        assert [one.name for one in guest.callouts.dns_calls] == ["up.example", "other"]


def test_the_answer_is_told_to_the_plugin() -> None:
    """The root context is told the token and the size, and reads the addresses then only."""
    with Guest(script=[resolve()]) as guest:
        guest.script([READ], Phase.RESOLVE_DNS)
        guest.callouts.dns_calls[0].respond("::1", "127.0.0.1", ttl=7)
        expected = answer(b"[::1]:0", b"127.0.0.1:0", ttl=7)
        assert guest.events()[-1] == (Phase.RESOLVE_DNS, guest.root.id, 2, len(expected))
        assert guest.answers() == [Answer(OK, expected)]
        assert guest.in_headers(READ) == [Answer(OK, b"")]


@pytest.mark.parametrize(("fails", "content"), [(False, bytes(4)), (True, b"")])
def test_no_address(*, fails: bool, content: bytes) -> None:
    """No address is a list of none; a question that failed has no bytes at all."""
    with Guest(script=[resolve()]) as guest:
        guest.script([READ], Phase.RESOLVE_DNS)
        (asked,) = guest.callouts.dns_calls
        asked.fail() if fails else asked.respond()
        assert guest.events()[-1] == (Phase.RESOLVE_DNS, guest.root.id, 2, len(content))
        assert guest.answers() == [Answer(OK, content)]


def test_a_stream_asks_for_its_plugin() -> None:
    """The answer is told to the plugin, also where the stream is gone."""
    with Guest() as guest:
        assert guest.in_headers(resolve()) == [Answer(OK, 2)]
        guest.callouts.dns_calls[0].respond("127.0.0.1")
        assert guest.events()[-1][:2] == (Phase.RESOLVE_DNS, guest.root.id)
        assert len(guest.vm.callouts) == 0


def test_a_name_that_may_not_be_asked_for() -> None:
    """Without clusters no name may be resolved, and the log says so."""
    with Guest(script=[resolve()], services={"callouts": NoCallouts()}) as guest:
        assert guest.answers() == [Answer(BAD_ARGUMENT, 0)]
        assert guest.logs == [
            (
                LogLevel.WARN,
                "envoy_resolve_dns answers BAD_ARGUMENT: no cluster has the host "
                "'up.example': none is configured",
            )
        ]


def test_too_many_questions() -> None:
    """Questions count among the callouts of a VM, and are refused past the bound."""
    with Guest() as guest:
        for _ in range(MAX_OPEN):
            guest.vm.callouts.resolve_dns(guest.root, "up")
        assert guest.in_headers(resolve()) == [Answer(INTERNAL, 0)]
        guest.callouts.dns_calls[0].respond()
        assert guest.in_headers(resolve()) == [Answer(OK, MAX_OPEN + 2)]


def test_a_closed_vm_is_not_told() -> None:
    """What is still asked when the VM closes is given up."""
    with Guest(script=[resolve()]) as guest:
        (asked,) = guest.callouts.dns_calls
    assert asked.over
