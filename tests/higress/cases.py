"""What is sent through a plugin, what comes of it, and what should."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Fields = tuple[tuple[str, str], ...]
"""Header fields, names in lower case."""

AUTHORITY = "gateway.test"
"""The host that every request names."""

JSON = (("content-type", "application/json"),)
SSE = (("content-type", "text/event-stream"),)


@dataclass(frozen=True)
class Request:
    """A request.

    Attributes:
        path: With its query.
        headers: Beyond the pseudo-headers and the length.
        body: Empty for a request without one.
        method: None for GET, or POST where there is a body.
        properties: Attributes beyond those of the headers, which no client can send.
        stored: What plugins before this one have stored with the stream; JSON.
        trailers: What ends a chunked body, or None.
    """

    path: str = "/"
    headers: Fields = ()
    body: bytes = b""
    method: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    stored: Mapping[str, Any] = field(default_factory=dict)
    trailers: Fields | None = None

    @property
    def fields(self) -> Fields:
        """All header fields but the pseudo-headers."""
        if self.trailers is not None:
            return (*self.headers, ("transfer-encoding", "chunked"))
        length = (("content-length", str(len(self.body))),) if self.body else ()
        return (*self.headers, *length)

    @property
    def verb(self) -> str:
        """The method."""
        return self.method or ("POST" if self.body else "GET")


@dataclass(frozen=True)
class Response:
    """What the upstream answers: with a content-length if its body is of one piece."""

    pieces: tuple[bytes, ...] = (b"hello",)
    headers: Fields = (("content-type", "text/plain"),)
    status: int = 200

    @property
    def fields(self) -> Fields:
        """All header fields."""
        if len(self.pieces) > 1:
            return (*self.headers, ("transfer-encoding", "chunked"))
        return (*self.headers, ("content-length", str(sum(map(len, self.pieces)))))


@dataclass(frozen=True)
class Upstream:
    """The request as the upstream got it.

    Attributes:
        path: With its query.
        headers: The authority as ``host``, and those beyond the pseudo-headers.
        body: The whole of it.
    """

    path: str
    headers: Fields
    body: bytes


@dataclass
class Seen:
    """What came of a request.

    Attributes:
        ending: ``response``, ``pause`` or ``reset``.
        status: Of the response that the client got.
        headers: Of that response.
        body: Of that response.
        upstream: None if the request did not get there.
        properties: What plugins stored with the stream; only known outside of Envoy.
    """

    ending: str
    status: int = 0
    headers: Fields = ()
    body: bytes = b""
    upstream: Upstream | None = None
    properties: Mapping[str, bytes] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def comparable(self) -> "Seen":
        """Without what is not the plugin's: framing, order of headers, times and their order."""
        upstream = self.upstream
        if upstream is not None:
            body = timeless(upstream.body)
            upstream = Upstream(upstream.path, _unframed(upstream.headers), body)
        headers = _unframed(self.headers)
        body = timeless(self.body)
        return Seen(self.ending, self.status, headers, body, upstream, lines=self.lines)


def _unframed(headers: Fields) -> Fields:
    return tuple(sorted(pair for pair in headers if pair[0] != "transfer-encoding"))


Wanted = Mapping[str, str | Sequence[str] | None]
"""Header values by name; None for a header that must not be there."""


@dataclass(frozen=True)
class Expected:
    """What a plugin's documentation says comes of a request; None where it says nothing.

    Attributes:
        status: Of the response.
        headers: Of the response.
        body: Of the response; a tuple is that of its events, and another value that is no bytes
            that of its JSON. Measured times are 0.
        reaches: Whether the request reaches the upstream.
        path: At the upstream.
        sent: Header fields at the upstream.
        sent_body: Body at the upstream, as `body`.
        properties: Stored with the stream; JSON like `body`.
    """

    status: int = 200
    headers: Wanted = field(default_factory=dict)
    body: Any = None
    reaches: bool = True
    path: str | None = None
    sent: Wanted = field(default_factory=dict)
    sent_body: Any = None
    properties: Mapping[str, Any] = field(default_factory=dict)

    def check(self, seen: Seen) -> None:
        """Raise AssertionError where something else came of it."""
        assert (seen.ending, seen.status) == ("response", self.status), seen
        _check_headers(seen.headers, self.headers)
        _check_body(seen.body, self.body)
        assert (seen.upstream is not None) == self.reaches
        if seen.upstream is not None:
            assert self.path in (None, seen.upstream.path)
            _check_headers(seen.upstream.headers, self.sent)
            _check_body(seen.upstream.body, self.sent_body)
        for name, value in self.properties.items():
            _check_body(_unescaped(seen.properties[name]), value)


def refused(status: int, body: Any = None, headers: Wanted | None = None) -> Expected:
    """The plugin answers in the upstream's place."""
    return Expected(status, headers or {}, body, reaches=False)


def _check_headers(headers: Fields, wanted: Wanted) -> None:
    for name, value in wanted.items():
        values = [v for n, v in headers if n == name]
        expected = [] if value is None else [value] if isinstance(value, str) else list(value)
        assert values == expected, (name, headers)


def _check_body(body: bytes, wanted: Any) -> None:
    if isinstance(wanted, bytes):
        assert body == wanted
    elif isinstance(wanted, tuple):
        data = re.findall(rb"^data: ({.*)$", timeless(body), flags=re.MULTILINE)
        assert [json.loads(one) for one in data] == list(wanted)
    elif wanted is not None:
        assert json.loads(timeless(body)) == wanted


def _unescaped(value: bytes) -> bytes:
    """A log field, which Higress writes between quotes, as the JSON that it is."""
    if not value.startswith(b'{\\"'):
        return value
    return str(json.loads(b'"%b"' % value)).encode()


_TIMES = (
    rb'"(time_to_first_token_ms|time_per_output_token_ms|tokens_per_second'
    rb'|llm_service_duration|llm_first_token_duration|created)": ?[\d.e+]+'
)
_ZEROES = rb'"\w+":0(,"\w+":0)+'


def timeless(body: bytes) -> bytes:
    """The body with 0 for every time that a plugin measured."""
    body = re.sub(_TIMES, rb'"\1":0', body)
    return re.sub(_ZEROES, lambda run: b",".join(sorted(run[0].split(b","))), body)


@dataclass(frozen=True)
class Step:
    """One request of a case."""

    request: Request
    expected: Expected
    response: Response = Response()


@dataclass(frozen=True)
class Case:
    """Requests, one after the other, through one plugin.

    Attributes:
        plugin: Its folder in the package, or another name of a module.
        configuration: Of the plugin: text, or JSON.
        steps: The requests.
        differs: Why the outcome in a stock Envoy is another, or empty.
        answer: What HTTP callouts are answered.
        ends: The line that a stream's log ends with, if what is logged counts.
        events: Lines that are logged outside of streams, at any time.
    """

    plugin: str
    configuration: Mapping[str, Any] | str
    steps: tuple[Step, ...]
    differs: str = ""
    answer: Response | None = None
    ends: str = ""
    events: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """The configuration as the plugin gets it."""
        given = self.configuration
        return given if isinstance(given, str) else json.dumps(given)
