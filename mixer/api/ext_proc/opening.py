"""What the first message of a stream tells."""

from typing import Any, NamedTuple

from mixer.api.ext_proc.attributes import RESOLVERS, StreamSource
from mixer.api.ext_proc.modes import Modes, read_modes
from mixer.attributes import AttributeBag, FindCaller, HeaderMap
from mixer.engine import Request


class Opening(NamedTuple):
    """How a stream begins.

    Attributes:
        modes: What the filter sends.
        source: Of the attributes; later messages add to them.
        request: For the engine.
    """

    modes: Modes
    source: StreamSource
    request: Request


def read_opening(whole: Any, headers: HeaderMap, caller: FindCaller) -> Opening:
    """Read the first message.

    Args:
        whole: ``ProcessingRequest``.
        headers: Of the request.
        caller: Tells who sent it.

    Raises:
        ProtocolError: A mode is not supported.
    """
    source = StreamSource(headers, caller, whole.metadata_context)
    source.add(whole.attributes)
    bag = AttributeBag(RESOLVERS, source)
    return Opening(read_modes(whole), source, Request(headers, bag, headers_are_complete=False))
