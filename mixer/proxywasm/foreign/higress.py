"""What Higress's Envoy has beyond others."""

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.foreign.function import ForeignFunction
from mixer.proxywasm.hostcalls.refusal import unimplemented

_U64_BYTES = 8


def get_log_level(context: Context, _arguments: bytes) -> bytes:
    """The level from which on messages are logged, as a u32."""
    return int(context.log_level).to_bytes(4, "little")


def set_max_requests(_context: Context, arguments: bytes) -> Status:
    """``set_global_max_requests_per_io_cycle``: no request waits here for another one's cycle."""
    return Status.OK if len(arguments) == _U64_BYTES else Status.BAD_ARGUMENT


def inject_on_header(context: Context, _arguments: bytes) -> Status:
    """``inject_encoded_data_to_filter_chain_on_header``: nothing here is sent piece by piece."""
    return unimplemented(context, "inject_encoded_data_to_filter_chain_on_header")


FUNCTIONS: dict[str, ForeignFunction] = {
    "get_log_level": get_log_level,
    "set_global_max_requests_per_io_cycle": set_max_requests,
    "inject_encoded_data_to_filter_chain_on_header": inject_on_header,
    "inject_encoded_data_to_filter_chain": inject_on_header,
}
