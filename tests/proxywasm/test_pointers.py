"""What a module can do with pointers, contexts and moments that are wrong."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.callouts.ports import GrpcMethod, RedisTarget
from mixer.proxywasm import MetricType, PluginSettings, PluginStartError, ReadSet
from mixer.proxywasm.grpc_stream import OpenStream
from mixer.proxywasm.pairs import serialize
from mixer.vm import I64, HostCallError, TrapError, TrapKind
from tests.support import probe
from tests.support.guest import BYTES, OK, OUTSIDE, WORD, Answer, Call, Guest, Phase, call
from tests.support.probe import FUNCTIONS

INVALID_MEMORY = 6
HEADERS = serialize([(b":method", b"GET"), (b":path", b"/"), (b":authority", b"a")])
FAULT = 21
SIZE = probe.PAGES * probe.PAGE

# For each call: its arguments, and which of them are pointers, each with another size behind it
# (data) or none (a place for a result).
GOOD: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "proxy_log": ((2, 0, 4), (1,)),
    "proxy_get_log_level": ((0,), (0,)),
    "proxy_get_current_time_nanoseconds": ((0,), (0,)),
    "proxy_get_header_map_value": ((0, 0, 4, 8, 16), (1, 3, 4)),
    "proxy_get_header_map_pairs": ((0, 8, 16), (1, 2)),
    "proxy_get_header_map_size": ((0, 8), (1,)),
    "proxy_add_header_map_value": ((0, 0, 4, 8, 4), (1, 3)),
    "proxy_replace_header_map_value": ((0, 0, 4, 8, 4), (1, 3)),
    "proxy_remove_header_map_value": ((0, 0, 4), (1,)),
    "proxy_set_header_map_pairs": ((0, 0, 4), (1,)),
    "proxy_get_buffer_bytes": ((6, 0, 9, 8, 16), (3, 4)),
    "proxy_get_buffer_status": ((6, 8, 16), (1, 2)),
    "proxy_set_buffer_bytes": ((0, 0, 0, 8, 4), (3,)),
    "proxy_get_property": ((0x300, 11, 8, 16), (0, 2, 3)),
    "proxy_set_property": ((0, 4, 8, 4), (0, 2)),
    "proxy_send_local_response": ((200, 0, 1, 8, 1, 16, 1, 0), (1, 3, 5)),
    "proxy_get_configuration": ((8, 16), (0, 1)),
    "proxy_get_status": ((0, 8, 16), (0, 1, 2)),
    "proxy_call_foreign_function": ((0x320, 8, 8, 4, 16, 24), (0, 2, 4, 5)),
    "proxy_get_upstream_hosts": ((8, 16), (0, 1)),
    "proxy_get_shared_data": ((0x310, 4, 8, 16, 24), (0, 2, 3, 4)),
    "proxy_set_shared_data": ((0, 4, 8, 4, 0), (0, 2)),
    "proxy_register_shared_queue": ((0, 4, 8), (0, 2)),
    "proxy_resolve_shared_queue": ((0x310, 4, 0x310, 4, 8), (0, 2, 4)),
    "proxy_enqueue_shared_queue": ((1, 8, 4), (1,)),
    "proxy_dequeue_shared_queue": ((1, 8, 16), (1, 2)),
    "proxy_define_metric": ((0, 0, 4, 8), (1, 3)),
    "proxy_get_metric": ((4, 8), (1,)),
    "proxy_http_call": ((0x310, 4, 0x340, len(HEADERS), 0, 4, 0, 4, 0, 8), (0, 2, 4, 6, 9)),
    "proxy_grpc_call": ((0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 8), (0, 2, 4, 6, 8, 11)),
    "proxy_grpc_stream": ((0, 4, 0, 4, 0, 4, 0, 4, 8), (0, 2, 4, 6, 8)),
    "proxy_grpc_send": ((6, 8, 4, 0), (1,)),
    "proxy_redis_init": ((0x310, 4, 0, 4, 0, 4, 100), (0, 2, 4)),
    "proxy_redis_call": ((0x310, 4, 0, 4, 8), (0, 2, 4)),
    "envoy_resolve_dns": ((0x310, 4, 8), (0, 2)),
}
WASI: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "fd_write": ((1, 0x300, 1, 8), (1, 3)),
    "clock_time_get": ((0, 0, 8), (2,)),
    "clock_res_get": ((0, 8), (1,)),
    "random_get": ((8, 8), (0,)),
    "environ_sizes_get": ((0, 8), (0, 1)),
    "environ_get": ((0, 64), (0, 1)),
    "args_sizes_get": ((0, 8), (0, 1)),
    "poll_oneoff": ((0, 0, 0, 8), (3,)),
    "fd_fdstat_get": ((1, 8), (1,)),
}
BAD = (OUTSIDE, SIZE, SIZE - 1, 2**32 - 1)


def cases(table: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [(n, i, bad) for n, (_, pointers) in table.items() for i in pointers for bad in BAD]


def with_argument(table: dict[str, Any], name: str, index: int, value: int) -> Call:
    arguments = list(table[name][0])
    arguments[index] = value
    return Call(name, tuple(arguments))


def keep(guest: Guest) -> None:
    """Have something of everything that is kept beyond a request, under the name "kept"."""
    services = guest.vm.services
    services.shared_data.set("", b"kept", b"value")
    for vm_id in ("", "kept"):
        services.shared_queues.register(vm_id, b"kept", lambda _queue: None)
    for _ in range(2):
        services.shared_queues.enqueue(1, b"message")
    guest.vm.metrics.define(MetricType.COUNTER, "kept")
    guest.vm.callouts.redis_init(RedisTarget("kept"))
    assert guest.root is not None
    assert OpenStream(guest.root, GrpcMethod(b"kept", "service", "method")).token == 6


def run(one: Call) -> int | None:
    """The status of a call in the body callback, where most is allowed."""
    with Guest(environment={"A": "1"}, configuration=b"vm", settings=None) as guest:
        guest.memory.write(0x300, b"plugin_name\0\0\0\0\0kept".ljust(32, b"\0") + b"compress")
        guest.memory.write(0x340, HEADERS)
        keep(guest)
        with guest.open(headers=[(bytes(4), b"1")], body=b"body") as context:
            guest.answer_with(Phase.REQUEST_HEADERS, 0)
            headers = "header" in one.name
            phase = Phase.REQUEST_HEADERS if headers else Phase.REQUEST_BODY
            guest.script([one], phase)
            if one.name == "fd_write":
                guest.memory.write(0x300, (0x310).to_bytes(4, "little") + bytes([1, 0, 0, 0]))
            context.on_request_headers(end_of_stream=False)
            context.on_request_body(end_of_stream=True)
            (answer,) = guest.answers()
    return answer.status


@pytest.mark.parametrize("name", [*GOOD, *WASI])
def test_good_pointers(name: str) -> None:
    """With pointers into the memory each call does what it is for."""
    table = GOOD if name in GOOD else WASI
    assert run(Call(name, table[name][0])) == OK


@pytest.mark.parametrize(("name", "index", "value"), cases(GOOD))
def test_bad_pointer_in_a_host_call(name: str, index: int, value: int) -> None:
    """A pointer out of bounds has one answer in every host call, and the module goes on."""
    one = with_argument(GOOD, name, index, value)
    inside = value == SIZE - 1 and GOOD[name][0][index + 1 : index + 2] == (1,)
    assert run(one) == (OK if inside else INVALID_MEMORY)


@pytest.mark.parametrize(("name", "index", "value"), cases(WASI))
def test_bad_pointer_in_wasi(name: str, index: int, value: int) -> None:
    """A pointer out of bounds is a fault in every function of WASI, and the module goes on.

    But for the one whose result Envoy does not look after.
    """
    expected = OK if name == "fd_fdstat_get" else FAULT
    assert run(with_argument(WASI, name, index, value)) == expected


def test_every_call_with_pointers_is_tested() -> None:
    """No host function that reads or writes memory is left out of this file."""
    from mixer.proxywasm import UNSUPPORTED
    from mixer.proxywasm.wasi_files import FILES

    without = {
        "proxy_continue_stream", "proxy_close_stream", "proxy_continue_request",
        "proxy_continue_response", "proxy_clear_route_cache", "proxy_set_effective_context",
        "proxy_done", "emscripten_notify_memory_growth", "pthread_equal", "proc_exit",
        "proxy_increment_metric", "proxy_record_metric", "proxy_set_tick_period_milliseconds",
        "args_get", "sched_yield", "fd_pwrite", "proxy_grpc_cancel", "proxy_grpc_close",
    }  # fmt: skip
    assert set(FUNCTIONS) - without - set(GOOD) - set(WASI) == set(UNSUPPORTED) | set(FILES)


GOOD_ARGUMENTS = {name: arguments for name, (arguments, _) in (GOOD | WASI).items()}
_ALLOWED_IN_ALLOCATOR = {
    "proxy_log", "fd_write", "clock_time_get", "poll_oneoff",
    # They have no effect at all, and are not told apart.
    "emscripten_notify_memory_growth", "pthread_equal",
}  # fmt: skip


def params_of(name: str) -> int:
    return len(FUNCTIONS[name].signature.params)


ALLOCATING = {
    "proxy_get_header_map_value": (0, b"x", BYTES),
    "proxy_get_header_map_pairs": (0, BYTES),
    "proxy_get_property": (b"plugin_name", BYTES),
    "proxy_get_buffer_bytes": (6, 0, 9, BYTES),
    "proxy_get_configuration": (BYTES,),
    "proxy_get_shared_data": (b"kept", BYTES, 0x7F00),
    "proxy_dequeue_shared_queue": (1, BYTES),
}


@pytest.mark.parametrize("name", ALLOCATING)
@pytest.mark.parametrize("address", [0, SIZE, SIZE - 1, OUTSIDE, 2**32 - 1])
def test_absurd_allocation(name: str, address: int) -> None:
    """An allocator that answers nothing, or an address without room, is told of bad memory."""
    with Guest(configuration=b"vm") as guest:
        keep(guest)
        guest.force_allocator(address)
        one = call(name, *ALLOCATING[name])
        assert guest.in_headers(one, headers=[(b"x", b"value")]) == [Answer(INVALID_MEMORY)]


def test_allocation_that_grows_the_memory() -> None:
    """A result larger than the memory there was is handed over in the memory that is added."""
    large = bytes(range(256)) * 4096
    with Guest() as guest:
        answers = guest.in_body(
            call("proxy_get_buffer_bytes", 0, 0, 2**32 - 1, BYTES),
            call("proxy_get_buffer_bytes", 0, 1, 2**20, BYTES),
            body=large,
        )
        assert guest.memory.size() > SIZE
    assert answers == [Answer(OK, large), Answer(OK, large[1:])]


@pytest.mark.parametrize("name", ALLOCATING)
def test_allocation_within_an_allocation(name: str) -> None:
    """An allocator that makes a call which allocates is a trap, not a crash of the host."""
    one = call(name, *ALLOCATING[name])
    inner = call(name, *ALLOCATING[name], phase=Phase.ALLOCATE)
    with Guest(configuration=b"vm") as guest:
        keep(guest)
        with pytest.raises(TrapError, match="allocator") as caught:
            guest.in_headers(one, inner, headers=[(b"x", b"value")])
    assert caught.value.kind is TrapKind.HOST_CALL


def within_the_allocator(*calls: Call, abi: str = "0_2_1") -> list[Answer]:
    """Have a host call that allocates, and make these calls in the allocator."""
    with Guest(abi, settings=PluginSettings("probe")) as guest:
        inner = [Call(one.name, one.args, Phase.ALLOCATE) for one in calls]
        return guest.in_headers(call("proxy_get_property", b"plugin_name", BYTES), *inner)


def test_what_the_allocator_may_do() -> None:
    """An allocator may log, read WASI's clock, and poll: nothing else, as in Envoy."""
    answers = within_the_allocator(
        call("proxy_log", 2, b"more memory"),
        call("fd_write", 1, 0, 0, WORD),
        call("clock_time_get", 0, 0, WORD),
        call("poll_oneoff", 0, 0, 0, WORD),
    )
    assert [a.status for a in answers] == [OK] * 5


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - _ALLOWED_IN_ALLOCATOR))
def test_what_the_allocator_may_not_do(name: str) -> None:
    """Every other call in an allocator is a trap that says why."""
    with pytest.raises(TrapError, match="allocator") as caught:
        within_the_allocator(Call(name, GOOD_ARGUMENTS.get(name, (0,) * params_of(name))))
    assert caught.value.kind is TrapKind.HOST_CALL


def test_allocator_of_higress() -> None:
    """Under ABI 0.2.100 an allocator may make any call that does not allocate."""
    answers = within_the_allocator(
        call("proxy_get_current_time_nanoseconds", WORD),
        call("proxy_get_buffer_status", 6, WORD, 0),
        call("random_get", 8, 8),
        abi="0_2_100",
    )
    assert [a.status for a in answers] == [OK] * 4


def test_clock_in_the_allocator_is_a_read() -> None:
    """What an allocator asks the clock counts as read by the request that allocates."""
    reads = ReadSet()
    with Guest() as guest:
        guest.in_headers(
            call("proxy_get_property", b"plugin_name", BYTES),
            call("clock_time_get", 0, 0, WORD, phase=Phase.ALLOCATE),
            reads=reads,
        )
    assert reads.clock


EARLY = {
    "proxy_get_header_map_value": (0, 0, 1, 8, 16),
    "proxy_get_header_map_pairs": (0, 8, 16),
    "proxy_get_header_map_size": (0, 8),
    "proxy_add_header_map_value": (0, 0, 1, 8, 1),
    "proxy_replace_header_map_value": (0, 0, 1, 8, 1),
    "proxy_remove_header_map_value": (0, 0, 1),
    "proxy_set_header_map_pairs": (0, 0, 4),
    "proxy_get_buffer_bytes": (6, 0, 9, 8, 16),
    "proxy_get_buffer_status": (6, 8, 16),
    "proxy_set_buffer_bytes": (0, 0, 0, 8, 1),
    "proxy_get_property": (0, 1, 8, 16),
    "proxy_set_property": (0, 1, 8, 1),
    "proxy_send_local_response": (200, 0, 1, 8, 1, 16, 1, 0),
    "proxy_continue_stream": (0,),
    "proxy_close_stream": (0,),
    "proxy_continue_request": (),
    "proxy_continue_response": (),
    "proxy_get_configuration": (8, 16),
    "proxy_get_shared_data": (0, 1, 8, 16, 24),
    "proxy_set_shared_data": (0, 1, 8, 1, 0),
    "proxy_register_shared_queue": (0, 1, 8),
    "proxy_resolve_shared_queue": (0, 1, 8, 1, 16),
    "proxy_enqueue_shared_queue": (1, 8, 1),
    "proxy_dequeue_shared_queue": (1, 8, 16),
    "proxy_define_metric": (0, 0, 1, 8),
    "proxy_increment_metric": (4, 1),
    "proxy_record_metric": (4, 1),
    "proxy_get_metric": (4, 8),
    "proxy_set_tick_period_milliseconds": (1,),
}


@pytest.mark.parametrize("name", EARLY)
def test_call_before_there_is_a_context(name: str) -> None:
    """In a module's own start code, a call that needs a context is a trap that says so."""
    with pytest.raises(TrapError, match="before proxy_on_context_create") as caught:
        Guest(initialize=[Call(name, EARLY[name])])
    assert caught.value.kind is TrapKind.HOST_CALL


@pytest.mark.parametrize("name", ["proxy_log", *WASI])
def test_call_that_the_start_code_may_make(name: str) -> None:
    """A module's own start code may log and use what WASI offers."""
    table = GOOD if name in GOOD else WASI
    with Guest(initialize=[Call(name, table[name][0])], environment={"A": "1"}) as guest:
        assert guest.events()


PHASES = (
    Phase.INITIALIZE,
    Phase.CONTEXT_CREATE,
    Phase.CONFIGURE,
    Phase.REQUEST_HEADERS,
    Phase.REQUEST_BODY,
    Phase.LOG,
    Phase.DELETE,
    Phase.ALLOCATE,
    Phase.TICK,
    Phase.QUEUE_READY,
)
NUMBERS = st.one_of(
    st.integers(0, 12),
    st.sampled_from([SIZE - 8, SIZE - 1, SIZE, SIZE + 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 8]),
    st.integers(probe.DATA, SIZE),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
)


@st.composite
def wild_calls(draw: st.DrawFn) -> Call:
    """Any host function with any arguments, in any phase."""
    name = draw(st.sampled_from(sorted(FUNCTIONS)))
    return Call(
        name, tuple(draw(NUMBERS) for _ in FUNCTIONS[name].signature.params),
        draw(st.sampled_from(PHASES)),
    )  # fmt: skip


def live(calls: list[Call]) -> None:
    """A whole life of a VM with a stream; may end early, but not by an error of the host's own."""
    options = {"environment": {"A": "1"}, "configuration": b"vm configuration"}
    early = [c for c in calls if c.phase is Phase.INITIALIZE]
    try:
        with Guest(initialize=early, script=calls, start=False, **options) as guest:
            guest.start()
            guest.script(calls, Phase.CONTEXT_CREATE)
            context = guest.stream(headers=[(b":path", b"/"), (b"x", b"1")], body=b"body")
            context.on_request_headers(end_of_stream=False)
            context.on_request_body(end_of_stream=True)
            context.log_stream()
            context.delete()
            guest.time.advance(0.01)
            for failure in guest.failures:
                raise failure
    except (TrapError, PluginStartError) as end:
        if not isinstance(end.__cause__, HostCallError | TrapError | None):
            raise


def test_wild_arguments() -> None:
    """Any arguments to any host function, at any time, can end that VM and nothing else."""
    neighbour = Guest()

    @given(st.lists(wild_calls(), min_size=1, max_size=12))
    @settings(max_examples=300, deadline=None)
    def check(calls: list[Call]) -> None:
        live(calls)
        answers = neighbour.in_headers(call("proxy_get_property", b"plugin_name", BYTES))
        assert answers == [Answer(OK, b"probe")]

    check()
    neighbour.close()


EDGES = (0, 1, SIZE - 1, SIZE, OUTSIDE, 2**32 - 1)


@pytest.mark.parametrize("phase", PHASES, ids=lambda p: p.name)
def test_edges_in_every_host_function(phase: Phase) -> None:
    """The edges of the memory and of the numbers are survived by every function in every phase."""
    for name, function in FUNCTIONS.items():
        count = len(function.signature.params)
        for edge in EDGES:
            wide = [edge << 32 | edge if t is I64 else edge for t in function.signature.params]
            live([Call(name, tuple(wide), phase)])
            live([Call(name, (0,) + (edge,) * (count - 1) if count else (), phase)])
