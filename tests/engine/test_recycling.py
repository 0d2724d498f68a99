"""VMs that are replaced though they work."""

import logging

import pytest

from mixer.engine import AdapterState, Verdict
from mixer.engine.restart import BASE_DELAY
from mixer.engine.retirement import MAX_LATE_S
from mixer.engine.shared_vm import MAX_RETIRED
from mixer.proxywasm import Services, WasmVm
from tests.engine.conftest import Plugins
from tests.engine.test_adapters import OneAdapter
from tests.engine.test_pending import FakeCallouts
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.guarded import MIB
from tests.support.guest import http_stream

AGED = {"max-vm-age": "10s"}
ENDING = adapter(
    do.when("x-rebuild", do.set_property("wasm_need_rebuild", "true")),
    do.when("x-other", do.set_property("wasm_need_rebuild", "false")),
    do.when("x-fill", do.fill),
    do.when("x-call", do.callout("auth")),
    configure=[
        do.register_queue("q"),
        do.when_shared("refuse", do.log("not now", 4), do.answer(0)),
    ],
    queue_ready=[do.log("told")],
    done=[do.log("done")],
    delete=[do.log("delete")],
)


class Aging(OneAdapter):
    """One adapter in a world whose clocks all are moved by `pass_time`."""

    def __init__(self, plugins: Plugins, annotations: dict[str, str], text: str = ENDING) -> None:
        self.callouts = FakeCallouts()
        self.services = Services(callouts=self.callouts)
        super().__init__(plugins, text, annotations, self.services)

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.now += 1
            self.services.scheduler.advance(1)  # type: ignore[attr-defined]

    def ask(self, *names: str) -> None:
        """A stream with these headers, from its begin to its end."""
        context = self.adapter.open(http_stream([(n.encode(), b"1") for n in names]))
        context.on_request_headers(end_of_stream=True)
        context.delete()

    @property
    def vm(self) -> WasmVm:
        """The VM for the next stream."""
        context = self.adapter.open(http_stream())
        context.delete()
        return context.vm

    def refuse(self) -> None:
        """Have starts fail from now on."""
        self.services.shared_data.set("", b"refuse", b"1")


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "mixer.adapter.a"]


def test_a_vm_that_is_old(plugins: Plugins, caplog: pytest.LogCaptureFixture) -> None:
    """After its age it is replaced, without a stream that fails, and its plugin is ended."""
    caplog.set_level(logging.INFO)
    one = Aging(plugins, AGED)
    first = one.vm
    one.pass_time(9)
    assert one.vm is first
    caplog.clear()
    one.pass_time(2)
    assert logged(caplog) == ["done", "delete"]
    assert "a new VM takes over: the old one is 10 s old" in caplog.text
    assert first.closed
    second = one.vm
    assert (second.closed, one.adapter.stats.starts, one.changes) == (
        False, 2, [AdapterState.READY]
    )  # fmt: skip
    one.pass_time(11)
    assert one.vm is not second
    one.adapter.close()


def test_a_vm_that_has_grown(plugins: Plugins, caplog: pytest.LogCaptureFixture) -> None:
    """It is replaced once it has the memory that is the bound, not before."""
    caplog.set_level(logging.INFO)
    one = Aging(plugins, {"max-vm-memory": "1Mi"})
    first = one.vm
    one.pass_time(5)
    assert one.vm is first
    one.ask("x-fill")
    assert one.adapter.memory_bytes == MIB
    one.pass_time(1)
    assert one.vm is not first
    assert "a new VM takes over: the old one has 1.0 MiB of memory" in caplog.text
    assert one.adapter.memory_bytes < MIB
    one.adapter.close()


def test_a_vm_that_asks_for_it(plugins: Plugins) -> None:
    """Higress's ``wasm_need_rebuild`` gives the next stream a new VM."""
    one = Aging(plugins, {})
    first = one.vm
    one.ask("x-other")
    assert one.vm is first
    one.ask("x-rebuild")
    assert not first.trap
    assert one.vm is not first
    assert first.closed
    assert one.adapter.stats.starts == 2
    one.adapter.close()


def test_asking_without_end_does_not_start_without_end(plugins: Plugins) -> None:
    """A module that asks at each stream gets a new VM when the share of starts allows it."""
    one = Aging(plugins, {})
    one.owner.restart.started(one.clock.now, 0.5)
    first = one.vm
    for _ in range(10):
        one.ask("x-rebuild")
    assert one.vm is first
    assert one.adapter.stats.starts == 1
    one.pass_time(6)
    assert one.vm is not first
    assert one.adapter.stats.starts == 2
    one.adapter.close()


def test_streams_go_on_in_the_old_vm(plugins: Plugins, caplog: pytest.LogCaptureFixture) -> None:
    """An open stream keeps its VM until it is deleted; new ones have the new VM."""
    caplog.set_level(logging.INFO)
    one = Aging(plugins, AGED)
    old = one.adapter.open(http_stream())
    one.pass_time(11)
    new = one.adapter.open(http_stream())
    assert old.vm is not new.vm
    caplog.clear()
    old.on_request_headers(end_of_stream=True)
    assert not old.vm.closed
    old.delete()
    assert logged(caplog) == ["done", "delete", "done", "delete"]
    assert old.vm.closed
    new.on_request_headers(end_of_stream=True)
    new.delete()
    one.adapter.close()


def test_callouts_go_on_in_the_old_vm(plugins: Plugins) -> None:
    """It lives until its last callout is answered as well."""
    one = Aging(plugins, AGED)
    first = one.vm
    one.ask("x-call")
    one.pass_time(11)
    assert one.vm is not first
    assert not first.closed
    one.callouts.http_calls[0].respond()
    assert first.closed
    one.adapter.close()


def test_callouts_without_an_end_do_not_keep_old_vms(plugins: Plugins) -> None:
    """Old VMs whose callouts are not answered are few, and end after a while all the same."""
    one = Aging(plugins, {})
    vms = set()
    for _ in range(4 * MAX_RETIRED):
        one.ask("x-call", "x-rebuild")
        one.pass_time(1)
        vms.add(one.vm)
    assert sum(not vm.closed for vm in vms) <= MAX_RETIRED + 1
    one.pass_time(int(MAX_LATE_S) + 2)
    vms.add(last := one.vm)  # what was asked for all the time
    one.pass_time(int(MAX_LATE_S) + 2)
    assert {vm for vm in vms if not vm.closed} == {last}
    one.adapter.close()


def test_streams_of_old_vms_keep_a_new_one_back(plugins: Plugins) -> None:
    """No stream is dropped for the bound: the VM is replaced once an old one has ended."""
    one = Aging(plugins, {})
    streams = []
    for _ in range(MAX_RETIRED):
        streams.append(one.adapter.open(http_stream()))
        one.ask("x-rebuild")
        one.pass_time(1)
    last = one.vm
    one.ask("x-rebuild")
    one.pass_time(5)
    assert one.vm is last
    streams.pop().delete()
    one.pass_time(5)
    assert one.vm is not last
    for stream in streams:
        assert not stream.vm.closed
        stream.delete()
    one.adapter.close()


def test_who_asks_again_and_again_waits_once(plugins: Plugins) -> None:
    """A module that asks at each stream while it must wait leaves one timer, none at its end."""
    one = Aging(plugins, {})
    one.owner.restart.started(one.clock.now, 0.5)
    before = len(one.services.scheduler._waiting)  # type: ignore[attr-defined]
    for _ in range(10):
        one.ask("x-rebuild")
    assert len(one.services.scheduler._waiting) == before + 1  # type: ignore[attr-defined]
    one.adapter.close()
    assert one.services.scheduler.next_due() is None  # type: ignore[attr-defined]


def test_a_trap_in_the_old_vm(plugins: Plugins) -> None:
    """It ends the old VM, and nothing else."""
    text = adapter(do.when("x-trap", do.trap))
    one = Aging(plugins, AGED, text)
    old = one.adapter.open(http_stream([(b"x-trap", b"1")]))
    one.pass_time(11)
    new = one.vm
    from mixer.vm import TrapError

    with pytest.raises(TrapError) as caught:
        old.on_request_headers(end_of_stream=True)
    failure = one.adapter.crashed(caught.value)
    assert (failure.reason, old.vm.closed) == ("trap_unreachable", True)
    assert (one.vm, one.adapter.state) == (new, AdapterState.READY)
    assert one.changes == [AdapterState.READY]
    one.adapter.close()


def test_a_replacement_that_does_not_start(
    plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """The old VM stays, with its queues, and another is tried later and later."""
    caplog.set_level(logging.INFO)
    one = Aging(plugins, AGED)
    first = one.vm
    one.refuse()
    one.pass_time(10)
    assert "another does not start: the module refused its configuration: not now" in caplog.text
    assert (one.vm, one.adapter.state) == (first, AdapterState.READY)
    tries = caplog.text.count("another does not start")
    assert tries == 1
    one.pass_time(20)
    assert caplog.text.count("another does not start") in range(3, 8)
    one.services.shared_queues.enqueue(1, b"m")
    one.services.scheduler.advance()  # type: ignore[attr-defined]
    assert "told" in logged(caplog)
    one.adapter.close()


def test_queues_follow_the_new_vm(plugins: Plugins, caplog: pytest.LogCaptureFixture) -> None:
    """Messages are told once, to the VM that registered last, though the old one still lives."""
    caplog.set_level(logging.INFO)
    one = Aging(plugins, AGED)
    old = one.adapter.open(http_stream())
    one.pass_time(11)
    one.services.shared_queues.enqueue(1, b"m")
    one.services.scheduler.advance()  # type: ignore[attr-defined]
    assert logged(caplog) == ["told"]
    old.delete()
    one.adapter.close()


def test_an_end_that_is_put_off_in_the_old_vm(plugins: Plugins) -> None:
    """A plugin of the old VM may put its end off, for a bounded time."""
    one = Aging(plugins, AGED, adapter(done=[do.answer(0)]))
    first = one.vm
    one.pass_time(11)
    assert one.vm is not first
    assert not first.closed
    one.pass_time(5)
    assert first.closed
    one.adapter.close()


def test_the_engine_ends_while_an_end_is_put_off(
    plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """A plugin that is asked for its end already is not asked again, and is waited for."""
    caplog.set_level(logging.INFO)
    one = Aging(plugins, AGED, adapter(done=[do.log("done"), do.answer(0)]))
    one.pass_time(10)
    one.pass_time(1)
    assert logged(caplog) == ["done"]
    ended: list[int] = []
    one.owner.shut_down(lambda: ended.append(1))
    assert logged(caplog) == ["done", "done"]
    one.pass_time(4)
    assert ended == []
    one.pass_time(2)
    assert ended == [1]


def test_a_request_that_asks_does_not_fail_with_the_replacement(plugins: Plugins) -> None:
    """Where the module asks for a VM that does not start, the next stream has the old one."""
    one = Aging(plugins, {})
    first = one.vm
    one.refuse()
    one.ask("x-rebuild")
    assert one.vm is first
    one.clock.now += BASE_DELAY
    assert one.vm is first
    assert one.adapter.stats.failures == 0
    one.adapter.close()


def test_it_is_no_failure_for_requests(plugins: Plugins) -> None:
    """In the engine a request with the property is answered as any other, and so is the next."""
    from mixer.engine import Engine
    from tests.engine.conftest import request

    with Engine(plugins.configuration(plugins.plugin("a", ENDING))) as engine:
        for headers in ([("x-rebuild", "1")], []):
            assert engine.decide(request(*headers)).verdict is Verdict.ALLOW
