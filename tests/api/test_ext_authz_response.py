"""Writing a CheckResponse."""

from typing import Any

import pytest
from envoy.service.auth.v3 import external_auth_pb2
from google.protobuf.json_format import MessageToDict
from google.rpc import code_pb2
from hypothesis import given
from hypothesis import strategies as st

from mixer.api import ext_authz
from mixer.attributes import HeaderChange
from mixer.engine import Decision, HeaderOperation, Operation, Response, Verdict

_ADD_COOKIE = HeaderOperation(b"set-cookie", b"b=2", Operation.APPEND)


def _encode(decision: Decision) -> Any:
    return external_auth_pb2.CheckResponse.FromString(ext_authz.encode(decision))


def _allow(*changes: HeaderChange, **fields: Any) -> Decision:
    return Decision(Verdict.ALLOW, ("a",), "a", request_headers=changes, **fields)


def _deny(response: Response, verdict: Verdict = Verdict.DENY) -> Decision:
    return Decision(verdict, ("a", "b"), "b", "because", response=response)


def test_allow_is_status_ok_with_an_ok_response() -> None:
    """Envoy lets the request pass."""
    response = _encode(_allow())
    assert response.status.code == code_pb2.OK
    assert response.WhichOneof("http_response") == "ok_response"


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (HeaderChange(b"x", (b"1",)), "1"),
        (HeaderChange(b"x", (b"1", b"2")), "1,2"),
        (HeaderChange(b"cookie", (b"a=1", b"b=2")), "a=1; b=2"),
        (HeaderChange(b"x", (b"",)), ""),
        (HeaderChange(b":path", (b"/new?q",)), "/new?q"),
    ],
)
def test_a_changed_header_goes_out_once(change: HeaderChange, value: str) -> None:
    """Envoy keeps only the last header of a name, so that values are joined."""
    response = _encode(_allow(change))
    (option,) = response.ok_response.headers
    assert (option.header.key, option.header.value) == (change.name.decode(), value)
    assert not response.ok_response.headers_to_remove


def test_a_header_without_values_is_removed() -> None:
    """Removal has a list of its own."""
    response = _encode(_allow(HeaderChange(b"x", ())))
    assert list(response.ok_response.headers_to_remove) == ["x"]
    assert not response.ok_response.headers


@pytest.mark.parametrize(
    "decision",
    [
        _allow(HeaderChange(b"x", (b"caf\xe9",))),
        _allow(HeaderChange(b"x", (b"a\r\nevil: 1",))),
        _allow(HeaderChange(b"x y", (b"1",))),
        _allow(body=b"new"),
        _allow(HeaderChange(b":path", ())),
        _allow(response_operations=(HeaderOperation(b"x", b"a\nb"),)),
        _allow(response_operations=(HeaderOperation(b"x", operation=Operation.REMOVE),)),
        _allow(response_operations=2 * (HeaderOperation(b"set-cookie", b"a=1"), _ADD_COOKIE)),
        _deny(Response(403, headers=((b"x", b"a\r\nevil: 1"),))),
        _deny(Response(403, headers=((b"", b"1"),))),
    ],
)
def test_what_cannot_be_said_is_an_error_and_never_a_guess(decision: Decision) -> None:
    """The request is refused with 503, and the reason tells what was not possible."""
    response = _encode(decision)
    assert response.status.code == code_pb2.UNAVAILABLE
    assert response.denied_response.status.code == 503
    assert not response.denied_response.headers
    metadata = MessageToDict(response.dynamic_metadata)
    assert metadata["verdict"] == "error"
    assert "possible" in metadata["reason"] or "forbidden" in metadata["reason"]


def test_a_denial_keeps_status_headers_and_body() -> None:
    """Every header is there, those of one name in order."""
    headers = ((b"www-authenticate", b"A"), (b"www-authenticate", b"B"), (b"x", b"1"))
    denied = _encode(_deny(Response(401, headers, b"no"))).denied_response
    assert (denied.status.code, denied.body) == (401, "no")
    assert [(o.header.key, o.header.value) for o in denied.headers] == [
        ("www-authenticate", "A"), ("www-authenticate", "B"), ("x", "1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("http", "code"),
    [
        (401, code_pb2.UNAUTHENTICATED),
        (403, code_pb2.PERMISSION_DENIED),
        (429, code_pb2.RESOURCE_EXHAUSTED),
        (200, code_pb2.PERMISSION_DENIED),
        (302, code_pb2.PERMISSION_DENIED),
        (503, code_pb2.UNAVAILABLE),
    ],
)
def test_a_denial_is_never_status_ok(http: int, code: int) -> None:
    """Envoy takes code 0 for allowed, whatever the response says."""
    assert _encode(_deny(Response(http))).status.code == code


@given(st.integers(0, 2**32 - 1))
def test_an_absurd_status_is_500(status: int) -> None:
    """A module cannot make Envoy send a status that HTTP does not have."""
    sent = _encode(_deny(Response(status))).denied_response.status.code
    assert sent == (status if 200 <= status <= 599 else 500)


def test_the_metadata_says_who_decided_and_why() -> None:
    """Dynamic metadata names verdict, adapter, reason, and the adapters that ran."""
    response = _encode(_deny(Response(403)))
    assert MessageToDict(response.dynamic_metadata) == {
        "verdict": "deny", "adapter": "b", "reason": "because", "adapters": ["a", "b"],
    }  # fmt: skip


def test_an_adapter_that_was_passed_over_is_named() -> None:
    """Failing open leaves a trace."""
    metadata = MessageToDict(_encode(_allow(failed_open=("c",))).dynamic_metadata)
    assert metadata["failed_open"] == ["c"]


def test_a_response_header_is_set_for_the_downstream() -> None:
    """What a module says of the response beforehand reaches it."""
    (option,) = _encode(
        _allow(response_operations=(HeaderOperation(b"x-a", b"1"),))
    ).ok_response.response_headers_to_add
    assert (option.header.key, option.header.value) == ("x-a", "1")


def test_large_decisions_are_not_remembered() -> None:
    """Bodies of the past do not fill the memory; small answers are written once."""
    small, large = _deny(Response(403, body=b"no")), _deny(Response(403, body=b"x" * 5000))
    assert ext_authz.encode(small) is ext_authz.encode(small)
    assert ext_authz.encode(large) is not ext_authz.encode(large)
