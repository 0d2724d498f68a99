"""What the parameters of each host call mean, so that a trace can show them.

A shape is a word for each group of parameters. Of one parameter are ``int``, ``signed``, ``wide``
and the enumerations ``map``, ``buffer``, ``stream``, ``level`` and ``metric``; of two, an address
and a size, ``text``, ``pairs`` and ``secret``. What the host writes begins with ``>``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from mixer.proxywasm import (
    Action,
    BufferType,
    LogLevel,
    MapType,
    MetricType,
    Status,
    StreamType,
    deserialize,
)
from mixer.vm import HostFunction, Memory, MemoryAccessError

_LONGEST = 160
_MOST_PAIRS = 24
_SIGN = 1 << 31
_CLUSTER_AND_METHOD = "text text text pairs"

_SHAPES = {
    "log": "level text",
    "get_log_level": ">u32",
    "get_current_time_nanoseconds": ">u64",
    "set_tick_period_milliseconds": "int",
    "get_property": "text >text",
    "set_property": "text text",
    "get_buffer_bytes": "buffer int int >text",
    "get_buffer_status": "buffer >u32 >u32",
    "set_buffer_bytes": "buffer int int text",
    "get_header_map_pairs": "map >pairs",
    "get_header_map_size": "map >u32",
    "get_header_map_value": "map text >text",
    "add_header_map_value": "map text text",
    "replace_header_map_value": "map text text",
    "remove_header_map_value": "map text",
    "set_header_map_pairs": "map pairs",
    "continue_stream": "stream",
    "close_stream": "stream",
    "get_configuration": ">text",
    "get_status": ">u32 >text",
    "send_local_response": "int text text pairs signed",
    "http_call": "text pairs text pairs signed >u32",
    "grpc_call": f"{_CLUSTER_AND_METHOD} text signed >u32",
    "grpc_stream": f"{_CLUSTER_AND_METHOD} >u32",
    "grpc_send": "int text int",
    "grpc_cancel": "int",
    "grpc_close": "int",
    "set_shared_data": "text text int",
    "get_shared_data": "text >text >u32",
    "register_shared_queue": "text >u32",
    "resolve_shared_queue": "text text >u32",
    "enqueue_shared_queue": "int text",
    "dequeue_shared_queue": "int >text",
    "define_metric": "metric text >u32",
    "increment_metric": "int wide",
    "record_metric": "int wide",
    "get_metric": "int >u64",
    "set_effective_context": "int",
    "call_foreign_function": "text text >text",
    "resolve_dns": "text >u32",
    "redis_init": "text text secret int",
    "redis_call": "text text >u32",
    "inject_encoded_data_to_filter_chain": "text int",
    "get_upstream_hosts": ">pairs",
    "set_upstream_override_host": "text",
}

_ENUMERATIONS: dict[str, type[IntEnum]] = {
    "map": MapType,
    "buffer": BufferType,
    "stream": StreamType,
    "level": LogLevel,
    "metric": MetricType,
}
_ACTIONS = (
    "proxy_on_request",
    "proxy_on_response",
    "proxy_on_new",
    "proxy_on_downstream_data",
    "proxy_on_upstream_data",
)
_ANSWERS = ("proxy_on_vm_start", "proxy_on_configure", "proxy_on_done")


def text_of(data: bytes) -> str:
    """Bytes as one quoted line, cut where it gets long."""
    shown = data[:_LONGEST].decode("utf-8", "backslashreplace")
    escaped = shown.encode("unicode_escape").decode() if not shown.isprintable() else shown
    more = f"... ({len(data)} bytes)" if len(data) > _LONGEST else ""
    return f'"{escaped}"{more}'


def _pairs(data: bytes) -> str:
    pairs = deserialize(data)
    shown = ", ".join(f"{text_of(n)}: {text_of(v)}" for n, v in pairs[:_MOST_PAIRS])
    more = f", ... ({len(pairs)} pairs)" if len(pairs) > _MOST_PAIRS else ""
    return f"{{{shown}{more}}}"


def _read(memory: Memory, show: Callable[[bytes], str], pointer: int, size: int) -> str:
    try:
        return show(memory.read(pointer, size))
    except MemoryAccessError:
        return f"{size} bytes at {pointer:#x}, outside of the memory"


def _word(memory: Memory, pointer: int, size: int) -> int | None:
    try:
        return int.from_bytes(memory.read(pointer, size), "little")
    except MemoryAccessError:
        return None


def _enumerated(kind: type[IntEnum], number: int) -> str:
    return kind(number).name if number in set(kind) else str(number)


def name_of(callback: str, result: int) -> str:
    """What a callback returned: an action, a truth value, or nothing."""
    if callback.startswith(_ACTIONS):
        return _enumerated(Action, result)
    return str(bool(result)).lower() if callback in _ANSWERS else ""


@dataclass(frozen=True, slots=True)
class Shape:
    """Shows the calls of one host function.

    Attributes:
        words: See this module.
        has_status: Whether the result is a status of Proxy-Wasm.
    """

    words: tuple[str, ...]
    has_status: bool

    def arguments(self, memory: Memory, args: tuple[int, ...]) -> Iterator[str]:
        """What the module gave."""
        for word, values in self._groups(args):
            if word in _ENUMERATIONS:
                yield _enumerated(_ENUMERATIONS[word], values[0])
            elif word == "signed":
                yield str(values[0] - 2 * _SIGN if values[0] & _SIGN else values[0])
            elif word == "text":
                yield _read(memory, text_of, *values)
            elif word == "pairs":
                yield _read(memory, _pairs, *values)
            elif word == "secret":
                yield f"({values[1]} bytes)"
            elif not word.startswith(">"):
                yield str(values[0])

    def returned(self, memory: Memory, args: tuple[int, ...]) -> Iterator[str]:
        """What the host wrote, after a call that succeeded."""
        for word, values in self._groups(args):
            if word in (">u32", ">u64"):
                number = _word(memory, values[0], 4 if word == ">u32" else 8)
                yield "?" if number is None else str(number)
            elif word.startswith(">"):
                at, size = (_word(memory, pointer, 4) for pointer in values)
                if at is not None and size is not None:
                    yield _read(memory, _pairs if word == ">pairs" else text_of, at, size)

    def _groups(self, args: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
        position = 0
        for word in self.words:
            width = 2 if word in ("text", "pairs", "secret", ">text", ">pairs") else 1
            yield word, args[position : position + width]
            position += width

    def result(self, number: int) -> str:
        """The result as text."""
        return _enumerated(Status, number) if self.has_status else str(number)


def shape_of(function: HostFunction) -> Shape:
    """The shape of a host function; one that has none of its own has numbers."""
    prefix, _, name = function.name.partition("_")
    is_proxy = prefix in ("proxy", "envoy")
    known = _SHAPES.get(name) if is_proxy else None
    words = ["int"] * len(function.signature.params) if known is None else known.split()
    return Shape(tuple(words), is_proxy)
