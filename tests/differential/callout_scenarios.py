"""Callouts that go well and badly, over HTTP/1.1 and HTTP/2."""

from collections.abc import Callable

from h2.connection import H2Connection
from h2.errors import ErrorCodes

from mixer.callouts.ports import HttpCall, Pair, Pairs
from tests.differential.callout_exchange import Scenario
from tests.support.callout_upstream import Http1, Http2

GET: Pairs = ((b":method", b"GET"), (b":path", b"/p"), (b":authority", b"up.example"))
POST: Pairs = ((b":method", b"POST"), *GET[1:])
HEAD: Pairs = ((b":method", b"HEAD"), *GET[1:])
MIB = 1 << 20
Step = Callable[[H2Connection, int], None]


def _call(
    headers: Pairs = GET, body: bytes = b"", trailers: Pairs = (), timeout: float | None = 10.0
) -> HttpCall:
    return HttpCall("", headers, body, trailers, timeout)


def _http1(
    *pieces: bytes, ending: str = "keep", call: HttpCall | None = None, **options: object
) -> Scenario:
    return Scenario(call or _call(), Http1(pieces, ending), **options)  # type: ignore[arg-type]


def _head(*lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join((b"HTTP/1.1 " + status, *lines, b"", b""))


_CHUNKED = _head(b"transfer-encoding: chunked")
_HI = _head(b"content-length: 2") + b"hi"


def _asks(*more: Pair, base: Pairs = GET, body: bytes = b"") -> Scenario:
    return _http1(_HI, call=_call((*base, *more), body))


def _with(**pseudo: bytes) -> Scenario:
    headers = tuple((name, pseudo.get(name[1:].decode(), value)) for name, value in GET)
    return _http1(_HI, call=_call(headers))


RESPONSES_1 = {
    "ok": _http1(_HI),
    "headers": _http1(
        _head(
            b"Content-Length: 2", b"Set-Cookie: a=1", b"set-cookie: b=2", b"X-Upper: Vv",
            b"Connection: keep-alive, X-Hop", b"X-Hop: 1", b"Keep-Alive: timeout=5",
            b"TE: trailers", b"Proxy-Connection: a", b"Upgrade: foo", b"server: s", b"date: d",
            b"x-empty:", b"x-sp:  a  b ", b"x-bytes: \xe4\xff", b"x-fold: a\r\n b",
        ) + b"hi"
    ),
    "chunked": _http1(
        _head(b"Transfer-Encoding: chunked", b"Trailer: x-t") + b"2\r\nhi\r\n",
        b"3\r\nabc\r\n0\r\nX-T: 1\r\nX-T: 2\r\n\r\n",
    ),
    "until-the-end": _http1(_head(b"x-a: 1") + b"hello", ending="close"),
    "http10": _http1(b"HTTP/1.0 200 OK\r\n\r\nhello", ending="close"),
    "204": _http1(_head(status=b"204 No Content")),
    "304": _http1(_head(b"content-length: 7", status=b"304 Not Modified")),
    "999": _http1(_head(b"content-length: 0", status=b"999 X")),
    "head": _http1(_head(b"content-length: 7"), call=_call(HEAD)),
    "100": _http1(_head(status=b"100 Continue"), _HI),
    "103": _http1(_head(b"link: x", status=b"103 Early"), _HI),
    "more-than-asked": _http1(_HI + b"more"),
    "100-headers": _http1(_head(*(b"x%d: a" % i for i in range(99)), b"content-length: 0")),
    "large-head": _http1(_head(b"x: " + b"a" * 70_000, b"content-length: 0")),
    "large-body": _http1(_head(b"content-length: %d" % (32 * MIB)), b"a" * (32 * MIB)),
}  # fmt: skip

FAILURES_1 = {
    "refused": Scenario(_call(), None),
    "closed": _http1(ending="close"),
    "reset": _http1(ending="reset"),
    "closed-in-the-head": _http1(b"HTTP/1.1 200 OK\r\nconte", ending="close"),
    "closed-in-the-body": _http1(_head(b"content-length: 20") + b"hello", ending="close"),
    "reset-in-the-body": _http1(_head(b"content-length: 20") + b"hello", ending="reset"),
    "closed-in-a-chunk": _http1(_CHUNKED + b"5\r\nhello\r\n", ending="close"),
    "late-head": _http1(ending="hang", call=_call(timeout=0.2)),
    "late-body": _http1(
        _head(b"content-length: 20") + b"hello", ending="hang", call=_call(timeout=0.2)
    ),
    "garbage": _http1(b"garbage\r\n\r\n"),
    "no-status": _http1(_head(status=b"abc OK")),
    "no-colon": _http1(_head(b"bad header")),
    "blank-in-a-name": _http1(_head(b"x y: a", b"content-length: 0")),
    "nul-in-a-value": _http1(_head(b"x: a\0b", b"content-length: 0")),
    "control-in-a-value": _http1(_head(b"x: a\x01b", b"content-length: 0")),
    "no-length": _http1(_head(b"content-length: abc")),
    "two-lengths": _http1(_head(b"content-length: 2", b"content-length: 3") + b"hi"),
    "length-and-chunked": _http1(
        _head(b"content-length: 2", b"transfer-encoding: chunked") + b"2\r\nhi\r\n0\r\n\r\n"
    ),
    "coded": _http1(_head(b"transfer-encoding: gzip, chunked") + b"2\r\nhi\r\n0\r\n\r\n"),
    "bad-chunk": _http1(_CHUNKED + b"zz\r\nhi\r\n0\r\n\r\n"),
    "bad-trailers": _http1(_CHUNKED + b"2\r\nhi\r\n0\r\nx y\r\n\r\n"),
    "101-headers": _http1(_head(*(b"x%d: a" % i for i in range(100)), b"content-length: 0")),
    "too-large-head": _http1(
        _head(*(b"x%d: %s" % (i, b"a" * 1024) for i in range(81)), b"content-length: 0")
    ),
    "too-large-body": _http1(_head(b"content-length: %d" % (32 * MIB + 1)), b"a" * (32 * MIB + 1)),
    "http2-upstream": Scenario(
        _call(), Http1((b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64",), "hang")
    ),
    "tls-where-none-is": _http1(_HI, tls=True),
    "silent-tls": Scenario(_call(), None, silent=True, tls=True),
    "silent-tls-timed-out": Scenario(_call(timeout=0.2), None, silent=True, tls=True),
    "no-endpoint": Scenario(_call(), None, endpoints=False),
    "no-pending": _http1(_HI, limits={"max_pending_requests": 0}),
    "no-requests": _http1(_HI, limits={"max_requests": 0}),
    "no-connections": _http1(_HI, limits={"max_connections": 0}),
}

REQUESTS = {
    "body": _asks(base=POST, body=b"body"),
    "get-with-body": _asks(body=b"body"),
    "empty-post": _asks(base=POST),
    "own-method": _with(method=b"FOO"),
    "wrong-length": _asks((b"content-length", b"9"), base=POST, body=b"body"),
    "host-as-well": _asks((b"host", b"other")),
    "close": _asks((b"connection", b"close")),
    "hop-by-hop": _asks(
        (b"Connection", b"keep-alive, x-hop"), (b"x-hop", b"1"), (b"keep-alive", b"5"),
        (b"te", b"trailers"), (b"proxy-connection", b"a"), (b"upgrade", b"websocket"),
    ),
    "case": _asks((b"X-UpPer", b"Vv"), (b"x-upper", b"2")),
    "order": _asks((b"z", b"1"), (b"a", b"2"), (b"z", b"3")),
    "bytes": _asks((b"x", b"\xe4\xff")),
    "nameless": _asks((b"", b"a")),
    "unknown-pseudo": _asks((b":foo", b"a"), (b":status", b"200")),
    "schemes": _asks((b":scheme", b"https")),
    "of-others": _asks(
        (b"x-forwarded-for", b"1.2.3.4"), (b"x-request-id", b"r"), (b"user-agent", b"m"),
        (b"expect", b"100-continue"), (b"x-envoy-expected-rq-timeout-ms", b"7"),
        (b"x-envoy-retry-on", b"5xx"), (b"x-envoy-max-retries", b"3"), (b"x-envoy-foo", b"a"),
    ),
    "own-timeout": _asks((b"x-envoy-upstream-rq-timeout-ms", b"5000")),
    "bad-own-timeout": _asks((b"x-envoy-upstream-rq-timeout-ms", b"zz")),
    "no-timeout": _http1(_HI, call=_call(timeout=None)),
    "two-paths": _asks((b":path", b"/other")),
    "relative-path": _with(path=b"a"),
    "fragment": _with(path=b"/a#b"),
    "no-authority": _with(authority=b""),
    "blank-in-authority": _with(authority=b"a b"),
    "connect": _with(method=b"CONNECT"),
    **{
        f"{where}-{what}": scenario
        for what, bad in (("cr", b"a\r\nb: c"), ("lf", b"a\nb"), ("nul", b"a\0b"), ("del", b"\x7f"))
        for where, scenario in (
            ("value", _asks((b"X", bad))), ("path", _with(path=bad)),
            ("method", _with(method=bad)), ("authority", _with(authority=bad)),
        )
    },
    "name-blank": _asks((b"x y", b"a")),
    "name-colon": _asks((b"x:y", b"a")),
    "name-crlf": _asks((b"x\r\ny", b"a")),
}  # fmt: skip


def _headers(*more: Pair, end: bool = False, status: bytes = b"200") -> Step:
    return lambda c, s: c.send_headers(s, [(b":status", status), *more], end_stream=end)


def _data(data: bytes, *, end: bool = False) -> Step:
    return lambda c, s: c.send_data(s, data, end_stream=end)


def _trailers(*pairs: Pair) -> Step:
    return lambda c, s: c.send_headers(s, list(pairs), end_stream=True)


def _reset(code: ErrorCodes) -> Step:
    return lambda c, s: c.reset_stream(s, code)


def _goaway(last_stream: int) -> Step:
    return lambda c, s: c.close_connection(ErrorCodes.NO_ERROR, last_stream_id=last_stream)


def _http2(*steps: Step, call: HttpCall | None = None, ending: str = "keep") -> Scenario:
    return Scenario(call or _call(), Http2(steps, ending))


HTTP2 = {
    "2-ok": _http2(_headers((b"set-cookie", b"a"), (b"set-cookie", b"b")), _data(b"hi", end=True)),
    "2-trailers": _http2(_headers(), _data(b"hi"), _trailers((b"x-t", b"1"))),
    "2-headers-only": _http2(_headers(end=True)),
    "2-body": _http2(_headers(end=True), call=_call(POST, b"body")),
    "2-host-as-well": _http2(_headers(end=True), call=_call((*GET, (b"host", b"o")))),
    "2-scheme": _http2(_headers(end=True), call=_call((*GET, (b":scheme", b"https")))),
    "2-bad-scheme": _http2(_headers(end=True), call=_call((*GET, (b":scheme", b"ftp")))),
    "2-head": _http2(_headers((b"content-length", b"7"), end=True), call=_call(HEAD)),
    "2-103": _http2(_headers((b"link", b"x"), status=b"103"), _headers(end=True)),
    **{f"2-reset-{code.name.lower()}": _http2(_reset(code)) for code in ErrorCodes},
    "2-reset-in-the-body": _http2(
        _headers(), _data(b"hello"), _reset(ErrorCodes.INTERNAL_ERROR)
    ),
    "2-reset-no-error-in-the-body": _http2(
        _headers(), _data(b"hello"), _reset(ErrorCodes.NO_ERROR)
    ),
    "2-goaway": _http2(_goaway(0)),
    "2-closed": _http2(ending="close"),
    "2-closed-in-the-body": _http2(_headers(), _data(b"hello"), ending="close"),
    "2-late-head": _http2(ending="hang", call=_call(timeout=0.2)),
    "2-late-body": _http2(
        _headers(), _data(b"hello"), ending="hang", call=_call(timeout=0.2)
    ),
    "2-no-status": _http2(_trailers((b"x", b"y"))),
    "2-short-body": _http2(_headers((b"content-length", b"10")), _data(b"hi", end=True)),
    "2-long-body": _http2(_headers((b"content-length", b"1")), _data(b"hi", end=True)),
    "2-upper-case": _http2(_headers((b"X-A", b"1"), end=True)),
    "2-connection": _http2(_headers((b"connection", b"close"), end=True)),
    "2-coding": _http2(_headers((b"transfer-encoding", b"chunked"), end=True)),
    "2-100-headers": _http2(_headers(*((b"x%d" % i, b"a") for i in range(99)), end=True)),
    "2-101-headers": _http2(_headers(*((b"x%d" % i, b"a") for i in range(100)), end=True)),
    "2-too-large-head": _http2(
        _headers(*((b"x%d" % i, b"a" * 7000) for i in range(10)), end=True)
    ),
    "2-no-requests": Scenario(
        _call(), Http2((_headers(end=True),)), limits={"max_requests": 0}
    ),
}  # fmt: skip

EQUAL = {**RESPONSES_1, **FAILURES_1, **REQUESTS, **HTTP2}

_TRAILERS = _call(POST, b"body", ((b"X-T", b"1"),))

DIFFERENT = {
    "request-trailers": _http1(_HI, call=_TRAILERS),
    "2-request-trailers": _http2(_headers(end=True), call=_TRAILERS),
    "length-without-body": _http1(
        _HI, call=_call((*POST, (b"content-length", b"9")), timeout=0.3)
    ),
    "own-coding": _http1(
        _HI, call=_call((*POST, (b"transfer-encoding", b"chunked")), b"body", timeout=0.3)
    ),
    "blanks-around-a-value": _asks((b"x", b" a\tb ")),
    "blank-in-the-path": _with(path=b"/a b"),
    "bytes-in-the-path": _with(path=b"/\xe4"),
    "no-path": _with(path=b""),
    "blank-in-the-method": _with(method=b"GE T"),
    "2-hop-by-hop": _http2(_headers(end=True), call=_call((*GET, (b"connection", b"close")))),
    "2-unknown-pseudo": _http2(_headers(end=True), call=_call((*GET, (b":foo", b"a")))),
    "unasked-upgrade": _http1(_head(b"upgrade: x", status=b"101 X"), ending="hang"),
    "equal-lengths": _http1(_head(b"content-length: 2", b"content-length: 2") + b"hi"),
    "status-099": _http1(_head(b"content-length: 0", status=b"099 X")),
    "per-try-timeout": _asks((b"x-envoy-upstream-rq-per-try-timeout-ms", b"200")),
}  # fmt: skip
"""What docs/callouts.md lists as different, with the reasons."""
