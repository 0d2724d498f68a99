"""Header maps."""

from collections.abc import Callable

from mixer.attributes import HeaderMap
from mixer.proxywasm.abi import MapType, Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.departures import CHANGE_ABSENT_MAP
from mixer.proxywasm.hostcalls.signature import HostCall
from mixer.proxywasm.hostcalls.taking import take
from mixer.proxywasm.pairs import deserialize, serialize

_MAPS = tuple(MapType)  # by number: indexing costs a tenth of calling the enumeration
_MAX_MAP = len(_MAPS) - 1


def get_header_map_value(
    context: Context, map_type: int, key: int, key_size: int, value: int, value_size: int
) -> int:
    """``proxy_get_header_map_value``: the first value under a name."""
    if map_type > _MAX_MAP:
        return Status.BAD_ARGUMENT
    vm = context.vm
    name = vm.instance.memory.read(key, key_size).lower()
    kind = _MAPS[map_type]
    headers = context.header_map(kind)
    if headers is None:
        return _absent(context, context.absent_map(), value, value_size)
    found = headers.first(name)
    if context.reads is not None:
        context.reads.saw_header(kind, name, found)
    if found is None:
        return _absent(context, vm.abi.traits.missing_header, value, value_size)
    return vm.give(found, value, value_size)


def _absent(context: Context, status: Status, value: int, value_size: int) -> Status:
    """In ABI 0.1 a header that is not there is empty."""
    return context.vm.give(b"", value, value_size) if status is Status.OK else status


def get_header_map_pairs(context: Context, map_type: int, data: int, size: int) -> int:
    """``proxy_get_header_map_pairs``: the whole map; nothing where it has none."""
    if map_type > _MAX_MAP:
        return Status.BAD_ARGUMENT
    headers = context.header_map(_MAPS[map_type])
    if headers is None:
        return context.vm.give(b"", data, size)
    _read_whole(context, map_type)
    pairs = headers.pairs()
    return context.vm.give(serialize(pairs) if pairs else b"", data, size)


def get_header_map_size(context: Context, map_type: int, size: int) -> int:
    """``proxy_get_header_map_size``: the bytes of names and values."""
    if map_type > _MAX_MAP:
        return Status.BAD_ARGUMENT
    headers = context.writable_header_map(_MAPS[map_type])  # this read asks for write access
    if headers is None:
        return Status.BAD_ARGUMENT
    _read_whole(context, map_type)
    context.vm.instance.memory.write_u32(size, headers.byte_size())
    return Status.OK


def _read_whole(context: Context, map_type: int) -> None:
    if context.reads is not None:
        context.reads.saw_map(_MAPS[map_type])


def add_header_map_value(
    context: Context, map_type: int, key: int, key_size: int, value: int, value_size: int
) -> int:
    """``proxy_add_header_map_value``."""
    return _change(context, map_type, HeaderMap.add, key, key_size, value, value_size)


def replace_header_map_value(
    context: Context, map_type: int, key: int, key_size: int, value: int, value_size: int
) -> int:
    """``proxy_replace_header_map_value``."""
    return _change(context, map_type, HeaderMap.replace, key, key_size, value, value_size)


def remove_header_map_value(context: Context, map_type: int, key: int, key_size: int) -> int:
    """``proxy_remove_header_map_value``; a missing header is fine."""
    return _change(context, map_type, HeaderMap.remove, key, key_size)


def set_header_map_pairs(context: Context, map_type: int, data: int, size: int) -> int:
    """``proxy_set_header_map_pairs``: replaces the whole map."""
    return _change(context, map_type, _set_all, data, size)


def _set_all(headers: HeaderMap, data: bytes) -> None:
    headers.set_all(deserialize(data))


def _change(context: Context, map_type: int, change: Callable[..., None], *spans: int) -> Status:
    if map_type > _MAX_MAP:
        return Status.BAD_ARGUMENT
    taken = take(context, *spans)
    headers = context.writable_header_map(_MAPS[map_type])
    if headers is None:
        return context.departs(CHANGE_ABSENT_MAP)
    if taken is None:
        return Status.INTERNAL_FAILURE
    if context.reads is not None:
        name = None if change is _set_all else taken[0].lower()
        context.reads.changed_header(_MAPS[map_type], name)
    change(headers, *taken)
    return Status.OK


CALLS = (
    HostCall("proxy_get_header_map_value", "iiiii", get_header_map_value),
    HostCall("proxy_get_header_map_pairs", "iii", get_header_map_pairs),
    HostCall("proxy_get_header_map_size", "ii", get_header_map_size),
    HostCall("proxy_add_header_map_value", "iiiii", add_header_map_value),
    HostCall("proxy_replace_header_map_value", "iiiii", replace_header_map_value),
    HostCall("proxy_remove_header_map_value", "iii", remove_header_map_value),
    HostCall("proxy_set_header_map_pairs", "iii", set_header_map_pairs),
)
