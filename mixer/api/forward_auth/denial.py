"""The answer for the client where a request may not go on."""

from mixer.api.forward_auth.safety import FRAMING, checked
from mixer.api.http import HttpAnswer
from mixer.attributes import Pair
from mixer.engine import Response

_MIN_STATUS, _MAX_STATUS = 200, 599
_UNUSABLE_STATUS = 500

VERDICT = b"x-mixer-verdict"
"""Says to HAProxy whether a request passes."""

STATUS = b"x-mixer-status"
"""Says to nginx which status the client is to get."""

_NOT_OF_ADAPTERS = FRAMING | {VERDICT, STATUS}


def status_of(response: Response) -> int:
    """Its status, or 500 for one that no response has."""
    return response.status if _MIN_STATUS <= response.status <= _MAX_STATUS else _UNUSABLE_STATUS


def headers_of(response: Response) -> tuple[Pair, ...]:
    """Its headers, without those that say where it ends, and those that the service says itself.

    Raises:
        InexpressibleError: One may not be sent.
    """
    pairs = ((name.lower(), value) for name, value in response.headers)
    return tuple(checked(*pair) for pair in pairs if pair[0] not in _NOT_OF_ADAPTERS)


def denied(response: Response, *more: Pair) -> HttpAnswer:
    """The response as it is.

    Raises:
        InexpressibleError: A header may not be sent.
    """
    return HttpAnswer(status_of(response), (*headers_of(response), *more), response.body)
