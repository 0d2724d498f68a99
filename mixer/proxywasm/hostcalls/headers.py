"""Header maps."""

from mixer.attributes import HeaderMap
from mixer.proxywasm.abi import MapType, Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.signature import HostCall
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
        return Status.BAD_ARGUMENT
    found = headers.first(name)
    if context.reads is not None:
        context.reads.headers[kind, name] = found
    if found is None:
        vm.give(b"", value, value_size)
        return vm.abi.traits.missing_header
    return vm.give(found, value, value_size)


def get_header_map_pairs(context: Context, map_type: int, data: int, size: int) -> int:
    """``proxy_get_header_map_pairs``: the whole map; nothing where there is none."""
    if map_type > _MAX_MAP:
        return Status.BAD_ARGUMENT
    headers = context.header_map(_MAPS[map_type])
    if headers is None:
        return context.vm.give(b"", data, size)
    _read_whole(context, map_type)
    return context.vm.give(serialize(headers.pairs()), data, size)


def get_header_map_size(context: Context, map_type: int, size: int) -> int:
    """``proxy_get_header_map_size``: the bytes of names and values."""
    headers = context.header_map(_MAPS[map_type]) if map_type <= _MAX_MAP else None
    if headers is None:
        return Status.BAD_ARGUMENT
    _read_whole(context, map_type)
    context.vm.instance.memory.write_u32(size, headers.byte_size())
    return Status.OK


def _read_whole(context: Context, map_type: int) -> None:
    if context.reads is not None:
        context.reads.whole_maps.add(_MAPS[map_type])


def add_header_map_value(
    context: Context, map_type: int, key: int, key_size: int, value: int, value_size: int
) -> int:
    """``proxy_add_header_map_value``."""
    memory = context.vm.instance.memory
    name, content = memory.read(key, key_size), memory.read(value, value_size)
    headers = _writable(context, map_type)
    if headers is None:
        return Status.BAD_ARGUMENT
    headers.add(name, content)
    return Status.OK


def replace_header_map_value(
    context: Context, map_type: int, key: int, key_size: int, value: int, value_size: int
) -> int:
    """``proxy_replace_header_map_value``."""
    memory = context.vm.instance.memory
    name, content = memory.read(key, key_size), memory.read(value, value_size)
    headers = _writable(context, map_type)
    if headers is None:
        return Status.BAD_ARGUMENT
    headers.replace(name, content)
    return Status.OK


def remove_header_map_value(context: Context, map_type: int, key: int, key_size: int) -> int:
    """``proxy_remove_header_map_value``; a missing header is fine."""
    name = context.vm.instance.memory.read(key, key_size)
    headers = _writable(context, map_type)
    if headers is None:
        return Status.BAD_ARGUMENT
    headers.remove(name)
    return Status.OK


def set_header_map_pairs(context: Context, map_type: int, data: int, size: int) -> int:
    """``proxy_set_header_map_pairs``: replaces the whole map."""
    pairs = deserialize(context.vm.instance.memory.read(data, size))
    headers = _writable(context, map_type)
    if headers is None:
        return Status.BAD_ARGUMENT
    headers.set_all(pairs)
    return Status.OK


def _writable(context: Context, map_type: int) -> HeaderMap | None:
    return context.writable_header_map(_MAPS[map_type]) if map_type <= _MAX_MAP else None


CALLS = (
    HostCall("proxy_get_header_map_value", "iiiii", get_header_map_value),
    HostCall("proxy_get_header_map_pairs", "iii", get_header_map_pairs),
    HostCall("proxy_get_header_map_size", "ii", get_header_map_size),
    HostCall("proxy_add_header_map_value", "iiiii", add_header_map_value),
    HostCall("proxy_replace_header_map_value", "iiiii", replace_header_map_value),
    HostCall("proxy_remove_header_map_value", "iii", remove_header_map_value),
    HostCall("proxy_set_header_map_pairs", "iii", set_header_map_pairs),
)
