"""What rules make of a stream's headers once those have come through the adapters."""

from mixer.attributes import HeaderMap
from mixer.engine.decision import HeaderOperation
from mixer.engine.response_headers import response_headers
from mixer.engine.rules.rules import Rules, change
from mixer.proxywasm import HttpStream


class Ruling:
    """Applies the rules once to a request, and once to its response.

    Args:
        rules: Of the configuration; None where there are none.
        stream: The stream.
    """

    __slots__ = ("_of_response", "_request_done", "_response_done", "_rules", "_stream")

    def __init__(self, rules: Rules | None, stream: HttpStream) -> None:
        self._rules = rules
        self._stream = stream
        self._of_response: tuple[HeaderOperation, ...] = ()
        self._request_done = self._response_done = False

    def request(self, headers: HeaderMap) -> None:
        """The request's headers have come through."""
        if not self._request_done:
            self._request_done = True
            if self._rules is not None:
                applied = self._rules.apply(headers, self._stream.attributes)
                self._of_response = applied.response

    def response(self, headers: HeaderMap) -> None:
        """Those of the response have."""
        if not self._response_done:
            self._response_done = True
            change(headers, self.response_operations)

    @property
    def response_operations(self) -> tuple[HeaderOperation, ...]:
        """What adapters and rules said beforehand of the response's headers."""
        said = self._stream.filter_state
        return (response_headers(said) if said else ()) + self._of_response
