"""Whether a proxy may go on alone."""

from mixer.api.ext_proc.lifecycle import Part, State
from mixer.api.ext_proc.modes import Modes
from mixer.engine import HttpExchange, Sees

_OF_REQUEST = Sees.REQUEST_BODY | Sees.REQUEST_TRAILERS
_AFTER_RESPONSE_HEADERS = Sees.RESPONSE_BODY | Sees.RESPONSE_TRAILERS | Sees.LOG


def is_finished(exchange: HttpExchange, modes: Modes, state: State) -> bool:
    """Whether no adapter is to see more of a stream in which nothing waits.

    In full duplex the proxy would lose what it has of a body.
    """
    flow = exchange.request
    if not modes.told or modes.full_duplex or not flow.headers_passed:
        return False
    sees, response = exchange.sees, exchange.response
    if flow.holds or sees & _AFTER_RESPONSE_HEADERS:
        return False
    if Sees.RESPONSE_HEADERS in sees and (response is None or not response.headers_passed):
        return False
    return state.request is Part.ENDED or not sees & _OF_REQUEST
