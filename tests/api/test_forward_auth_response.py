"""What proxies are answered over plain HTTP."""

import pytest

from mixer.api.forward_auth import DIALECTS, ENDPOINTS, Dialect
from mixer.api.http import HttpAnswer, HttpCall
from mixer.attributes import HeaderChange, Pair
from mixer.engine import Decision, HeaderOperation, Operation, Response, Verdict
from tests.api.test_forward_auth_request import ENVOY, FORWARD, HAPROXY, NGINX, TOLD, call, each

REMOVED = b"x-envoy-auth-headers-to-remove"


def answered(
    dialect: Dialect, decision: Decision, *headers: Pair, query: bytes = b""
) -> HttpAnswer:
    """The answer to a call, once it was decided about."""
    made = call(dialect, *headers)
    if query:
        made = HttpCall(made.method, made.target + b"?" + query, made.headers)
    (endpoint,) = (one for one in ENDPOINTS if one.path == dialect.path)
    asking = endpoint.answer(made)
    next(asking)
    with pytest.raises(StopIteration) as end:
        asking.send(decision)
    answer: HttpAnswer = end.value.value
    return answer


def allow(*changes: tuple[bytes, tuple[bytes, ...]], **more: object) -> Decision:
    told = tuple(HeaderChange(*change) for change in changes)
    return Decision(Verdict.ALLOW, request_headers=told, **more)  # type: ignore[arg-type]


def deny(status: int, *headers: Pair, body: bytes = b"no", verdict: str = "deny") -> Decision:
    return Decision(Verdict(verdict), adapter="a", response=Response(status, headers, body))


def failure(answer: HttpAnswer) -> str:
    """Why a decision was not sent as it is: the answer is an error then."""
    assert answer.status == 503
    assert answer.decision is not None
    assert answer.decision.verdict is Verdict.ERROR
    return answer.decision.reason


@each()
def test_an_allow_without_changes(dialect: Dialect) -> None:
    """It is an empty 200."""
    answer = answered(dialect, allow())
    assert (answer.status, answer.body, answer.decision) == (200, b"", None)
    assert answer.headers == (((b"x-mixer-verdict", b"allow"),) if dialect is HAPROXY else ())


CHANGED = allow((b"x-user", (b"ann", b"bob")), (b"cookie", (b"a=1", b"b=2")), (b"x-gone", ()))


def test_changes_for_envoy() -> None:
    """Each has one header of its own, and those that are removed are listed in one."""
    assert answered(ENVOY, CHANGED).headers == (
        (b"x-user", b"ann,bob"),
        (b"cookie", b"a=1; b=2"),
        (REMOVED, b"x-gone"),
    )


def test_changes_for_haproxy() -> None:
    """Each is an operation, as are those of the response, in order."""
    operations = (
        HeaderOperation(b"x-a", b"1 2", Operation.APPEND),
        HeaderOperation(b"x-b", b"", Operation.REMOVE),
    )
    told = allow((b"x-user", (b"ann",)), (b"x-gone", ()), response_operations=operations)
    assert answered(HAPROXY, told).headers == (
        (b"x-mixer-verdict", b"allow"),
        (b"x-mixer-request-operation", b"REPLACE x-user ann"),
        (b"x-mixer-request-operation", b"REMOVE x-gone"),
        (b"x-mixer-response-operation", b"APPEND x-a 1 2"),
        (b"x-mixer-response-operation", b"REMOVE x-b"),
    )


@each(NGINX, FORWARD)
def test_copied_headers_are_told_as_they_are(dialect: Dialect) -> None:
    """Changed, unchanged, removed or never there: what the proxy copies has its value now."""
    query = b"headers=x-user,X-Gone,cookie&headers=x-kept,x-absent"
    sent = ((b"x-kept", b"1"), (b"x-kept", b"2"), (b"x-gone", b"forged"), (b"x-user", b"forged"))
    assert answered(dialect, CHANGED, *sent, query=query).headers == (
        (b"x-user", b"ann,bob"),
        (b"x-gone", b""),
        (b"cookie", b"a=1; b=2"),
        (b"x-kept", b"1,2"),
        (b"x-absent", b""),
    )


@each(NGINX, FORWARD)
def test_a_change_that_would_be_lost(dialect: Dialect) -> None:
    """Headers that the proxy does not copy cannot be changed; the reason names all of them."""
    answer = answered(dialect, CHANGED, query=b"headers=x-user")
    assert failure(answer) == (
        "cookie,x-gone:_changed_but_not_copied;_list_it_in_the_query_and_have_the_proxy_copy_it"
    )
    assert b"ann" not in dict(answer.headers).values()


@each(NGINX, FORWARD)
def test_headers_of_the_response(dialect: Dialect) -> None:
    """What is appended has a name of its own, and is empty where there is nothing."""
    operations = (
        HeaderOperation(b"x-a", b"1", Operation.APPEND),
        HeaderOperation(b"x-a", b"2", Operation.APPEND),
    )
    told = answered(
        dialect, allow(response_operations=operations), query=b"response_headers=x-a,x-b"
    )
    assert told.headers == ((b"x-mixer-response-x-a", b"1,2"), (b"x-mixer-response-x-b", b""))


@each(ENVOY, NGINX, FORWARD)
@pytest.mark.parametrize(
    "operation",
    [
        HeaderOperation(b"x-a", b"1", Operation.REPLACE),
        HeaderOperation(b"x-a", b"", Operation.REMOVE),
        HeaderOperation(b"x-other", b"1", Operation.APPEND),
    ],
)
def test_headers_of_the_response_that_cannot_be_said(
    dialect: Dialect, operation: HeaderOperation
) -> None:
    """Replacing, removing, and a header that is not copied, are errors."""
    query = b"" if dialect is ENVOY else b"response_headers=x-a"
    assert failure(answered(dialect, allow(response_operations=(operation,)), query=query))


@each(NGINX, FORWARD)
def test_two_cookies_for_the_response(dialect: Dialect) -> None:
    """Two of them cannot be one header."""
    one = HeaderOperation(b"set-cookie", b"a=1", Operation.APPEND)
    query = b"response_headers=set-cookie"
    assert answered(dialect, allow(response_operations=(one,)), query=query).status == 200
    failure(answered(dialect, allow(response_operations=(one, one)), query=query))


@each(NGINX, FORWARD)
@pytest.mark.parametrize(
    "query",
    [
        b"headers=:path", b"headers=host", b"headers=a%20b", b"headers=a%0d%0a", b"header=x",
        b"headers=content-length", b"headers=x-accel-redirect", b"headers=" + b"a" * 5000,
        b"headers=" + b",".join(b"a%d" % n for n in range(65)),
    ],
)  # fmt: skip
def test_a_malformed_query(dialect: Dialect, query: bytes) -> None:
    """What is no header that can be copied is a mistake of the configuration."""
    answer = answered(dialect, allow(), query=query)
    assert answer.status == 400
    assert answer.decision is not None  # so that the log tells no allow
    assert answer.decision.verdict is Verdict.ERROR


@each()
@pytest.mark.parametrize("name", [b":path", b":method", b":authority", b"content-length", b"te"])
def test_changes_that_no_answer_can_tell(dialect: Dialect, name: bytes) -> None:
    """The request line and the framing stay as they are, or it is an error."""
    reason = failure(answered(dialect, allow((name, (b"/x",)))))
    assert reason == f"changing_{name.decode()}_is_not_possible_with_forward_auth"


@each()
def test_a_body_that_was_changed(dialect: Dialect) -> None:
    """It is an error."""
    told = allow(body=b"new")
    assert failure(answered(dialect, told)).startswith("request_body_change")


@each()
@pytest.mark.parametrize(
    ("name", "value"),
    [(b"x-a\r\nx-b", b"1"), (b"x-a", b"1\r\nx-b: 2"), (b"x-a", b"\0"), (b"x a", b""), (b"", b"")],
)
def test_hostile_headers(dialect: Dialect, name: bytes, value: bytes) -> None:
    """A header that would be more than one header is never sent, of a request or a refusal."""
    for decision in (allow((name, (value,))), deny(403, (name, value))):
        answer = answered(dialect, decision, query=b"" if dialect is ENVOY else b"headers=x-a")
        failure(answer)
        assert all(b"\n" not in n + v for n, v in answer.headers)


@each(ENVOY, FORWARD, HAPROXY)
def test_a_denial(dialect: Dialect) -> None:
    """Status, headers in order, and body are the client's; its framing is not the adapter's."""
    headers = ((b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"Content-Length", b"99"))
    answer = answered(dialect, deny(418, *headers))
    own = ((b"x-mixer-verdict", b"deny"),) if dialect is HAPROXY else ()
    assert (answer.status, answer.body) == (418, b"no")
    assert answer.headers == ((b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), *own)


@pytest.mark.parametrize(
    ("status", "answer"), [(401, 401), (403, 403), (200, 403), (302, 403), (429, 403), (503, 403)]
)
def test_a_denial_for_nginx(status: int, answer: int) -> None:
    """To nginx there are two; the client's is told in a header, and the body is not sent."""
    headers = ((b"retry-after", b"1"), (b"x-accel-redirect", b"/etc/passwd"))
    told = answered(NGINX, deny(status, *headers))
    assert (told.status, told.body) == (answer, b"")
    assert told.headers == ((b"retry-after", b"1"), (b"x-mixer-status", str(status).encode()))


@pytest.mark.parametrize(
    ("dialect", "name", "own"),
    [(HAPROXY, b"x-mixer-verdict", b"deny"), (NGINX, b"x-mixer-status", b"200")],
)
def test_a_denial_that_says_what_the_service_says(
    dialect: Dialect, name: bytes, own: bytes
) -> None:
    """An adapter, or a client whose headers it repeats, cannot make another answer of it."""
    told = answered(dialect, deny(200, (name, b"allow"), (name.upper(), b"allow")))
    assert told.headers == ((name, own),)


@pytest.mark.parametrize(
    ("dialect", "status", "answer"),
    [
        (ENVOY, 201, 201), (ENVOY, 500, 403), (ENVOY, 599, 403), (ENVOY, 999, 403),
        (FORWARD, 300, 300), (FORWARD, 500, 500), (FORWARD, 999, 500),
        (HAPROXY, 200, 200), (HAPROXY, 503, 503), (HAPROXY, 0, 500),
    ],
)  # fmt: skip
def test_statuses_of_denials(dialect: Dialect, status: int, answer: int) -> None:
    """A refusal is no 5xx to Envoy, which may let those pass, and never an unusable status."""
    assert answered(dialect, deny(status)).status == answer


@pytest.mark.parametrize(
    ("dialect", "status"), [(ENVOY, 200), *((FORWARD, status) for status in (200, 204, 299))]
)
def test_a_denial_that_would_be_an_allow(dialect: Dialect, status: int) -> None:
    """It is an error, and so no allow."""
    assert f"{status}" in failure(answered(dialect, deny(status)))


@each()
def test_an_error(dialect: Dialect) -> None:
    """It is a 5xx to every proxy."""
    told = answered(dialect, deny(503, body=b"", verdict="error"))
    assert (told.status, told.decision) == (503, None)
    if dialect is HAPROXY:
        assert (b"x-mixer-verdict", b"error") in told.headers


def test_the_paths() -> None:
    """Each dialect has a path of its own."""
    assert sorted(TOLD) == sorted(one.path for one in DIALECTS)
