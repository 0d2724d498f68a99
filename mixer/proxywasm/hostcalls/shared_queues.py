"""Shared queues."""

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.refusal import refuse
from mixer.proxywasm.hostcalls.signature import HostCall
from mixer.proxywasm.hostcalls.taking import note_volatile, take
from mixer.state import EnqueueResult, StoreUnavailableError, UnknownQueueError

MAX_NAME_BYTES = 4096
"""Of a queue's name: it is kept for as long as the service runs."""

_REGISTER = "proxy_register_shared_queue"

_FULL = (EnqueueResult.FULL, EnqueueResult.NO_ROOM)

_STATUSES = {
    EnqueueResult.OK: Status.OK,
    EnqueueResult.NOT_FOUND: Status.NOT_FOUND,
    EnqueueResult.DURABLE: Status.OK,
    EnqueueResult.MALFORMED: Status.BAD_ARGUMENT,
}


def register_shared_queue(context: Context, name: int, name_size: int, queue: int) -> int:
    """``proxy_register_shared_queue``: from now on its messages are told to this plugin."""
    context.require_started()
    vm = context.vm
    vm.instance.memory.check(name, name_size)
    if name_size > MAX_NAME_BYTES:
        return refuse(context, _REGISTER, f"a name has over {MAX_NAME_BYTES} bytes")
    text = vm.instance.memory.read(name, name_size)
    note_volatile(context)
    notify = vm.events.notifier(context.root)
    try:
        number = vm.services.shared_queues.register(vm.vm_id, text, notify)
    except StoreUnavailableError:  # the store logs why, once for each outage
        return Status.INTERNAL_FAILURE
    if number is None:
        return refuse(context, _REGISTER, "this vm_id has too many queues")
    vm.events.note_queue(context.root, text)
    vm.instance.memory.write_u32(queue, number)
    return Status.OK


def resolve_shared_queue(
    context: Context, vm_id: int, vm_id_size: int, name: int, name_size: int, queue: int
) -> int:
    """``proxy_resolve_shared_queue``: the id of a queue of any ``vm_id``; empty is one's own."""
    context.require_started()
    vm, memory = context.vm, context.vm.instance.memory
    memory.check(vm_id, vm_id_size)
    memory.check(name, name_size)
    if max(vm_id_size, name_size) > MAX_NAME_BYTES:
        return Status.NOT_FOUND
    owner = memory.read(vm_id, vm_id_size).decode("utf-8", "replace") or vm.vm_id
    text = memory.read(name, name_size)
    note_volatile(context)
    try:
        number = vm.services.shared_queues.resolve(owner, text)
    except StoreUnavailableError:
        return Status.INTERNAL_FAILURE
    if number is None:
        return Status.NOT_FOUND
    vm.instance.memory.write_u32(queue, number)
    return Status.OK


def enqueue_shared_queue(context: Context, queue: int, message: int, size: int) -> int:
    """``proxy_enqueue_shared_queue``: whoever registered the queue last is told, later."""
    context.require_started()
    taken = take(context, message, size)
    if taken is None:
        return Status.INTERNAL_FAILURE
    note_volatile(context)
    try:
        result = context.vm.services.shared_queues.enqueue(queue, *taken)
    except StoreUnavailableError:
        return Status.INTERNAL_FAILURE
    if result is EnqueueResult.NO_ROOM:
        context.note_unrecorded()
    if result in _FULL:
        return refuse(context, "proxy_enqueue_shared_queue", "the queue is full")
    if result is EnqueueResult.DURABLE:
        context.note_recorded()
    return _STATUSES[result]


def dequeue_shared_queue(context: Context, queue: int, data: int, size: int) -> int:
    """``proxy_dequeue_shared_queue``: the oldest message."""
    context.require_started()
    note_volatile(context)
    try:
        message = context.vm.services.shared_queues.dequeue(queue)
    except UnknownQueueError:
        return Status.NOT_FOUND
    except StoreUnavailableError:
        return Status.INTERNAL_FAILURE
    if message is None:
        return Status.EMPTY
    return context.vm.give(message, data, size)


CALLS = (
    HostCall("proxy_register_shared_queue", "iii", register_shared_queue),
    HostCall("proxy_resolve_shared_queue", "iiiii", resolve_shared_queue),
    HostCall("proxy_enqueue_shared_queue", "iii", enqueue_shared_queue),
    HostCall("proxy_dequeue_shared_queue", "iii", dequeue_shared_queue),
)
