"""Every host call with good and bad arguments: a row for each, from which the cases are made."""

from collections.abc import Iterator
from dataclasses import dataclass

from mixer.proxywasm.pairs import serialize
from tests.differential.sweep import BAD, RESULT, SECOND, SIZE, THIRD, Entry

WORDS, BYTES = "words", "bytes"
_ALL_BITS = 0xFFFF_FFFF


@dataclass(frozen=True)
class Span:
    """Bytes that the module hands over: an address and a size; perhaps never empty ones."""

    data: bytes
    may_be_empty: bool = True


@dataclass(frozen=True)
class Out:
    """Where the host writes a result of so many bytes."""

    at: int
    size: int = 4


@dataclass(frozen=True)
class Any:
    """A number that takes each of these values; the first is the good one."""

    values: tuple[int, ...]


Argument = int | bytes | Span | Out | Any
HANDED = (Out(RESULT), Out(SECOND))
WORD = (Out(RESULT),)
WIDE = (Out(RESULT, 8),)


@dataclass(frozen=True)
class Row:
    """One host function, with arguments that make sense.

    Attributes:
        call: Its name.
        args: Its arguments.
        shows: See `Entry`.
    """

    call: str
    args: tuple[Argument, ...]
    shows: str = ""

    def entries(self) -> Iterator[Entry]:
        """The good call, then each argument in turn with every bad value."""
        good = [self._good(argument) for argument in self.args]
        yield self._entry(good)
        for index, argument in enumerate(self.args):
            for bad in _bad(argument):
                yield self._entry([*good[:index], bad, *good[index + 1 :]])

    @staticmethod
    def _good(argument: Argument) -> tuple[int | bytes, ...]:
        match argument:
            case Span(data, _):
                return (data,)
            case Out(at, _):
                return (at,)
            case Any(values):
                return (values[0],)
            case _:
                return (argument,)

    def _entry(self, parts: list[tuple[int | bytes, ...]]) -> Entry:
        return Entry(self.call, tuple(a for part in parts for a in part), self.shows)


def _bad(argument: Argument) -> Iterator[tuple[int | bytes, ...]]:
    match argument:
        case Span(data, may_be_empty):
            size = len(data)
            yield (BAD, size)
            yield (SIZE - size, size)
            yield (SIZE - size + 1, size)
            yield (0x100, _ALL_BITS)
            yield (_ALL_BITS, 1)
            yield from ((b"",), (BAD, 0), (SIZE, 0), (SIZE + 1, 0)) if may_be_empty else ()
        case Out(_, size):
            yield (BAD,)
            yield (SIZE - size,)
            yield (SIZE - size + 1,)
            yield (_ALL_BITS,)
        case Any(values):
            yield from ((value,) for value in values[1:])
        case _:
            return


def maps(first: int = 0) -> Any:
    return Any((first, *(n for n in range(10) if n != first), _ALL_BITS))


def buffers(first: int = 0) -> Any:
    return Any((first, *(n for n in _BUFFERS if n != first), _ALL_BITS))


_SIZES = (0xFFFF_FFFF, 0, 1, 3, 4, 5, 0x7FFF_FFFF)
_REQUEST = serialize(
    [
        (b":authority", b"a"), (b":path", b"/"), (b":method", b"POST"), (b":scheme", b"http"),
        (b"x-forwarded-proto", b"http"), (b"x-set", b"1"),
    ]
)  # fmt: skip
_RESPONSE = serialize([(b":status", b"200"), (b"x-set", b"1")])

_MALFORMED = (b"\1", b"\1\0\0\0", b"junk" * 9)
_VALUE = "proxy_get_header_map_value"
_PLACES = ((0, 0), (0, 1), (0, 3), (1, 1), (3, 0), (99, 0), (_ALL_BITS, 1), (0, _ALL_BITS))
_STARTS = Any((0, 1, 4, 5, 6, _ALL_BITS))
_METRICS = Any((4, 5, 6, 7, 8, 400, 401, 402, 403, _ALL_BITS))
_BUFFERS = tuple(n for n in range(11) if n not in {8, 9})
"""Without 8, which is another one in Envoy, and 9, which is Higress's."""

LOGS = (
    Row("proxy_log", (Any((0, 1, 2, 3, 4, 5, 6, 7, _ALL_BITS)), Span(b"a line"))),
    Row("proxy_get_current_time_nanoseconds", WIDE),
    Row("proxy_set_tick_period_milliseconds", (0,)),
)
HEADERS = (
    *(Row(_VALUE, (maps(m), Span(b"x-one"), *HANDED), BYTES) for m in (0, 1, 2, 3)),
    *(Row("proxy_get_header_map_pairs", (Any((m,)), *HANDED)) for m in (0, 1)),
    *(Row("proxy_get_header_map_pairs", (Any((m,)), *HANDED), BYTES) for m in (3, 4, 5, 6, 7, 8)),
    *(Row("proxy_get_header_map_size", (maps(m), *WORD)) for m in (0, 2)),
    *(
        Row(call, (maps(m), Span(b"x-one"), Span(b"new")))
        for call in ("proxy_add_header_map_value", "proxy_replace_header_map_value")
        for m in (1, 2, 3, 0)
    ),
    *(Row(_VALUE, (m, Span(b"X-One"), *HANDED), BYTES) for m in (0, 1, 2, 3)),
    *(Row("proxy_remove_header_map_value", (maps(m), Span(b"x-one"))) for m in (0, 1, 2, 3)),
    *(Row(_VALUE, (m, Span(b"x-one"), *HANDED), BYTES) for m in (0, 1, 2, 3)),
    Row("proxy_set_header_map_pairs", (Any((4, 5, 6, 7, 8, _ALL_BITS)), Span(_RESPONSE))),
    Row("proxy_set_header_map_pairs", (1, Span(serialize([(b"X-One", b"again")])))),
    Row("proxy_set_header_map_pairs", (3, Span(serialize([(b"x-one", b"again")])))),
    *(
        Row("proxy_set_header_map_pairs", (m, Span(pairs)))
        for m, serialized in ((1, _MALFORMED), (3, _MALFORMED), (0, (_REQUEST,)), (2, (_RESPONSE,)))
        for pairs in serialized
    ),
    Row("proxy_set_header_map_pairs", (0, _REQUEST)),
    Row("proxy_set_header_map_pairs", (2, _RESPONSE)),
    *(Row(_VALUE, (m, Span(b"x-set"), *HANDED), BYTES) for m in (0, 1, 2, 3)),
)  # fmt: skip
BUFFERS = (
    *(
        Row("proxy_get_buffer_bytes", (buffers(b), _STARTS, Any(_SIZES), *HANDED), BYTES)
        for b in (0, 1, 2, 3, 6, 7)
    ),
    *(Row("proxy_get_buffer_status", (buffers(b), *HANDED), WORDS) for b in (0, 1, 6)),
    *(
        Row("proxy_set_buffer_bytes", (buffers(b), start, size, Span(b"new")))
        for b in (0, 1, 2, 3, 6, 7)
        for start, size in _PLACES
    ),
    *(Row("proxy_get_buffer_bytes", (b, 0, 99, *HANDED), BYTES) for b in (0, 1)),
)  # fmt: skip
SHARED = (
    Row("proxy_set_shared_data", (Span(b"k"), Span(b"value"), 0)),
    Row("proxy_get_shared_data", (Span(b"k"), *HANDED, Out(THIRD)), ""),
    Row("proxy_get_shared_data", (b"absent", *HANDED, Out(THIRD)), WORDS),
    Row("proxy_set_shared_data", (Span(b"k"), b"value", Any((_ALL_BITS, 0)))),
    Row("proxy_register_shared_queue", (Span(b"queue"), *WORD)),
    Row("proxy_resolve_shared_queue", (Span(b""), Span(b"queue"), *WORD)),
    Row("proxy_resolve_shared_queue", (Span(b"other"), Span(b"queue"), *WORD)),
    Row("proxy_enqueue_shared_queue", (Any((1, 0, 99, _ALL_BITS)), Span(b"message"))),
    # One that is there is shared with the VMs of Envoy's other threads, which run at the same time.
    Row("proxy_dequeue_shared_queue", (Any((99, 0, _ALL_BITS)), *HANDED)),
)
METRICS = (
    Row("proxy_define_metric", (Any((0, 1, 2, 3, _ALL_BITS)), Span(b"metric"), *WORD), WORDS),
    Row("proxy_increment_metric", (_METRICS, Any((1, 0, -1)))),
    Row("proxy_record_metric", (_METRICS, Any((1, 0)))),
    Row("proxy_get_metric", (_METRICS, *WIDE)),
)  # fmt: skip
CONTEXTS = (
    Row("proxy_get_status", (Out(RESULT), Out(SECOND), Out(THIRD)), WORDS),
    Row("proxy_done", ()),
    Row("proxy_set_effective_context", (Any((99, _ALL_BITS, 1)),)),
    Row("proxy_get_header_map_value", (0, Span(b"x-one"), *HANDED), BYTES),
    Row("proxy_set_effective_context", (0,)),
    Row("proxy_get_header_map_value", (0, Span(b"x-set"), *HANDED), BYTES),
)
_CALL = serialize([(b":method", b"GET"), (b":path", b"/"), (b":authority", b"a")])
_SERVICE = Span(b"absent", may_be_empty=False)  # an empty one ends Envoy itself
_EMPTY = Span(bytes(4))
_METHOD = (Span(b"s"), Span(b"m"), _EMPTY)
_TOKENS = Any((0, 1, 2, 3, 4, 5, 6, 7, _ALL_BITS))
CALLOUTS = (
    Row(
        "proxy_http_call",
        (
            Span(b"absent"),
            Span(_CALL),
            Span(b"body"),
            Span(bytes(4)),
            Any((5, 0, _ALL_BITS)),
            *WORD,
        ),
        WORDS,
    ),
    Row(
        "proxy_grpc_call",
        (_SERVICE, *_METHOD, Span(b"body"), Any((5, 0)), RESULT),
        WORDS,
    ),
    Row("proxy_grpc_stream", (_SERVICE, *_METHOD, RESULT), WORDS),
    Row("proxy_grpc_send", (_TOKENS, Span(b"message"), Any((0, 1)))),
    Row("proxy_grpc_cancel", (_TOKENS,)),
    Row("proxy_grpc_close", (_TOKENS,)),
)
_PROPERTY = "proxy_get_property"
_PATHS = (
    b"plugin_name", b"request\0method", b"request\0path", b"request\0headers\0x-one",
    b"request\0headers\0x-set", b"response\0code", b"response\0headers\0x-one",
    b"response\0trailers\0x-one", b"filter_state\0wasm.own", b"own", b"absent", b"request\0absent",
    b"request\0method\0", b"\0", b"plugin_name\0x", b"own\0x",
)  # fmt: skip
PROPERTIES = (
    Row(_PROPERTY, (Span(b"plugin_root_id"), *HANDED), BYTES),
    Row("proxy_set_property", (Span(b"own"), Span(b"value"))),
    *(Row(_PROPERTY, (path, *HANDED), BYTES) for path in _PATHS),
    Row(_PROPERTY, (Span(b"request\0scheme"), *HANDED), BYTES),
)
_FOREIGN = "proxy_call_foreign_function"
FOREIGN = (
    Row(_FOREIGN, (Span(b"compress"), Span(b"a text, a text"), *HANDED), BYTES),
    Row(_FOREIGN, (b"uncompress", Span(b"no zlib"), *HANDED), WORDS),
    Row(_FOREIGN, (b"expr_create", Span(b"1 + 1"), *HANDED), BYTES),
    Row(_FOREIGN, (b"expr_evaluate", Span(bytes(4)), *HANDED), BYTES),
    Row(_FOREIGN, (b"expr_evaluate", Span(b"\xff" * 4), *HANDED), WORDS),
    Row(_FOREIGN, (b"clear_route_cache", Span(b""), *HANDED), WORDS),
    Row(_FOREIGN, (Span(b"absent"), Span(b""), 0, 0), WORDS),
)
ROWS = (
    *LOGS, *HEADERS, *BUFFERS, *SHARED, *METRICS, *CALLOUTS, *PROPERTIES, *FOREIGN, *CONTEXTS,
)  # fmt: skip
"""What every version of the ABI has."""

SINCE_0_2_1 = (Row("proxy_get_log_level", WORD, WORDS),)
OF_0_1 = (Row("proxy_get_configuration", HANDED, BYTES), Row("proxy_clear_route_cache", ()))

WASI = (
    Row("fd_write", (Any((1, 2, 0, 3, _ALL_BITS)), 0x300, Any((0, 1, 2)), *WORD), WORDS),
    Row("clock_time_get", (Any((0, 1, 2, 3, _ALL_BITS)), 0, *WIDE)),
    Row("clock_res_get", (Any((0, 1, 2, 3, _ALL_BITS)), *WIDE), WORDS),
    Row(
        "random_get",
        (Any((0x13_0000, BAD, SIZE, SIZE - 8, SIZE - 7)), Any((8, 0, 65_536, 65_537, _ALL_BITS))),
    ),
    Row("environ_sizes_get", (*HANDED,), WORDS),
    Row("environ_get", (*HANDED,), WORDS),
    Row("args_sizes_get", (*HANDED,), WORDS),
    Row("args_get", (*HANDED,), WORDS),
    Row("poll_oneoff", (0, 0, Any((0, 1)), *WORD), WORDS),
    Row("sched_yield", ()),
    Row("fd_fdstat_get", (Any((1, 2, 0, 3)), Out(RESULT, 24)), WORDS),
    Row("fd_fdstat_set_flags", (Any((1, 0, 3)), 0)),
    Row("fd_fdstat_set_rights", (Any((1, 0, 3)), 0, 0)),
    Row("fd_read", (Any((0, 1, 3)), 0x300, 0, *WORD), WORDS),
    Row("fd_pread", (Any((0, 1, 3)), 0x300, 0, 0, *WORD), WORDS),
    Row("fd_pwrite", (Any((1, 0, 3)), 0x300, 0, 0, *WORD), WORDS),
    Row("fd_seek", (Any((1, 0, 3)), 0, 0, *WIDE), WORDS),
    Row("fd_tell", (Any((1, 0, 3)), *WIDE), WORDS),
    Row("fd_close", (Any((1, 0, 3)),)),
    Row("fd_sync", (Any((1, 0, 3)),)),
    Row("fd_datasync", (Any((1, 0, 3)),)),
    Row("fd_advise", (Any((1, 0, 3)), 0, 0, 0)),
    Row("fd_allocate", (Any((1, 0, 3)), 0, 0)),
    Row("fd_filestat_get", (Any((1, 0, 3)), *WIDE), WORDS),
    Row("fd_filestat_set_size", (Any((1, 0, 3)), 0)),
    Row("fd_filestat_set_times", (Any((1, 0, 3)), 0, 0, 0)),
    Row("fd_prestat_get", (Any((1, 0, 3)), *WIDE), WORDS),
    Row("fd_prestat_dir_name", (Any((1, 0, 3)), 0x300, 8)),
    Row("fd_readdir", (Any((1, 0, 3)), 0x300, 8, 0, *WORD), WORDS),
    Row("fd_renumber", (Any((1, 0, 3)), 1)),
    Row("path_open", (3, 0, Span(b"file"), 0, 0, 0, 0, *WORD), WORDS),
    Row("path_create_directory", (3, Span(b"file"))),
    Row("path_filestat_get", (3, 0, Span(b"file"), *WIDE), WORDS),
    Row("path_filestat_set_times", (3, 0, Span(b"file"), 0, 0, 0)),
    Row("path_readlink", (3, Span(b"file"), 0x300, 8, *WORD), WORDS),
    Row("path_rename", (3, Span(b"file"), 3, Span(b"other"))),
    Row("path_remove_directory", (3, Span(b"file"))),
    Row("path_unlink_file", (3, Span(b"file"))),
    Row("sock_accept", (3, 0, *WORD), WORDS),
    Row("sock_recv", (3, 0x300, 0, 0, *HANDED), WORDS),
    Row("sock_send", (3, 0x300, 0, 0, *WORD), WORDS),
    Row("sock_shutdown", (3, 0)),
    Row("proc_exit", (0,)),
)  # fmt: skip
