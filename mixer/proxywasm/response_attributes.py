"""What the response tells of itself, in every phase since it is there."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from mixer.attributes import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.attributes import Value
    from mixer.proxywasm.http_stream import HttpStream

_UPSTREAM = "via_upstream"


def code_of(stream: HttpStream) -> int | None:
    """The status of the response, where there is one."""
    response = stream.response
    return None if response is None else whole_number(response.headers.first(b":status"))


def _code_details(stream: HttpStream) -> str | None:
    if stream.response is None:
        return None
    local = stream.local_response
    return _UPSTREAM if local is None else local.details


OF_RESPONSE: MappingProxyType[str, Callable[[HttpStream], Value | None]] = MappingProxyType(
    {"code": code_of, "code_details": _code_details}
)
"""``response.*`` by last name."""
