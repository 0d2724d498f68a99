"""``mixer.log``: what is told of an entry as one of a log."""

from collections.abc import Mapping
from types import MappingProxyType

from envoy.data.accesslog.v3 import accesslog_pb2

from mixer.api.access_log.source import EntrySource
from mixer.api.lazy_map import LazyMap
from mixer.wire.twins import text_of

_TYPES = {number: name for name, number in accesslog_pb2.AccessLogType.items()}


def _tags(source: EntrySource) -> Mapping[str, str]:
    tags = source.common.custom_tags
    return {text_of(name): text_of(tags[name]) for name in tags}


_READS = MappingProxyType(
    {
        "name": lambda source: source.teller.log_name or None,
        "type": lambda source: _TYPES.get(source.common.access_log_type),
        "stream_id": lambda source: text_of(source.common.stream_id) or None,
        "tags": _tags,
    }
)


def log_of(source: EntrySource) -> LazyMap:
    """Its fields by name."""
    return LazyMap(_READS, source)
