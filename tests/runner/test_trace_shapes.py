"""How each host call is shown in a trace."""

import pytest

from mixer.proxywasm import host_functions
from mixer.proxywasm.pairs import serialize
from mixer.runner.trace import Trace
from mixer.runner.trace_shapes import name_of, shape_of
from mixer.vm import make_linker
from tests.support.compile import engine
from tests.support.guest import BYTES, WORD, Call, Guest, call

PAIRS = serialize([(b":method", b"GET"), (b":path", b"/"), (b":authority", b"a")])
SHOWN = '{":method": "GET", ":path": "/", ":authority": "a"}'
METHOD = (b"up", b"svc", b"Do", b"", b"hi")

CALLS = {
    "proxy_log": ((2, b"text"), 'INFO, "text") = OK'),
    "proxy_get_log_level": ((WORD,), ") = OK 0"),
    "proxy_get_current_time_nanoseconds": ((WORD,), ") = OK 5"),
    "proxy_set_tick_period_milliseconds": ((1500,), "1500) = OK"),
    "proxy_get_property": ((b"plugin_name", BYTES), '"plugin_name") = OK "probe"'),
    "proxy_set_property": ((b"own", b"value"), '"own", "value") = OK'),
    "proxy_get_buffer_bytes": ((6, 0, 9, BYTES), 'VM_CONFIGURATION, 0, 9) = OK "vm"'),
    "proxy_get_buffer_status": ((6, WORD, WORD), "VM_CONFIGURATION) = OK 2, 0"),
    "proxy_set_buffer_bytes": ((0, 0, 1, b"x"), 'HTTP_REQUEST_BODY, 0, 1, "x") = BAD_ARGUMENT'),
    "proxy_get_header_map_pairs": ((0, BYTES), 'HTTP_REQUEST_HEADERS) = OK {"x": "1"}'),
    "proxy_get_header_map_size": ((0, WORD), "HTTP_REQUEST_HEADERS) = OK 2"),
    "proxy_get_header_map_value": ((0, b"x", BYTES), 'HTTP_REQUEST_HEADERS, "x") = OK "1"'),
    "proxy_add_header_map_value": ((2, b"x", b"1"), 'HTTP_RESPONSE_HEADERS, "x", "1") = BAD_ARG'),
    "proxy_replace_header_map_value": ((0, b"x", b"2"), 'HTTP_REQUEST_HEADERS, "x", "2") = OK'),
    "proxy_remove_header_map_value": ((0, b"x"), 'HTTP_REQUEST_HEADERS, "x") = OK'),
    "proxy_set_header_map_pairs": ((0, PAIRS), f"HTTP_REQUEST_HEADERS, {SHOWN}) = OK"),
    "proxy_continue_stream": ((1,), "HTTP_RESPONSE) = OK"),
    "proxy_close_stream": ((2,), "DOWNSTREAM) = OK"),
    "proxy_get_configuration": ((BYTES,), ') = OK "vm"'),
    "proxy_get_status": ((WORD, BYTES), ') = OK 0, ""'),
    "proxy_send_local_response": (
        (403, b"why", b"no", PAIRS, 2**32 - 1),
        f'403, "why", "no", {SHOWN}, -1) = OK',
    ),
    "proxy_http_call": (
        (b"up", PAIRS, b"hi", b"", 1500, WORD),
        f'"up", {SHOWN}, "hi", {{}}, 1500) = OK 4',
    ),
    "proxy_grpc_call": ((*METHOD, 1500, WORD), '"up", "svc", "Do", {}, "hi", 1500) = OK 5'),
    "proxy_grpc_stream": ((*METHOD[:4], WORD), '"up", "svc", "Do", {}) = OK 6'),
    "proxy_grpc_send": ((6, b"hi", 1), '6, "hi", 1) = NOT_FOUND'),
    "proxy_grpc_cancel": ((6,), "6) = NOT_FOUND"),
    "proxy_grpc_close": ((6,), "6) = NOT_FOUND"),
    "proxy_set_shared_data": ((b"k", b"v", 0), '"k", "v", 0) = OK'),
    "proxy_get_shared_data": ((b"k", BYTES, WORD), '"k") = NOT_FOUND'),
    "proxy_register_shared_queue": ((b"q", WORD), '"q") = OK 1'),
    "proxy_resolve_shared_queue": ((b"vm", b"q", WORD), '"vm", "q") = NOT_FOUND'),
    "proxy_enqueue_shared_queue": ((9, b"m"), '9, "m") = NOT_FOUND'),
    "proxy_dequeue_shared_queue": ((9, BYTES), "9) = NOT_FOUND"),
    "proxy_define_metric": ((1, b"m", WORD), 'GAUGE, "m") = OK 5'),
    "proxy_increment_metric": ((99, 2), "99, 2) = BAD_ARGUMENT"),
    "proxy_record_metric": ((99, 2), "99, 2) = NOT_FOUND"),
    "proxy_get_metric": ((99, WORD), "99) = BAD_ARGUMENT"),
    "proxy_set_effective_context": ((99,), "99) = BAD_ARGUMENT"),
    "proxy_call_foreign_function": ((b"absent", b"a", BYTES), '"absent", "a") = NOT_FOUND'),
    "proxy_redis_init": (
        (b"up", b"me", b"hidden", 100),
        '"up", "me", (6 bytes), 100) = OK',
    ),
    "proxy_redis_call": ((b"up", b"PING", WORD), '"up", "PING") = BAD_ARGUMENT'),
    "envoy_resolve_dns": ((b"up", WORD), '"up") = OK 2'),
    "proxy_inject_encoded_data_to_filter_chain": ((b"a", 1), '"a", 1) = UNIMPLEMENTED'),
    "proxy_get_upstream_hosts": ((BYTES,), ") = OK {}"),
    "proxy_set_upstream_override_host": ((b"h",), '"h") = UNIMPLEMENTED'),
}


def shown(one: Call) -> str:
    """The line of a call that is made with the headers of a request."""
    trace = Trace()
    using = make_linker(engine(), trace.functions(host_functions()))
    services = {"wall_clock": lambda: 5}
    with Guest(configuration=b"vm", using=using, services=services) as guest:
        guest.in_headers(one, headers=[(b"x", b"1")])
    using.close()
    [line] = [line for line in trace.lines if line.name == one.name]
    return str(line)


@pytest.mark.parametrize("name", CALLS)
def test_what_a_call_says(name: str) -> None:
    """Names for numbers, texts for pointers, pairs as pairs, and what came back."""
    arguments, expected = CALLS[name]
    assert f"{name}({expected}" in shown(call(name, *arguments))


def test_every_call_is_told_in_words() -> None:
    """No call of the ABI with parameters is left out."""
    told = {f.name for f in host_functions() if f.module == "env" and f.signature.params}
    assert told - {"emscripten_notify_memory_growth", "pthread_equal"} == set(CALLS)


def test_wasi_has_error_numbers() -> None:
    """Calls of WASI are shown as numbers, the error's included."""
    assert "clock_res_get(99, " in shown(call("clock_res_get", 99, WORD))
    function = next(f for f in host_functions() if f.name == "clock_res_get")
    assert shape_of(function).result(28) == "28"


@pytest.mark.parametrize(
    ("callback", "result", "name"),
    [
        ("proxy_on_request_headers", 4, "STOP_ALL_ITERATION_AND_WATERMARK"),
        ("proxy_on_response_metadata", 0, "CONTINUE"),
        ("proxy_on_new_connection", 1, "STOP_ITERATION"),
        ("proxy_on_upstream_data", 7, "7"),
        ("proxy_on_downstream_connection_close", 0, ""),
        ("proxy_on_configure", 1, "true"),
        ("proxy_on_tick", 0, ""),
    ],
)
def test_what_a_callback_returns(callback: str, result: int, name: str) -> None:
    """An action, a truth value, or nothing."""
    assert name_of(callback, result) == name
