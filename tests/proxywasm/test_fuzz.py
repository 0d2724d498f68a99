"""Random sequences of host calls in several VMs at once: each harms itself at the most."""

from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.proxywasm import Compat, PluginSettings, PluginStartError
from mixer.proxywasm.lifecycle import LifecycleError
from mixer.state import MemorySharedData, MemorySharedQueues
from mixer.vm import I64, HostCallError, TrapError
from tests.support import probe
from tests.support.guest import BYTES, OK, Answer, Call, Guest, Phase, call
from tests.support.probe import FUNCTIONS

SIZE = probe.PAGES * probe.PAGE
HEADERS = [(b":path", b"/"), (b"x", b"1")]
STREAM_PHASES = (
    Phase.REQUEST_HEADERS,
    Phase.REQUEST_BODY,
    Phase.REQUEST_TRAILERS,
    Phase.RESPONSE_HEADERS,
    Phase.RESPONSE_BODY,
    Phase.RESPONSE_TRAILERS,
    Phase.LOG,
    Phase.DONE,
    Phase.DELETE,
    Phase.ALLOCATE,
    Phase.TICK,
    Phase.QUEUE_READY,
)
POINTERS = st.one_of(
    st.integers(probe.DATA, probe.DATA + 256),
    st.sampled_from([0, SIZE - 8, SIZE - 4, SIZE - 1, SIZE, SIZE + 1, 2**31, 2**32 - 1]),
    st.integers(0, 2**32 - 1),
)
NUMBERS = st.one_of(st.integers(0, 12), POINTERS, st.integers(0, 2**64 - 1))


@st.composite
def calls(draw: st.DrawFn) -> Call:
    name = draw(st.sampled_from(sorted(FUNCTIONS)))
    params = FUNCTIONS[name].signature.params
    numbers = [draw(NUMBERS) for _ in params]
    limits = [2**64 if kind is I64 else 2**32 for kind in params]
    args = tuple(n % limit for n, limit in zip(numbers, limits, strict=True))
    return Call(name, args, draw(st.sampled_from(STREAM_PHASES)))


STEPS = ("request_headers", "request_body", "request_trailers", "log", "delete", "time")


@st.composite
def moves(draw: st.DrawFn) -> tuple[int, str, list[Call], int]:
    """What happens next: in which VM, with which script, and what its callbacks answer."""
    return (
        draw(st.integers(0, 2)),
        draw(st.sampled_from(STEPS)),
        draw(st.lists(calls(), max_size=6)),
        draw(st.integers(0, 5)),
    )


class Fuzzed:
    """A VM with a stream; both are made anew once they ended."""

    def __init__(self, services: dict[str, object], compat: Compat) -> None:
        self.options = {"services": services, "settings": PluginSettings("probe", compat=compat)}
        self.guest = Guest(**self.options)
        self.stream: Any = None

    def move(self, step: str, script: list[Call], action: int) -> None:
        try:
            self.go(step, script, action)
        except (TrapError, PluginStartError) as end:
            if not isinstance(end.__cause__, HostCallError | TrapError | None):
                raise
            self.renew()
        if self.guest.failures:  # a tick trapped: the VM is closed
            self.renew()

    def go(self, step: str, script: list[Call], action: int) -> None:
        guest = self.guest
        if self.stream is None or step == "request_headers":
            self.stream = guest.stream(headers=HEADERS, body=b"body")
            step = "request_headers"
        guest.script(script, Phase.REQUEST_HEADERS)
        for phase in STREAM_PHASES[:6]:
            guest.answer_with(phase, action)
        with suppress(LifecycleError):
            self.made(step)

    def made(self, step: str) -> None:
        stream = self.stream
        match step:
            case "request_headers":
                stream.on_request_headers(end_of_stream=False)
            case "request_body":
                stream.stream.request.body = b"piece"
                stream.on_request_body(end_of_stream=False)
            case "request_trailers":
                stream.on_request_trailers()
            case "log":
                stream.log_stream()
            case "delete":
                stream.delete()
                self.stream = None
            case "time":
                self.guest.time.advance(1)

    def renew(self) -> None:
        self.guest.close()
        self.guest, self.stream = Guest(**self.options), None


def test_several_vms() -> None:
    """VMs that do anything, with shared state, harm neither the process nor an untouched VM."""
    shared = {"shared_data": MemorySharedData(), "shared_queues": MemorySharedQueues()}
    untouched = Guest(services=dict(shared))
    kept = untouched.memory.read(probe.DATA, 4096)
    fuzzed = [Fuzzed(dict(shared), compat) for compat in (*Compat, Compat.ENVOY)]

    @given(st.lists(moves(), min_size=1, max_size=20))
    @settings(max_examples=150, deadline=None)
    def check(sequence: list[tuple[int, str, list[Call], int]]) -> None:
        for number, step, script, action in sequence:
            fuzzed[number].move(step, script, action)
        assert untouched.memory.read(probe.DATA, 4096) == kept
        assert untouched.memory.size() == SIZE
        assert len(untouched.vm.contexts) == 1

    check()
    answers = untouched.in_headers(
        call("proxy_get_property", b"plugin_name", BYTES),
        call("proxy_get_header_map_value", 0, b"x", BYTES),
        headers=HEADERS,
    )
    assert answers == [Answer(OK, b"probe"), Answer(OK, b"1")]
    for guest in (untouched, *(one.guest for one in fuzzed)):
        guest.close()
