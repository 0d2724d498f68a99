"""`mixer_quota_take`: what is told at once and later, what is refused, and who is told at all."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.proxywasm import LogLevel, Outcome, ReadSet
from mixer.proxywasm.vm_takes import MAX_OPEN_TAKES
from mixer.state.quota import MemoryQuotas
from mixer.wire.quota_pb2 import Charge, TakeRequest, TakeResponse
from tests.support.guest import BYTES, OK, Call, Guest, Phase, call
from tests.support.guest import Answer as Told
from tests.support.late_quotas import STANDING, Late, LateQuotas

BAD_ARGUMENT, INTERNAL = 2, 10
PAUSE = 1
READ = call("proxy_get_buffer_bytes", 8, 0, 9999, BYTES)
RESUME = call("proxy_continue_stream", 0)


def charge(key: bytes = b"k", **fields: Any) -> Charge:
    return Charge(**{"key": key, "limit": 5, "window_ns": 10**9, "cost": 1, **fields})


def request(*charges: Charge, **fields: Any) -> bytes:
    return TakeRequest(charges=charges or [charge()], **fields).SerializeToString()


def take(data: bytes | None = None) -> Call:
    return call(
        "proxy_call_foreign_function",
        b"mixer_quota_take",
        request() if data is None else data,
        BYTES,
    )


def told(answer: Told) -> TakeResponse:
    assert answer.status == OK
    return TakeResponse.FromString(answer.data)


def test_an_answer_at_once() -> None:
    """A store that knows answers within the call: what was taken, and what is left."""
    with Guest() as guest:
        first, second = map(told, guest.in_headers(take(request(charge(cost=4))), take()))
        assert [one.pending for one in (first, second)] == [0, 0]
        assert [one.standings[0].granted for one in (first, second)] == [4, 1]
        assert second.standings[0].remaining == 0
        (third,) = map(told, guest.in_headers(take()))
        assert third.standings[0].refused
        assert 0 < third.standings[0].retry_after_ns <= 10**9


def test_counters_are_apart_for_each_vm_id() -> None:
    """Plugins with another ``mixer.dev/vm-id`` cannot use up each other's counters."""
    quotas = MemoryQuotas()
    for vm_id in ("a", "b"):
        with Guest(services={"quotas": quotas}, vm_id=vm_id) as guest:
            (answer,) = guest.in_headers(take(request(charge(cost=5))))
            assert told(answer).standings[0].granted == 5


BAD = {
    "charges[0].key: 0 bytes: must be 1 to 64": request(charge(b"")),
    "charges[0].key: 65 bytes: must be 1 to 64": request(charge(b"x" * 65)),
    "charges[0].limit: 0: must be 1 to 9007199254740991": request(charge(limit=0)),
    "charges[0].window_ns: 999999: must be 1000000 to 31622400000000000": request(
        charge(window_ns=999_999)
    ),
    "charges[1].burst: takes over 3162240000000000000 ns to be there again": request(
        charge(), charge(b"l", algorithm=1, limit=1, burst=1 << 52)
    ),
    "charges[0].cost: -9007199254740992: must be -9007199254740991 to 9007199254740991": request(
        charge(cost=-(1 << 53))
    ),
    "algorithm 3: must be one of [0, 1, 2]": request(charge(algorithm=3)),
    "0 charges: must be 1 to 64": TakeRequest().SerializeToString(),
    "65 charges: must be 1 to 64": request(*(charge(b"%d" % n) for n in range(65))),
    "charges: two of them have one key": request(charge(), charge()),
    "best_effort with 2 charges: must be 1": request(charge(), charge(b"l"), best_effort=True),
    "dedup_id: 65 bytes: must be at most 64": request(dedup_id=b"x" * 65),
    "dedup_window_ns: 31622400000000001: must be 0 to 31622400000000000": request(
        dedup_window_ns=31_622_400_000_000_001
    ),
    "it is no mixer.quota.v1.TakeRequest": b"\x0a\xff",
    "131072 bytes: must be at most 16384": b"\x0a\x00" * (1 << 16),
}


@pytest.mark.parametrize("why", BAD)
def test_a_bad_request(why: str) -> None:
    """What is out of bounds is a bad argument, and the log says what, where and the bound."""
    with Guest() as guest:
        assert guest.in_headers(take(BAD[why])) == [Told(BAD_ARGUMENT, b"")]
        assert guest.logs == [(LogLevel.WARN, f"mixer_quota_take answers BAD_ARGUMENT: {why}")]
        assert len(guest.vm.services.quotas) == 0


def test_the_largest_request() -> None:
    """All that a request may have fits into its bound of bytes."""
    most, more = (1 << 53) - 1, {"algorithm": 1, "window_ns": 10**16, "shadow": True}
    charges = [charge(b"%064d" % n, limit=most, burst=most, cost=-most, **more) for n in range(64)]
    with Guest() as guest:
        (answer,) = guest.in_headers(
            take(request(*charges, dedup_id=b"x" * 64, dedup_window_ns=10**16))
        )
        assert len(told(answer).standings) == 64


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Whatever a module hands over is answered or refused, and never a trap."""
    with Guest() as guest:
        (answer,) = guest.in_headers(take(data))
        assert answer.status in (OK, BAD_ARGUMENT)


def test_a_take_is_volatile() -> None:
    """A decision for which counters were asked follows from more than its request."""
    with Guest() as guest:
        reads = ReadSet()
        guest.in_headers(take(), reads=reads)
        assert reads.volatile


def test_an_answer_that_comes_later() -> None:
    """The stream that asked is told, reads the answer then only, and resumes its request."""
    quotas = LateQuotas()
    with Guest(services={"quotas": quotas}, vm_id="v") as guest, guest.open() as stream:
        guest.script([take()], Phase.REQUEST_HEADERS)
        guest.answer_with(Phase.REQUEST_HEADERS, PAUSE)
        assert stream.on_request_headers(end_of_stream=True) is Outcome.PAUSE
        assert guest.vm.may_resume(stream)
        (pending,) = guest.answers()
        number = told(pending).pending
        assert number > 0
        assert [(vm_id, one.charges[0].key) for vm_id, one in quotas.asked] == [("v", b"k")]
        woken: list[bool] = []
        stream.wait(lambda: woken.append(True))
        guest.script([READ, RESUME], Phase.FOREIGN_FUNCTION)
        quotas.waiting[0].answer()
        guest.time.advance()
        answer = guest.answers()[0]
        assert guest.events()[-1] == (
            Phase.FOREIGN_FUNCTION, stream.id, number, len(answer.data)
        )  # fmt: skip
        assert told(answer).standings[0].remaining == STANDING.remaining
        assert woken
        assert stream.on_resume() is Outcome.CONTINUE
        assert not guest.vm.may_resume(stream)
        assert guest.in_headers(READ) == [Told(OK, b"")]


def test_a_plugin_that_asks() -> None:
    """Outside of a stream the plugin itself is told."""
    quotas = LateQuotas()
    with Guest(script=[take()], services={"quotas": quotas}) as guest:
        quotas.waiting[0].answer()
        assert guest.events()[-1][:2] == (Phase.FOREIGN_FUNCTION, guest.root.id)


def test_a_deleted_stream_is_not_told() -> None:
    """Whatever its phase, what a stream still waits for at its end is given up."""
    quotas = LateQuotas()
    with Guest(services={"quotas": quotas}) as guest:
        context = guest.stream()
        guest.script([take(), replace(take(), phase=Phase.LOG)], Phase.REQUEST_HEADERS)
        context.on_request_headers(end_of_stream=True)
        context.log_stream()
        assert [one.cancelled for one in quotas.waiting] == [False, False]
        context.delete()
        assert [one.cancelled for one in quotas.waiting] == [True, True]
        assert len(guest.vm.takes) == 0


def test_a_closed_vm_is_not_told() -> None:
    """What is still waited for when the VM closes is given up."""
    quotas = LateQuotas()
    with Guest(script=[take()], services={"quotas": quotas}):
        assert not quotas.waiting[0].cancelled
    assert quotas.waiting[0].cancelled


def test_a_trap_in_the_answer() -> None:
    """A module that traps as it is told loses its VM, and the owner is told of it."""
    quotas = LateQuotas()
    with Guest(script=[take()], services={"quotas": quotas}) as guest:
        guest.script([READ, call("proxy_done", phase=Phase.ALLOCATE)], Phase.FOREIGN_FUNCTION)
        quotas.waiting[0].answer()
        assert guest.vm.closed
        assert len(guest.failures) == 1


def test_a_retired_vm_waits_for_what_its_plugin_asked() -> None:
    """A VM that is given up is idle once its last take is answered."""
    quotas, idle = LateQuotas(), []
    with Guest(script=[take()], services={"quotas": quotas}) as guest:
        guest.vm.retire(lambda: idle.append(True), 60.0)
        guest.vm.release()
        assert not idle
        quotas.waiting[0].answer()
        assert idle


@pytest.mark.parametrize(
    "options",
    [{"allowed": frozenset({"proxy_on_configure"})}, {"abi": "0_1_0"}],
    ids=["not allowed", "ABI 0.1.0"],
)
def test_a_module_that_cannot_be_told(options: dict[str, Any]) -> None:
    """Where the callback would not be made, the module knows at once."""
    quotas = LateQuotas()
    with Guest(script=[take()], services={"quotas": quotas}, **options) as guest:
        assert guest.answers() == [Told(INTERNAL, b"")]
        assert quotas.waiting[0].cancelled


def test_too_many_wait() -> None:
    """One more than the bound is refused before the store is asked."""
    quotas = LateQuotas()
    with Guest(services={"quotas": quotas}) as guest:
        later = Late()
        for _ in range(MAX_OPEN_TAKES):
            guest.vm.takes.keep(guest.root, later, lambda _: b"")
        assert guest.in_headers(take()) == [Told(INTERNAL, b"")]
        assert not quotas.asked
