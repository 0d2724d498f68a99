"""Where a status of Envoy makes SDKs end the module, and what the lenient answer is.

The Rust SDK panics on each status that it does not list for a call, which is a trap: a module that
looks at a header in the wrong phase takes its VM with it. By default a module gets what Envoy
answers, so that it fails here as it would there.
"""

from dataclasses import dataclass
from enum import StrEnum

from mixer.proxywasm.abi import Status


class Compat(StrEnum):
    """Which answers a plugin gets where Envoy and SDKs do not agree."""

    ENVOY = "envoy"
    LENIENT = "lenient"


@dataclass(frozen=True, slots=True)
class Departure:
    """One such place.

    Attributes:
        calls: Host calls, without ``proxy_``.
        when: When they are answered so.
        envoy: What Envoy answers.
        lenient: What SDKs take; where it is OK, nothing happens.
    """

    calls: tuple[str, ...]
    when: str
    envoy: Status
    lenient: Status


READ_ABSENT_MAP = Departure(
    ("get_header_map_value",),
    "the map is not there in this phase",
    Status.BAD_ARGUMENT,
    Status.NOT_FOUND,
)
CHANGE_ABSENT_MAP = Departure(
    (
        "add_header_map_value",
        "replace_header_map_value",
        "remove_header_map_value",
        "set_header_map_pairs",
    ),
    "the map is not there in this phase, or cannot be changed",
    Status.BAD_ARGUMENT,
    Status.OK,
)
CHANGE_ABSENT_BUFFER = Departure(
    ("set_buffer_bytes",),
    "the buffer is that of a call's response or the plugin's configuration, and not there",
    Status.NOT_FOUND,
    Status.OK,
)
CHANGE_READ_ONLY_BUFFER = Departure(
    ("set_buffer_bytes",),
    "another buffer that is not there in this phase, or cannot be changed",
    Status.BAD_ARGUMENT,
    Status.OK,
)
SET_PROPERTY_OUTSIDE_STREAM = Departure(
    ("set_property",), "the context is no stream", Status.NOT_FOUND, Status.OK
)
CONTINUE_UPSTREAM = Departure(
    ("continue_stream",), "the stream is 3, Upstream", Status.UNIMPLEMENTED, Status.OK
)
UNKNOWN_CONTEXT = Departure(
    ("set_effective_context",),
    "there is no such context, such as for a stream that is deleted",
    Status.BAD_ARGUMENT,
    Status.OK,
)
NOT_PENDING = Departure(("done",), "the context is not waited for", Status.NOT_FOUND, Status.OK)

ALL = (
    READ_ABSENT_MAP,
    CHANGE_ABSENT_MAP,
    CHANGE_ABSENT_BUFFER,
    CHANGE_READ_ONLY_BUFFER,
    SET_PROPERTY_OUTSIDE_STREAM,
    CONTINUE_UPSTREAM,
    UNKNOWN_CONTEXT,
    NOT_PENDING,
)
"""Every place, as the reference lists them."""
