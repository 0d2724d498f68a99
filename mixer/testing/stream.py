"""One stream through a plugin under test, callback by callback."""

from collections.abc import Callable, Iterable, Mapping

from mixer.attributes import HeaderMap, Value
from mixer.proxywasm import (
    HttpMessage,
    HttpStream,
    LocalResponse,
    Outcome,
    RootContext,
    StreamContext,
    local_reply,
)
from mixer.runner.attributes import attribute_bag
from mixer.runner.messages import TypedSource

Headers = Mapping[str, str] | Iterable[tuple[str, str]]

_DEFAULTS = {":method": "GET", ":path": "/", ":authority": "example.com", ":scheme": "http"}


class Stream:
    """One HTTP stream; made by `Plugin.stream`.

    Each callback returns its outcome, and so does `outcome` afterwards: a stream that waits goes on
    by itself once the module resumes it, from a callout, a tick or another stream. The order of the
    callbacks is the test's; one that Envoy never makes raises LifecycleError. A trap raises
    TrapError, and a header whose name or value is not a str TypeError.

    Attributes:
        outcome: Of the last callback, or what has become of it.
        passed_request_body: What went on of the request's body.
        passed_response_body: What went on of the response's.
    """

    def __init__(self, root: RootContext, properties: Mapping[str, Value]) -> None:
        self._root = root
        self._source = TypedSource(HttpMessage(HeaderMap.of()), properties)
        self._http = HttpStream(self._source.request, attribute_bag(self._source))
        self._context: StreamContext | None = None
        self.outcome: Outcome | None = None
        self.passed_request_body = b""
        self.passed_response_body = b""

    def open(self) -> StreamContext:
        """Create the context, where that did not happen yet."""
        if self._context is None:
            self._context = StreamContext(self._root, self._http)
        return self._context

    @property
    def id(self) -> int:
        """The context's id in its VM."""
        return self.open().id

    @property
    def waits(self) -> bool:
        """Whether the module holds the message back."""
        return self.outcome in (Outcome.PAUSE, Outcome.HOLD)

    @property
    def request(self) -> HttpMessage:
        """The request as it is by now."""
        return self._http.request

    @property
    def response(self) -> HttpMessage | None:
        """The response as it is by now."""
        return self._http.response

    @property
    def local_response(self) -> LocalResponse | None:
        """What the module answered in place of the upstream."""
        return self._http.local_response

    @property
    def properties(self) -> Mapping[bytes, bytes]:
        """What modules set, by path."""
        return self._http.filter_state

    def request_headers(self, headers: Headers = (), *, end_of_stream: bool = True) -> Outcome:
        """Make ``proxy_on_request_headers``; pseudo-headers that are not given have defaults."""
        given = _pairs(headers)
        missing = [pair for pair in _DEFAULTS.items() if pair[0] not in dict(given)]
        self.request.headers.set_all([(n.encode(), v.encode()) for n, v in (*missing, *given)])
        callback = self.open().on_request_headers
        return self._made(callback(end_of_stream=end_of_stream), self.request)

    def request_body(self, data: bytes | str = b"", *, end_of_stream: bool = True) -> Outcome:
        """Make ``proxy_on_request_body`` over a piece."""
        return self._body(self.request, data, self.open().on_request_body, end_of_stream)

    def request_trailers(self, trailers: Headers = ()) -> Outcome:
        """Make ``proxy_on_request_trailers``."""
        return self._trailers(self.request, trailers, self.open().on_request_trailers)

    def request_metadata(self, metadata: Headers) -> Outcome:
        """Make ``proxy_on_request_metadata`` for one block of HTTP/2 METADATA frames.

        The module is told how many names it has. `outcome` stays as it is, unless the module
        answers or closes the stream.
        """
        return self._told(self.open().on_request_metadata, metadata)

    def response_metadata(self, metadata: Headers) -> Outcome:
        """Make ``proxy_on_response_metadata``; see `request_metadata`."""
        return self._told(self.open().on_response_metadata, metadata)

    def response_headers(
        self, headers: Headers = (), *, status: int = 200, end_of_stream: bool = True
    ) -> Outcome:
        """Make ``proxy_on_response_headers``."""
        fields = HeaderMap.of((":status", str(status)), *_pairs(headers))
        return self._respond(HttpMessage(fields), end_of_stream=end_of_stream)

    def response_body(self, data: bytes | str = b"", *, end_of_stream: bool = True) -> Outcome:
        """Make ``proxy_on_response_body`` over a piece."""
        return self._body(self._sent(), data, self.open().on_response_body, end_of_stream)

    def response_trailers(self, trailers: Headers = ()) -> Outcome:
        """Make ``proxy_on_response_trailers``."""
        return self._trailers(self._sent(), trailers, self.open().on_response_trailers)

    def local_reply(self) -> Outcome:
        """Send the module's own answer through its response callbacks, as Envoy does."""
        local = self._http.local_response
        if local is None:
            raise ValueError("the module sent no local response")
        message = local_reply(local)
        body, message.body = message.body, b""
        outcome = self._respond(message, end_of_stream=not body)
        if body and outcome is not Outcome.PAUSE:
            outcome = self.response_body(body)
        return outcome

    def _respond(self, message: HttpMessage, *, end_of_stream: bool) -> Outcome:
        self._http.response = message
        return self._made(self.open().on_response_headers(end_of_stream=end_of_stream), message)

    def _sent(self) -> HttpMessage:
        if self._http.response is None:
            raise ValueError("there is no response yet: call response_headers first")
        return self._http.response

    def _body(
        self, message: HttpMessage, data: bytes | str, callback: Callable[..., Outcome], end: bool
    ) -> Outcome:
        message.body = data.encode() if isinstance(data, str) else data
        message.received += len(message.body)
        return self._made(callback(end_of_stream=end), message)

    def _trailers(
        self, message: HttpMessage, trailers: Headers, callback: Callable[[], Outcome]
    ) -> Outcome:
        message.body, message.trailers = b"", HeaderMap.of(*_pairs(trailers))
        return self._made(callback(), message)

    def _told(self, callback: Callable[[Mapping[str, str]], Outcome], metadata: Headers) -> Outcome:
        told = callback(dict(_pairs(metadata)))
        if told is not Outcome.CONTINUE:
            self.outcome = told
        return told

    def _made(self, outcome: Outcome, message: HttpMessage) -> Outcome:
        """Note what came of a callback, and be there when a pause ends."""
        self.outcome = outcome
        if self.waits:
            self.open().wait(lambda: self._resumed(message))
        else:
            self._pass_on(message)
        return outcome

    def _resumed(self, message: HttpMessage) -> None:
        if self._root.vm.closed:
            self.outcome = Outcome.RESET
        else:
            self._made(self.open().on_resume(), message)

    def _pass_on(self, message: HttpMessage) -> None:
        passed, message.body = message.body, b""
        if message is self.request:
            self.passed_request_body += passed
        else:
            self.passed_response_body += passed

    def close(self) -> None:
        """End the stream: ``proxy_on_log``, ``proxy_on_done`` and ``proxy_on_delete``."""
        self._source.finished = True
        self.open().log_stream()
        self.open().delete()

    def delete(self) -> None:
        """End the stream without its log."""
        self.open().delete()


def _pairs(headers: Headers) -> tuple[tuple[str, str], ...]:
    pairs = tuple(headers.items() if isinstance(headers, Mapping) else headers)
    for name, value in pairs:
        if not (isinstance(name, str) and isinstance(value, str)):
            raise TypeError(f"header {name!r}: {value!r}: names and values must be str")
    return pairs
