"""The end of a plugin: done, perhaps put off, and deleted."""

from typing import Any

import pytest

from mixer.proxywasm import (
    LogLevel,
    PluginSettings,
    PluginStartError,
    StreamContext,
    VmClosedError,
)
from mixer.state import MemorySharedQueues, StoreUnavailableError
from mixer.testing.callouts import FakeCallouts
from mixer.vm import TrapError
from tests.support.guest import OK, WORD, Answer, Call, Guest, Phase, call, http_stream

NOT_FOUND = 1
DONE = call("proxy_done")
ENDS = {Phase.DONE, Phase.DELETE}


class Ending:
    """A guest that is shut down, and whether it told its end."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.finished = 0

    def begin(self) -> None:
        self.guest.vm.shut_down(self._end)

    def _end(self) -> None:
        self.finished += 1

    @property
    def events(self) -> list[tuple[Phase, int]]:
        return [(phase, context) for phase, context, *_ in self.guest.events() if phase in ENDS]


def test_each_plugin_is_done_and_deleted() -> None:
    """Every plugin is asked first, then all are deleted; then the VM is nobody's."""
    with Guest() as guest:
        guest.vm.start_plugin(PluginSettings("other"))
        guest.answer_with(Phase.DONE, 1)
        ending = Ending(guest)
        ending.begin()
        assert ending.events == [
            (Phase.DONE, 1), (Phase.DONE, 2), (Phase.DELETE, 1), (Phase.DELETE, 2)
        ]  # fmt: skip
        assert (ending.finished, guest.vm.contexts) == (1, {})


def test_an_end_that_is_put_off() -> None:
    """A plugin that is not done is deleted after it said so, when that callback has returned."""
    with Guest(script=[call("proxy_set_tick_period_milliseconds", 10)]) as guest:
        guest.answer_with(Phase.DONE, 0)
        ending = Ending(guest)
        ending.begin()
        assert (ending.events, ending.finished) == ([(Phase.DONE, 1)], 0)
        guest.script([DONE, DONE], Phase.TICK)
        guest.time.advance(0.01)
        assert guest.answers() == [Answer(OK), Answer(NOT_FOUND)]
        assert ending.events == [(Phase.DONE, 1), (Phase.DELETE, 1)]
        assert ending.finished == 1
        ticks = len(guest.events())
        guest.time.advance(1)
        assert len(guest.events()) == ticks


def test_the_deletion_waits_for_the_callback() -> None:
    """Within the callback that calls ``proxy_done`` nothing is deleted yet."""
    with Guest() as guest:
        guest.answer_with(Phase.DONE, 0)
        ending = Ending(guest)
        ending.begin()
        guest.script([DONE], Phase.REQUEST_HEADERS)
        context = guest.stream()
        context.on_request_headers(end_of_stream=True)
        assert (Phase.DELETE, 1) not in ending.events
        guest.time.advance()
        assert ending.events[-1] == (Phase.DELETE, 1)


@pytest.mark.parametrize("phase", [Phase.CONFIGURE, Phase.DONE])
def test_done_that_nobody_waits_for(phase: Phase) -> None:
    """``proxy_done`` finds nothing before the end is put off, not even while it is."""
    with Guest(start=False) as guest:
        guest.script([call("proxy_done", phase=phase)], phase)
        guest.start()
        guest.answer_with(Phase.DONE, 0)
        Ending(guest).begin()
        assert guest.answers() == [Answer(NOT_FOUND)]


def test_one_plugin_puts_its_end_off() -> None:
    """The others do not wait for it; the VM does."""
    with Guest() as guest:
        other = guest.vm.start_plugin(PluginSettings("other"))
        guest.answer_with(Phase.DONE, 0)
        ending = Ending(guest)
        ending.begin()
        guest.script([DONE], Phase.REQUEST_HEADERS)
        StreamContext(other, http_stream()).on_request_headers(end_of_stream=True)
        guest.time.advance()
        assert ending.events[-1] == (Phase.DELETE, 2)
        assert (ending.finished, guest.vm.roots) == (0, [guest.root])
        guest.in_headers(DONE)
        guest.time.advance()
        assert (ending.finished, guest.vm.roots) == (1, [])


def test_trap_in_an_end_that_was_put_off() -> None:
    """It closes the VM, and its owner is told."""
    with Guest(configuration=b"vm") as guest:
        guest.answer_with(Phase.DONE, 0)
        ending = Ending(guest)
        ending.begin()
        guest.in_headers(DONE)
        nested = call("proxy_get_configuration", 0, 8, phase=Phase.ALLOCATE)
        guest.script([call("proxy_get_configuration", 0, 8), nested], Phase.DELETE)
        guest.time.advance()
        assert (len(guest.failures), ending.finished, guest.vm.closed) == (1, 0, True)


def test_nothing_enters_a_closed_vm() -> None:
    """Its streams can be ended without a word, and make no other callback."""
    guest = Guest()
    context, late = guest.stream(), guest.stream()
    context.on_request_headers(end_of_stream=False)
    root = guest.root
    assert root is not None
    guest.close()
    guest.close()
    for enter in (
        lambda: context.on_request_body(end_of_stream=True),
        lambda: late.on_request_headers(end_of_stream=True),
        lambda: StreamContext(root, http_stream()),
    ):
        with pytest.raises(VmClosedError):
            enter()
    context.log_stream()
    context.delete()
    late.delete()


def test_who_trapped_is_noted() -> None:
    """The VM knows its trap, and the context in which it was."""
    with Guest(configuration=b"vm") as guest:
        context = guest.stream()
        nested = call("proxy_get_configuration", 0, 8, phase=Phase.ALLOCATE)
        guest.script([call("proxy_get_configuration", 0, 8), nested], Phase.REQUEST_HEADERS)
        assert guest.vm.trap is None
        with pytest.raises(TrapError) as caught:
            context.on_request_headers(end_of_stream=True)
        assert (guest.vm.trap, guest.vm.trapped) == (caught.value, context)


def test_a_retired_vm_ends_with_its_last_stream() -> None:
    """It is told once, when the last stream is deleted, and not before."""
    with Guest() as guest:
        told: list[int] = []
        first, second = guest.stream(), guest.stream()
        guest.vm.retire(lambda: told.append(1), 60.0)
        guest.vm.release()
        first.delete()
        assert told == []
        second.delete()
        guest.vm.release()
        assert told == [1]


def test_a_plugin_that_is_refused_leaves_nothing_behind() -> None:
    """Another plugin of the VM that does not start has no root and no ticks; the first goes on."""
    with Guest() as guest:
        guest.script([call("proxy_set_tick_period_milliseconds", 10)], Phase.CONFIGURE)
        guest.answer_with(Phase.CONFIGURE, 0)
        with pytest.raises(Exception, match="refused its configuration"):
            guest.vm.start_plugin(PluginSettings("other"))
        before = len(guest.events())
        guest.time.advance(1)
        assert len(guest.events()) == before
        assert list(guest.vm.contexts) == [1]
        guest.vm.started()
        with guest.open() as context:
            context.on_request_headers(end_of_stream=True)


def test_a_queue_of_a_plugin_that_is_gone() -> None:
    """A plugin that was refused, or has ended, is told of no message."""
    with Guest() as guest:
        guest.script([call("proxy_register_shared_queue", b"q", WORD)], Phase.CONFIGURE)
        guest.answer_with(Phase.CONFIGURE, 0)
        with pytest.raises(PluginStartError):
            guest.vm.start_plugin(PluginSettings("other"))
        guest.vm.started()
        guest.vm.services.shared_queues.enqueue(1, b"m")
        guest.answer_with(Phase.CONFIGURE, 1)
        ending = guest.vm.start_plugin(PluginSettings("ending"))
        guest.vm.services.shared_queues.enqueue(1, b"m")
        guest.answer_with(Phase.DONE, 1)
        assert guest.vm.roots == [guest.root, ending]
        Ending(guest).begin()
        guest.time.advance()
        assert Phase.QUEUE_READY not in [phase for phase, *_ in guest.events()]


CALL = call("proxy_grpc_call", b"c", b"s", b"m", b"", b"", 0, WORD)
STREAM = call("proxy_grpc_stream", b"c", b"s", b"m", b"", WORD)
PERIOD = call("proxy_set_tick_period_milliseconds", 10)


@pytest.mark.parametrize("made", [CALL, STREAM], ids=["call", "stream"])
def test_a_callout_of_a_plugin_that_is_gone(made: Call) -> None:
    """A plugin that was refused, or has ended, is not told of what its callouts bring."""
    callouts = FakeCallouts()
    with Guest(services={"callouts": callouts}) as guest:
        guest.script([made], Phase.CONFIGURE)
        guest.answer_with(Phase.CONFIGURE, 0)
        with pytest.raises(PluginStartError):
            guest.vm.start_plugin(PluginSettings("other"))
        guest.answer_with(Phase.CONFIGURE, 1)
        guest.vm.start_plugin(PluginSettings("ending"))
        guest.vm.started()
        guest.vm.contexts.pop(guest.vm.roots[-1].id)
        before = len(guest.events())
        for one in callouts.grpc_calls:
            one.respond(b"late")
        for stream in callouts.grpc_streams:
            stream.events.on_message(b"late")
            stream.events.on_close(0, "")
        assert len(guest.events()) == before


@pytest.mark.parametrize(
    ("made", "awaited"), [(CALL, True), (STREAM, False)], ids=["call", "stream"]
)
def test_which_callouts_a_retired_vm_waits_for(made: Call, awaited: bool) -> None:
    """For the answer to a call, but not for the end of a gRPC stream, which may never come."""
    callouts = FakeCallouts()
    with Guest(services={"callouts": callouts}) as guest:
        guest.in_headers(made)
        told: list[int] = []
        guest.vm.retire(lambda: told.append(1), 60.0)
        guest.vm.release()
        assert told == ([] if awaited else [1])
        for one in callouts.grpc_calls:
            one.respond(b"")
        assert told == [1]


def test_a_tick_may_give_up_what_a_retired_vm_waits_for() -> None:
    """A call that is cancelled in a tick is not waited for any longer."""
    with Guest(services={"callouts": FakeCallouts()}, script=[PERIOD]) as guest:
        (made,) = guest.in_headers(CALL)
        told: list[int] = []
        guest.vm.retire(lambda: told.append(1), 60.0)
        guest.vm.release()
        guest.script([call("proxy_grpc_cancel", made.data)], Phase.TICK)
        assert told == []
        guest.time.advance(0.01)
        assert (guest.answers(), told) == ([Answer(OK)], [1])


def test_queues_that_cannot_be_taken_back() -> None:
    """Where the store is down a VM that stays lives on without its queues, and says so."""

    class Failing(MemorySharedQueues):
        down = False

        def register(self, *args: Any) -> int | None:
            if self.down:
                raise StoreUnavailableError("the store is down")
            return super().register(*args)

    queues = Failing()
    register = call("proxy_register_shared_queue", b"q", WORD)
    with Guest(services={"shared_queues": queues}, script=[register]) as guest:
        queues.down = True
        guest.vm.events.register_again()
        assert guest.logs[-1][0] is LogLevel.ERROR
        assert "the store is down" in guest.logs[-1][1]
        assert not guest.vm.closed
