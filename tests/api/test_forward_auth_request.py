"""What proxies tell of their clients' requests over plain HTTP."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.api.forward_auth import DIALECTS, ENDPOINTS, Dialect
from mixer.api.forward_auth.errors import MalformedCallError
from mixer.api.forward_auth.request import decode
from mixer.api.http import HttpAnswer, HttpCall
from mixer.attributes import Caller, Pair
from mixer.engine import Request

ENVOY, NGINX, FORWARD, HAPROXY = DIALECTS
TOLD: dict[str, tuple[Pair, ...]] = {
    "/ext_authz": (
        (b"host", b"example.org:80"),
        (b"x-forwarded-proto", b"https"),
        (b"x-mixer-client-address", b"10.1.2.3:4567"),
    ),
    "/auth_request": (
        (b"host", b"example.org:80"),
        (b"x-forwarded-proto", b"https"),
        (b"x-real-ip", b"10.1.2.3"),
        (b"x-original-method", b"PUT"),
        (b"x-original-uri", b"/a?b=c"),
    ),
    "/forward_auth": (
        (b"x-forwarded-host", b"example.org:80"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-for", b"6.6.6.6, 10.1.2.3"),
        (b"x-forwarded-method", b"PUT"),
        (b"x-forwarded-uri", b"/a?b=c"),
        (b"host", b"mixer"),
    ),
}
TOLD["/haproxy"] = TOLD["/forward_auth"]


def each(*dialects: Dialect) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("dialect", dialects or DIALECTS, ids=lambda d: d.path)


def call(dialect: Dialect, *headers: Pair, told: tuple[Pair, ...] | None = None) -> HttpCall:
    """A call about ``PUT /a?b=c``."""
    own = TOLD[dialect.path] if told is None else told
    target = b"/ext_authz/a?b=c" if dialect is ENVOY else dialect.path.encode()
    method = b"PUT" if dialect is ENVOY else b"GET"
    return HttpCall(method, target, (*own, *headers), b"", lambda: Caller("10.0.0.1"))


def replaced(dialect: Dialect, name: bytes, *values: bytes) -> HttpCall:
    """The same with other values of one header."""
    kept = tuple(pair for pair in TOLD[dialect.path] if pair[0] != name)
    return call(dialect, told=(*kept, *((name, value) for value in values)))


def read(request: Request, *names: str) -> list[object]:
    return [request.attributes.get(name) for name in names]


@each()
def test_the_original_request(dialect: Dialect) -> None:
    """Method, URI, scheme, host, client and caller are told as attributes."""
    request = decode(call(dialect, (b"x-own", b"1")), dialect.carriers)
    names = ("request.method", "request.path", "request.scheme", "request.host", "mixer.caller")
    told = ["PUT", "/a?b=c", "https", "example.org:80", "10.0.0.1"]
    assert read(request, *names) == told
    port = 4567 if dialect is ENVOY else None
    assert read(request, "source.address", "source.port") == [f"10.1.2.3:{port or 0}", port]
    assert request.attributes.get("request.time") is not None
    assert request.headers.first(b"x-own") == b"1"


@each()
def test_headers_of_the_call_are_not_of_the_request(dialect: Dialect) -> None:
    """What tells the request, and what frames the call, is hidden from adapters."""
    framing = ((b"content-length", b"0"), (b"connection", b"close"), (b"te", b"trailers"))
    request = decode(call(dialect, *framing), dialect.carriers)
    pseudo = {b":authority", b":path", b":method", b":scheme"}
    seen = {b"x-forwarded-proto", b"x-forwarded-for", b"x-real-ip"}
    assert {name for name, _ in request.headers.pairs()} <= pseudo | seen


def _carriers(dialect: Dialect) -> list[bytes]:
    c = dialect.carriers
    return [one for one in (c.scheme, c.host, c.address, c.method, c.uri) if one]


@pytest.mark.parametrize(
    ("dialect", "name"), [(d, name) for d in DIALECTS for name in _carriers(d)]
)
def test_each_must_be_there_once(dialect: Dialect, name: bytes) -> None:
    """A proxy that does not set one lets clients set it: that fails for everybody."""
    (value,) = (v for n, v in TOLD[dialect.path] if n == name)
    for values in ((), (value, value), (b"",)):
        with pytest.raises(MalformedCallError, match=name.decode()):
            decode(replaced(dialect, name, *values), dialect.carriers)


@each(NGINX, FORWARD, HAPROXY)
@pytest.mark.parametrize(
    "uri",
    [b"http://example.org/", b"*", b"a", b"?a", b"/a b", b"/a\tb", b"/a\nb", b"/a#b", b"/\x7f"],
)
def test_malformed_uris(dialect: Dialect, uri: bytes) -> None:
    """Only path and query are a URI, with nothing in it that could be read in two ways."""
    name = dialect.carriers.uri
    assert name is not None
    with pytest.raises(MalformedCallError, match="URI"):
        decode(replaced(dialect, name, uri), dialect.carriers)


def test_malformed_targets() -> None:
    """Of what follows the prefix the same holds."""
    for rest in (b"", b"a", b"*", b"/#"):
        made = HttpCall(b"GET", b"/ext_authz" + rest, TOLD["/ext_authz"])
        with pytest.raises(MalformedCallError, match="URI"):
            decode(made, ENVOY.carriers)


@each()
@pytest.mark.parametrize(
    "address", [b"a", b"1.2.3", b"1.2.3.4:x", b"1.2.3.4:123456", b"[::1", b"1.2.3.4, ", b"::1]:1"]
)
def test_malformed_addresses(dialect: Dialect, address: bytes) -> None:
    """What is no address is none of a client."""
    with pytest.raises(MalformedCallError, match=r"has no|must be"):
        decode(replaced(dialect, dialect.carriers.address, address), dialect.carriers)


@pytest.mark.parametrize(
    ("sent", "address", "port"),
    [
        (b"::1", "[::1]:0", None),
        (b"[2001:db8::1]:443", "[2001:db8::1]:443", 443),
        (b"1.2.3.4:5", "1.2.3.4:5", 5),
        (b"unix:", None, None),
        (b"/run/client.sock", None, None),
    ],
)
def test_addresses(sent: bytes, address: str | None, port: int | None) -> None:
    """Both families, with and without port; a Unix socket has no address."""
    request = decode(replaced(NGINX, b"x-real-ip", sent), NGINX.carriers)
    assert read(request, "source.address", "source.port") == [address, port]


@each()
@pytest.mark.parametrize(
    ("sent", "scheme"), [(b"HTTP", "http"), (b"ws", "http"), (b"wss", "https"), (b"ftp", None)]
)
def test_schemes(dialect: Dialect, sent: bytes, scheme: str | None) -> None:
    """WebSockets begin as HTTP; there is no other scheme."""
    made = replaced(dialect, b"x-forwarded-proto", sent)
    if scheme is None:
        with pytest.raises(MalformedCallError, match="neither http nor https"):
            decode(made, dialect.carriers)
    else:
        assert read(decode(made, dialect.carriers), "request.scheme") == [scheme]


@each(NGINX, FORWARD, HAPROXY)
def test_a_request_that_is_smuggled_in_another_header(dialect: Dialect) -> None:
    """Headers of other proxies are headers as any other."""
    names = {b"x-original-url", b"x-original-uri", b"x-forwarded-uri", b"x-rewrite-url",
             b"x-original-method", b"x-forwarded-method", b"x-http-method-override"}  # fmt: skip
    forged = tuple((name, b"/public") for name in sorted(names - set(_carriers(dialect))))
    request = decode(call(dialect, *forged), dialect.carriers)
    assert read(request, "request.path", "request.method") == ["/a?b=c", "PUT"]
    assert all(request.headers.first(name) == value for name, value in forged)


@pytest.mark.parametrize(
    ("sent", "partial", "body", "complete", "length"),
    [
        (b"body", b"false", b"body", True, b"4"),
        (b"bod", b"true", b"bod", False, None),
        (b"", b"false", b"", True, None),
        (b"", None, None, True, None),
    ],
)
def test_the_body_of_envoy(
    sent: bytes, partial: bytes | None, body: bytes | None, complete: bool, length: bytes | None
) -> None:
    """It is the client's where Envoy sends it, whole or cut."""
    headers = TOLD["/ext_authz"]
    if partial is not None:
        headers += ((b"x-envoy-auth-partial-body", partial),)
    length_sent = (b"content-length", str(len(sent)).encode())
    made = HttpCall(b"POST", b"/ext_authz/", (*headers, length_sent), sent)
    request = decode(made, ENVOY.carriers)
    assert (request.body, request.body_complete, request.has_body) == (
        body,
        complete,
        body is not None,
    )
    assert request.headers.first(b"content-length") == length
    assert request.headers.first(b"x-envoy-auth-partial-body") is None


@each(NGINX, FORWARD, HAPROXY)
def test_a_body_of_the_call_is_none_of_the_request(dialect: Dialect) -> None:
    """Proxies that send no body are not believed to send one."""
    made = HttpCall(b"GET", dialect.path.encode(), TOLD[dialect.path], b"body")
    request = decode(made, dialect.carriers)
    assert (request.body, request.has_body) == (None, False)


_names = st.sampled_from(
    [name for dialect in DIALECTS for name in _carriers(dialect)] + [b"x-other", b"content-length"]
)


@given(
    dialect=st.sampled_from(DIALECTS),
    target=st.binary(max_size=40),
    headers=st.lists(st.tuples(_names, st.binary(max_size=40))),
)
def test_any_call_is_read_or_refused(dialect: Dialect, target: bytes, headers: list[Pair]) -> None:
    """Whatever comes, a request has all four pseudo-headers, or there is none."""
    made = HttpCall(b"GET", dialect.path.encode() + target, tuple(headers))
    try:
        request = decode(made, dialect.carriers)
    except MalformedCallError:
        return
    assert (request.headers.first(b":path") or b"").startswith(b"/")
    assert all(request.headers.first(n) for n in (b":method", b":authority", b":scheme"))


def test_a_malformed_call_is_answered_without_a_decision() -> None:
    """It is 400, which no proxy takes for an allow, and no adapter is asked."""
    for endpoint in ENDPOINTS:
        asking = endpoint.answer(HttpCall(b"GET", b"/x"))
        with pytest.raises(StopIteration) as end:
            next(asking)
        answer = end.value.value
        assert isinstance(answer, HttpAnswer)
        assert answer.status == 400
        assert endpoint.speaks_for_clients
