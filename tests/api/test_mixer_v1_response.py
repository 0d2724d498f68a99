"""Writing a CheckResponse of Mixer."""

from collections.abc import Sequence

import pytest

from mixer.api.mixer_v1 import (
    Allocation,
    Quota,
    allocation,
    decode_check,
    encode_check,
    refuse_check,
    refused,
)
from mixer.attributes import HeaderChange, Value
from mixer.engine import Decision, HeaderOperation, Operation, Response, Validity, Verdict
from mixer.wire import mixer_v1_pb2 as pb
from tests.api.mixer_calls import admission, asked_by, check_bytes, references

ALLOWED = Decision(Verdict.ALLOW)
SECOND = 1_000_000_000
RPS = Quota("rps", 5, best_effort=True)


def answer(
    decision: Decision,
    attributes: dict[str, Value] | None = None,
    allocations: Sequence[Allocation] = (),
    read: str = "request.path",
) -> pb.CheckResponse:
    """The response to a check of which an attribute was read."""
    check = decode_check(check_bytes(attributes or {}), admission(), asked_by)
    question = check.question()
    question.request.attributes.get(read)
    return pb.CheckResponse.FromString(encode_check(check, question, decision, allocations))


def denied(status: int = 403, body: bytes = b"", **fields: object) -> Decision:
    headers = fields.pop("headers", ())
    assert isinstance(headers, tuple)
    return Decision(
        Verdict.DENY,
        adapters=("shop/auth",),
        adapter="shop/auth",
        response=Response(status, headers, body),
        **fields,  # type: ignore[arg-type]
    )


def test_the_answer_where_no_adapter_was_asked() -> None:
    """It is, to the byte, that of a Mixer without rules: OK for 60 s and 10,000 uses."""
    check = decode_check(check_bytes({}), admission(), asked_by)
    assert encode_check(check, check.question(), ALLOWED).hex() == "120b0a001202083c18904e2a00"


@pytest.mark.parametrize(
    ("decision", "validity"),
    [
        (ALLOWED, (60 * SECOND, 10_000)),
        (Decision(Verdict.ALLOW, failed_open=("auth",)), (0, 0)),
        (Decision(Verdict.ALLOW, ("auth",), "auth"), (0, 0)),
        (Decision(Verdict.ALLOW, ("auth",), "auth", validity=Validity(1_500_000_000, 3)),
         (1_500_000_000, 3)),
        (denied(validity=Validity(5 * SECOND, 1000)), (5 * SECOND, 1000)),
        (denied(validity=Validity(5 * SECOND)), (5 * SECOND, -1)),
        (Decision(Verdict.ERROR, response=Response(503)), (0, 0)),
    ],
)  # fmt: skip
def test_validity(decision: Decision, validity: tuple[int, int]) -> None:
    """It is what the adapters gave, never if they gave none, and long if there were none."""
    result = answer(decision).precondition
    assert (result.valid_duration.ToNanoseconds(), result.valid_use_count) == validity
    assert result.HasField("valid_duration")


def test_an_answer_that_follows_from_the_deduplication_id() -> None:
    """It is not for keeping, whatever the adapters say."""
    result = answer(ALLOWED, read="mixer.dedup_id").precondition
    assert (result.valid_duration.ToNanoseconds(), result.valid_use_count) == (0, 0)


@pytest.mark.parametrize(
    ("decision", "code", "message"),
    [
        (ALLOWED, 0, ""),
        (Decision(Verdict.ALLOW, ("a",), "a", "because"), 0, ""),
        (denied(body=b"Not allowed\n"), 7, "auth.shop:Not allowed"),
        (denied(reason="expired"), 7, "auth.shop:expired"),
        (denied(reason="html", body=b"<p>", headers=((b"content-type", b"text/html"),)), 7,
         "auth.shop:html"),
        (denied(body=b"a", headers=((b"content-type", b"text/plain; charset=utf-8"),)), 7,
         "auth.shop:a"),
        (denied(reason="long", body=b"a" * 1025), 7, "auth.shop:long"),
        (denied(reason="binary", body=b"\xff"), 7, "auth.shop:binary"),
        (denied(400), 3, "auth.shop:"),
        (denied(401), 16, "auth.shop:"),
        (denied(404), 5, "auth.shop:"),
        (denied(429), 8, "auth.shop:"),
        (denied(200), 7, "auth.shop:"),
        (denied(302), 7, "auth.shop:"),
        (denied(401, code=9), 9, "auth.shop:"),
        (Decision(Verdict.ERROR, adapter="auth", reason="trap", response=Response(503)), 14,
         "auth:trap"),
    ],
)  # fmt: skip
def test_status(decision: Decision, code: int, message: str) -> None:
    """The code is the adapter's, or that of its HTTP status; the message begins with its name."""
    status = answer(decision).precondition.status
    assert (status.code, status.message) == (code, message)


@pytest.mark.parametrize("status", range(100, 600))
def test_no_denial_is_internal_or_ok(status: int) -> None:
    """A proxy that is configured to fail open lets pass what is INTERNAL: no HTTP status is."""
    assert answer(denied(status)).precondition.status.code not in (0, 13)


def test_no_route_directive_without_a_change() -> None:
    """Where nothing is to be done, nothing is said."""
    assert not answer(ALLOWED).precondition.HasField("route_directive")


def test_changes_of_an_allowed_request() -> None:
    """The first value of a header takes the place of the others, further ones join it."""
    decision = Decision(
        Verdict.ALLOW,
        ("auth",),
        "auth",
        request_headers=(
            HeaderChange(b"x-a", (b"1", b"2")),
            HeaderChange(b"x-b", ()),
            HeaderChange(b":path", (b"/new",)),
        ),
        response_operations=(HeaderOperation(b"x-r", b"3"),),
    )
    directive = answer(decision).precondition.route_directive
    assert [(o.name, o.value, o.operation) for o in directive.request_header_operations] == [
        ("x-a", "1", pb.HeaderOperation.REPLACE),
        ("x-a", "2", pb.HeaderOperation.APPEND),
        ("x-b", "", pb.HeaderOperation.REMOVE),
        (":path", "/new", pb.HeaderOperation.REPLACE),
    ]
    assert [(o.name, o.value, o.operation) for o in directive.response_header_operations] == [
        ("x-r", "3", pb.HeaderOperation.REPLACE)
    ]
    assert directive.direct_response_code == 0


@pytest.mark.parametrize(
    ("change", "operations"),
    [
        ((b"told", b"said"), [("said", "APPEND")]),  # as the rule said it
        ((b"adapter", b"said"), [("adapter", "REPLACE"), ("said", "APPEND")]),
        ((b"other",), [("other", "REPLACE")]),
        ((), [("", "REMOVE")]),
        (None, []),  # the rule put back what an adapter had taken away
    ],
)
def test_operations_of_rules(
    change: tuple[bytes, ...] | None, operations: list[tuple[str, str]]
) -> None:
    """They go out as they were said, unless adapters have changed the same header."""
    decision = Decision(
        Verdict.ALLOW,
        request_headers=() if change is None else (HeaderChange(b"x-a", change),),
        request_operations=(HeaderOperation(b"x-a", b"said", Operation.APPEND),),
    )
    result = answer(decision, {"request.headers": {"x-a": "told"}}).precondition
    found = result.route_directive.request_header_operations
    assert [(o.value, pb.HeaderOperation.Operation.Name(o.operation)) for o in found] == operations


def test_all_that_a_rule_can_say() -> None:
    """Operations on request and response keep their order; REMOVE of what is not there too."""
    said = (
        HeaderOperation(b"x-a", b"1"),
        HeaderOperation(b"x-a", b"2", Operation.APPEND),
        HeaderOperation(b"x-b", b"", Operation.REMOVE),
    )
    decision = Decision(
        Verdict.ALLOW,
        request_headers=(HeaderChange(b"x-a", (b"1", b"2")), HeaderChange(b"x-b", ())),
        request_operations=said,
        response_operations=said,
    )
    directive = answer(decision).precondition.route_directive
    for found in (directive.request_header_operations, directive.response_header_operations):
        assert [(o.name, o.value, o.operation) for o in found] == [
            ("x-a", "1", pb.HeaderOperation.REPLACE),
            ("x-a", "2", pb.HeaderOperation.APPEND),
            ("x-b", "", pb.HeaderOperation.REMOVE),
        ]


def test_a_local_response() -> None:
    """Status, body and headers of an adapter's answer; all values of one name are kept."""
    headers = ((b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-r", b"3"))
    directive = answer(denied(418, b"teapot", headers=headers)).precondition.route_directive
    assert (directive.direct_response_code, directive.direct_response_body) == (418, "teapot")
    assert [(o.name, o.value, o.operation) for o in directive.response_header_operations] == [
        ("set-cookie", "a=1", pb.HeaderOperation.REPLACE),
        ("set-cookie", "b=2", pb.HeaderOperation.APPEND),
        ("x-r", "3", pb.HeaderOperation.REPLACE),
    ]
    assert not directive.request_header_operations


@pytest.mark.parametrize("status", [0, 100, 199, 600, 65535])
def test_a_status_that_is_none(status: int) -> None:
    """A proxy could do nothing with it: it answers 500."""
    assert answer(denied(status)).precondition.route_directive.direct_response_code == 500


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (Decision(Verdict.ALLOW, adapter="a", body=b"new"),
         "request_body_change_is_not_possible_with_mixer_v1"),
        (Decision(Verdict.ALLOW, adapter="a", request_headers=(HeaderChange(b":path", ()),)),
         "removing_a_pseudo_header_is_not_possible_with_mixer_v1"),
        (Decision(Verdict.ALLOW, adapter="a",
                  request_headers=(HeaderChange(b"x-a", (b"1\r\nx-b: 2",)),)),
         "an_adapter_set_a_header_with_forbidden_characters"),
        (Decision(Verdict.ALLOW, adapter="a", request_headers=(HeaderChange(b"x-a", (b"\xff",)),)),
         "a_header_that_is_not_UTF-8_is_not_possible_with_mixer_v1"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_denied(decision: Decision, reason: str) -> None:
    """A change that the caller could not make denies the request, with the reason."""
    result = answer(decision).precondition
    assert (result.status.code, result.status.message) == (14, f"a:{reason}")
    assert result.route_directive == pb.RouteDirective(direct_response_code=503)
    assert (result.valid_duration.ToNanoseconds(), result.valid_use_count) == (0, 0)


def test_references_are_told() -> None:
    """What was looked up, and what every adapter that ran was told."""
    told: dict[str, Value] = {"request.headers": {":path": "/"}}
    found = answer(ALLOWED, told).precondition.referenced_attributes
    assert references(found) == {("request.headers", ":path", "EXACT")}
    found = answer(denied(), told).precondition.referenced_attributes
    assert references(found) == {
        ("request.headers", ":path", "EXACT"),
        ("request.headers", "content-length", "ABSENCE"),
    }


def test_a_check_that_failed_is_denied() -> None:
    """A defect of the service is no status of gRPC, which many a proxy takes for a way out."""
    result = pb.CheckResponse.FromString(refuse_check("internal error")).precondition
    assert (result.status.code, result.status.message) == (14, "internal error")
    assert result.route_directive.direct_response_code == 503


def granted(quota: Quota, decision: Decision) -> pb.CheckResponse.QuotaResult:
    """The result of a quota of which an attribute was read."""
    check = decode_check(check_bytes({"source.uid": "a"}), admission(), asked_by)
    question = check.quota_question(quota)
    attributes = question.request.attributes.get("mixer.attribute")
    assert isinstance(attributes, dict) or attributes is not None
    _ = attributes["source.uid"]  # type: ignore[index,call-overload]
    one = allocation(quota, question, decision)
    data = encode_check(check, check.question(), ALLOWED, [one])
    result: pb.CheckResponse.QuotaResult = pb.CheckResponse.FromString(data).quotas[quota.name]
    return result


def grants(amount: int | None, validity: Validity | None = None) -> Decision:
    return Decision(Verdict.ALLOW, ("quota",), "quota", granted=amount, validity=validity)


@pytest.mark.parametrize(
    ("quota", "decision", "amount", "code"),
    [
        (RPS, grants(5), 5, 0),
        (RPS, grants(3), 3, 0),
        (RPS, grants(0), 0, 8),
        (RPS, grants(9), 5, 0),
        (RPS, grants(-9), 0, 8),
        (RPS, grants(None), 0, 13),
        (Quota("rps", 5, best_effort=False), grants(4), 0, 8),
        (Quota("rps", 5, best_effort=False), grants(5), 5, 0),
        (Quota("rps", 0, best_effort=False), grants(0), 0, 0),
        (RPS, denied(429), 0, 8),
        (RPS, denied(403, code=9), 0, 9),
        (RPS, Decision(Verdict.ERROR, reason="none", response=Response(404), code=5), 0, 5),
        (RPS, Decision(Verdict.ERROR, adapter="quota", response=Response(503)), 0, 13),
    ],
)
def test_quota_results(quota: Quota, decision: Decision, amount: int, code: int) -> None:
    """What is granted, with a status; no failure is UNAVAILABLE, which proxies take for a grant."""
    result = granted(quota, decision)
    assert (result.granted_amount, result.status.code) == (amount, code)
    assert result.HasField("status")
    assert bool(result.status.message) == (code != 0)


def test_a_grant_holds_for_its_window() -> None:
    """The validity of the adapter's answer is told with a grant, and 0 without one."""
    window = Validity(60 * SECOND)
    assert granted(RPS, grants(5, window)).valid_duration.seconds == 60
    exhausted = granted(RPS, grants(0, window))
    assert exhausted.HasField("valid_duration")
    assert exhausted.valid_duration.seconds == 0


def test_a_quota_has_references_of_its_own() -> None:
    """Those of the check are not among them."""
    found = references(granted(RPS, grants(5)).referenced_attributes)
    assert found == {
        ("source.uid", None, "EXACT"),
        ("request.headers", None, "ABSENCE"),
    }


@pytest.mark.parametrize("amount", [-1, -(1 << 63)])
def test_negative_amounts_are_refused(amount: int) -> None:
    """No adapter is asked for less than nothing."""
    one = refused(Quota("rps", amount, best_effort=True))
    assert one is not None
    result = answer(ALLOWED, allocations=[one]).quotas["rps"]
    assert (result.status.code, result.granted_amount) == (3, 0)
    assert result.status.message == f"{amount} is no amount: must be 0 or more"
    assert refused(RPS) is None
