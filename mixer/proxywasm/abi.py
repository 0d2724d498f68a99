"""The numbers of the Proxy-Wasm ABI.

Source: the Proxy-Wasm specification, https://github.com/proxy-wasm/spec, in its versions 0.1.0 to
0.2.1, and Higress's 0.2.100. Where Envoy departs from it, modules depend on Envoy: so does this.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum


class Status(IntEnum):
    """What a host call returns (``proxy_status_t``)."""

    OK = 0
    NOT_FOUND = 1
    BAD_ARGUMENT = 2
    SERIALIZATION_FAILURE = 3
    PARSE_FAILURE = 4
    INVALID_MEMORY_ACCESS = 6
    EMPTY = 7
    CAS_MISMATCH = 8
    INTERNAL_FAILURE = 10
    UNIMPLEMENTED = 12


class LogLevel(IntEnum):
    """``proxy_log_level_t``."""

    TRACE = 0
    DEBUG = 1
    INFO = 2
    WARN = 3
    ERROR = 4
    CRITICAL = 5


class MapType(IntEnum):
    """``proxy_map_type_t``."""

    HTTP_REQUEST_HEADERS = 0
    HTTP_REQUEST_TRAILERS = 1
    HTTP_RESPONSE_HEADERS = 2
    HTTP_RESPONSE_TRAILERS = 3
    GRPC_CALL_INITIAL_METADATA = 4
    GRPC_CALL_TRAILING_METADATA = 5
    HTTP_CALL_RESPONSE_HEADERS = 6
    HTTP_CALL_RESPONSE_TRAILERS = 7


class BufferType(IntEnum):
    """``proxy_buffer_type_t``; 9 is Higress's."""

    HTTP_REQUEST_BODY = 0
    HTTP_RESPONSE_BODY = 1
    DOWNSTREAM_DATA = 2
    UPSTREAM_DATA = 3
    HTTP_CALL_RESPONSE_BODY = 4
    GRPC_CALL_MESSAGE = 5
    VM_CONFIGURATION = 6
    PLUGIN_CONFIGURATION = 7
    CALL_DATA = 8
    REDIS_CALL_RESPONSE = 9


class StreamType(IntEnum):
    """``proxy_stream_type_t``."""

    HTTP_REQUEST = 0
    HTTP_RESPONSE = 1
    DOWNSTREAM = 2
    UPSTREAM = 3


class Action(IntEnum):
    """What a headers callback returns: Envoy's FilterHeadersStatus."""

    CONTINUE = 0
    STOP_ITERATION = 1
    CONTINUE_AND_END_STREAM = 2
    STOP_ALL_ITERATION_AND_BUFFER = 3
    STOP_ALL_ITERATION_AND_WATERMARK = 4


@dataclass(frozen=True, slots=True)
class _Traits:
    """What a version changes.

    Attributes:
        marker: The export that declares it.
        headers_have_end_of_stream: Whether header callbacks get a third parameter.
        missing_header: The status for a header that is not there.
        native_stop_iteration: Whether a headers callback that stops still lets body callbacks come.
        free_allocator: Whether the allocator may make any host call that does not allocate.
    """

    marker: str
    headers_have_end_of_stream: bool
    missing_header: Status
    native_stop_iteration: bool
    free_allocator: bool = False


class AbiVersion(Enum):
    """The versions of the ABI, and how they differ."""

    V0_1_0 = _Traits("proxy_abi_version_0_1_0", False, Status.OK, False)
    V0_2_0 = _Traits("proxy_abi_version_0_2_0", True, Status.NOT_FOUND, False)
    V0_2_1 = _Traits("proxy_abi_version_0_2_1", True, Status.NOT_FOUND, False)
    V0_2_100 = _Traits("proxy_abi_version_0_2_100", True, Status.NOT_FOUND, True, True)

    @property
    def traits(self) -> _Traits:
        """How this version differs."""
        return self.value

    def __str__(self) -> str:
        return self.traits.marker.removeprefix("proxy_abi_version_").replace("_", ".")
