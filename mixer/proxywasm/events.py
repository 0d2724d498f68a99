"""What enters a VM without a request: ticks, and the messages of shared queues.

Each is one call from the scheduler, so that it never happens within a callback, and requests go on
in between. A VM that traps in one is closed, and whoever owns it is told.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mixer.proxywasm.abi import LogLevel
from mixer.state import StoreUnavailableError
from mixer.vm import TrapError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.proxywasm.contexts import RootContext
    from mixer.proxywasm.scheduling import Cancel
    from mixer.proxywasm.wasm_vm import WasmVm
    from mixer.vm import GuestFunction

_SHORT_NS = 200_000

MAX_WAITING = 65_536
"""Notifications of queues that wait for one VM; a message more is not told."""


class Events:
    """The events of one VM.

    Attributes:
        dropped: Notifications that a bound kept back.
    """

    def __init__(self, vm: WasmVm) -> None:
        self._vm = vm
        self._ticks: dict[int, _Tick] = {}
        self._mail: deque[tuple[RootContext, int]] = deque()
        self._queues: dict[bytes, RootContext] = {}
        self._closed = False
        self._listens = False
        self._rests_until = 0
        self._asked: set[int] = set()
        self.dropped = 0

    @property
    def used(self) -> bool:
        """Whether a plugin ever asked for ticks or the messages of a queue."""
        return bool(self._asked)

    def asked_by(self, root: RootContext) -> bool:
        """Whether this one did."""
        return root.id in self._asked

    def rest(self, nanoseconds: int) -> None:
        """Let requests have as much time as an event took: it all happens in one thread."""
        self._rests_until = self._vm.services.monotonic_clock() + nanoseconds

    def rest_left(self) -> float:
        """Seconds until the next event may be; none for events that take no time to speak of."""
        left = self._rests_until - self._vm.services.monotonic_clock()
        return left / 1e9 if left > _SHORT_NS else 0.0

    def set_tick_period(self, root: RootContext, milliseconds: int) -> None:
        """Call ``proxy_on_tick`` of a plugin time and again; 0 ends it at once."""
        if tick := self._ticks.pop(root.id, None):
            tick.stop()
        if milliseconds and not self._closed:
            self._asked.add(root.id)
            self._ticks[root.id] = _Tick(self._vm, root, milliseconds / 1000)

    def note_queue(self, root: RootContext, name: bytes) -> None:
        """Remember which plugin registered a queue of this ``vm_id`` last."""
        self._asked.add(root.id)
        self._queues[name] = root

    def register_again(self) -> None:
        """Take the queues back from a VM that was to replace this one and did not start."""
        queues = self._vm.services.shared_queues
        try:
            for name, root in self._queues.items():
                queues.register(self._vm.vm_id, name, self.notifier(root))
        except StoreUnavailableError as error:
            self._vm.log(LogLevel.ERROR, f"this VM is not told of its queues any more: {error}")

    def notifier(self, root: RootContext) -> Callable[[int], None]:
        """What has ``proxy_on_queue_ready`` of a plugin called for a queue, later."""
        self._listens = True
        return lambda queue: self._post(root, queue)

    @property
    def expected(self) -> bool:
        """Whether there may be any: a tick is set, or a queue registered."""
        return self._listens or bool(self._ticks)

    def _post(self, root: RootContext, queue: int) -> None:
        if self._closed:
            return
        if len(self._mail) >= MAX_WAITING:
            self._drop()
            return
        self._mail.append((root, queue))
        if len(self._mail) == 1:
            self._vm.services.scheduler.defer(self._deliver)

    def _drop(self) -> None:
        if not self.dropped:
            self._vm.log(LogLevel.WARN, f"over {MAX_WAITING} notifications of queues wait: dropped")
        self.dropped += 1
        if self._vm.notification_lost is not None:
            self._vm.notification_lost()

    def _deliver(self) -> None:
        """Tell one message: what else the loop has to do comes before the next one."""
        if self._closed:
            return
        if left := self.rest_left():
            self._vm.services.scheduler.schedule(left, self._deliver)
            return
        root, queue = self._mail[0]
        if root.id in self._vm.contexts:  # not ended meanwhile
            _enter(self._vm, root, self._vm.callbacks.on_queue_ready, root.id, queue)
        if self._mail:  # not closed; what came in meanwhile found it not empty
            self._mail.popleft()
        if self._mail:
            self._vm.services.scheduler.defer(self._deliver)

    def close(self) -> None:
        """Deliver nothing any more."""
        self._closed = True
        self._mail.clear()
        for tick in self._ticks.values():
            tick.stop()
        self._ticks.clear()


class _Tick:
    """One period of one plugin; a new period is a new one of these."""

    def __init__(self, vm: WasmVm, root: RootContext, period: float) -> None:
        self._vm = vm
        self._root = root
        self._period = period
        self._stopped = False
        self._cancel: Cancel = vm.services.scheduler.schedule(period, self._fire)

    def _fire(self) -> None:
        """Call, then wait anew: ticks neither overlap nor catch up."""
        events, scheduler = self._vm.events, self._vm.services.scheduler
        if left := events.rest_left():  # also for a period that was set within a long callback
            self._cancel = scheduler.schedule(left, self._fire)
            return
        _enter(self._vm, self._root, self._vm.callbacks.on_tick, self._root.id)
        if not self._stopped:
            self._cancel = scheduler.schedule(max(self._period, events.rest_left()), self._fire)

    def stop(self) -> None:
        """Never call again."""
        self._stopped = True
        self._cancel()


def _enter(vm: WasmVm, root: RootContext, callback: GuestFunction, *args: int) -> None:
    """Make a callback that nobody waits for; a trap closes the VM and is told."""
    clock = vm.services.monotonic_clock
    began = clock()
    try:
        vm.call(root, callback, *args)
        vm.events.rest(clock() - began)
    except TrapError as trap:
        vm.close()
        vm.services.failed(trap)
    else:
        if vm.retired:
            vm.release()
