"""The codec of the rate limit service, and the order in which the engine is asked."""

from typing import Any

import pytest
from envoy.service.ratelimit.v3 import rls_pb2
from envoy.type.v3 import ratelimit_unit_pb2
from hypothesis import given
from hypothesis import strategies as st

from mixer.api.rate_limit import MalformedRequestError, decode, encode, refuse
from mixer.api.rate_limit.headers import MOST_ITEMS, header_fields
from mixer.api.rate_limit.request import MOST_BYTES, MOST_DESCRIPTORS, MOST_ENTRIES
from mixer.config import RateLimitHeaders
from mixer.engine import Decision, QuotaStanding, Verdict
from tests.api.rate_limit_calls import MINUTE, Limits, answer, negative, request_bytes

OFF, V3, V10 = RateLimitHeaders
ONE = (("k", "a"),)
TWO = (("k", "b"),)


def response(data: bytes) -> Any:
    return rls_pb2.RateLimitResponse.FromString(data)


def sent(limits: Limits, data: bytes, headers: RateLimitHeaders = OFF) -> Any:
    """What is answered."""
    return response(encode(answer(decode(data), limits.allocate), headers))


def codes(message: Any) -> list[int]:
    return [message.overall_code, *(one.code for one in message.statuses)]


OK, OVER = rls_pb2.RateLimitResponse.OK, rls_pb2.RateLimitResponse.OVER_LIMIT


@pytest.mark.parametrize(
    ("hits", "own", "expected"),
    [(0, {}, 1), (1, {}, 1), (7, {}, 7), (7, {"d0": 2}, 2), (7, {"d0": 0}, 0), (0, {"d0": 3}, 3)],
)
def test_hits(hits: int, own: dict[str, int], expected: int) -> None:
    """0 on the request is 1; a descriptor's own number counts before it, also 0."""
    [descriptor] = decode(request_bytes(ONE, hits=hits, **own)).descriptors
    assert descriptor.hits == expected


def test_hits_that_come_back() -> None:
    """A newer proxy's flag makes them negative; the number is bounded."""
    message = rls_pb2.RateLimitRequest.FromString(request_bytes(ONE, d0=(1 << 64) - 1))
    assert decode(message.SerializeToString()).descriptors[0].hits == (1 << 63) - 1
    negative(message.descriptors[0])
    assert decode(message.SerializeToString()).descriptors[0].hits == -(1 << 63) + 1


def test_what_a_module_reads() -> None:
    """Domain, all entries in order, and the limit that the proxy asks for."""
    message = rls_pb2.RateLimitRequest.FromString(request_bytes((("k", "a"), ("k", "b"), ("", ""))))
    del message.descriptors[0].entries[2]
    message.descriptors[0].limit.requests_per_unit = 9
    message.descriptors[0].limit.unit = ratelimit_unit_pb2.HOUR
    seen: list[Any] = []

    def allocate(request: Any, quota: str) -> Decision:
        seen.append((quota, *map(request.attributes.get, ("mixer.operation", "mixer.rate_limit"))))
        return Decision(Verdict.ALLOW)

    answer(decode(message.SerializeToString()), allocate)
    [(quota, operation, told)] = seen
    assert (quota, operation, told["domain"]) == ("edge", "quota", "edge")
    assert list(told["descriptor"].items()) == [("k", "a"), ("k", "b")]
    assert (told["descriptor"]["k"], dict(told["descriptor"])) == ("a", {"k": "a"})
    assert told["limit"] == {"requests_per_unit": 9, "unit": "HOUR"}


def over_size() -> bytes:
    return request_bytes((("k", "x" * MOST_BYTES),))


def bad_unit(unit: int) -> bytes:
    message = rls_pb2.RateLimitRequest.FromString(request_bytes(ONE))
    message.descriptors[0].limit.unit = unit
    return bytes(message.SerializeToString())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff", "not a RateLimitRequest"),
        (b"", "domain: characters: there are 0, must be 1 to 253"),
        (request_bytes(ONE, domain="d" * 254), "domain: characters: there are 254"),
        (request_bytes(), f"descriptors: there are 0, must be 1 to {MOST_DESCRIPTORS}"),
        (request_bytes(*[ONE] * (MOST_DESCRIPTORS + 1)), "descriptors: there are 257"),
        (request_bytes(ONE, ()), r"descriptors\[1\].entries: there are 0"),
        (request_bytes(ONE * (MOST_ENTRIES + 1)), r"descriptors\[0\].entries: there are 65"),
        (request_bytes((("", "a"),)), "a key is empty"),
        (over_size(), f"65537 bytes, must be at most {MOST_BYTES}"),
        (bad_unit(0), "limit.unit: 0 is no unit of time"),
        (bad_unit(77), "limit.unit: 77 is no unit of time"),
    ],
)
def test_what_cannot_be_answered(data: bytes, message: str) -> None:
    """It is told where the mistake is, and the bound."""
    with pytest.raises(MalformedRequestError, match=message):
        decode(data)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """They are a request, or refused as none."""
    try:
        asked = decode(data)
    except MalformedRequestError:
        return
    assert asked.descriptors


def test_all_descriptors_must_pass() -> None:
    """What one refuses is taken of none, and each has its own status."""
    limits = Limits({"a": 3, "b": 1})
    data = request_bytes(ONE, TWO)
    assert codes(sent(limits, data)) == [OK, OK, OK]
    refused = sent(limits, data)
    assert codes(refused) == [OVER, OK, OVER]
    assert [one.limit_remaining for one in refused.statuses] == [2, 0]
    assert limits.used == {"a": 1, "b": 1}


def test_one_descriptor_is_asked_once() -> None:
    """There is nothing to look at before."""
    limits = Limits({"a": 3})
    sent(limits, request_bytes(ONE, hits=2))
    assert limits.asked == [("a", 2)]


def test_a_look_takes_nothing_and_hits_can_come_back() -> None:
    """Zero hits tell what is left; of negative ones nothing can be over a limit."""
    limits = Limits({"a": 3})
    sent(limits, request_bytes(ONE, hits=3))
    looked = sent(limits, request_bytes(ONE, d0=0))
    assert (codes(looked), looked.statuses[0].limit_remaining) == ([OK, OK], 0)
    message = rls_pb2.RateLimitRequest.FromString(request_bytes(ONE, d0=2))
    negative(message.descriptors[0])
    back = sent(limits, message.SerializeToString())
    assert (codes(back), back.statuses[0].limit_remaining) == ([OK, OK], 2)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=6),
    st.integers(1, 4),
)
def test_nothing_is_taken_of_a_request_that_is_refused(
    own: list[tuple[int, int]], rounds: int
) -> None:
    """All of its hits are taken where it passes, none where it does not; never beyond a limit."""
    limits = Limits({str(at): limit for at, (limit, _) in enumerate(own)})
    hits = {f"d{at}": number for at, (_, number) in enumerate(own)}
    data = request_bytes(*((("k", str(at)),) for at in range(len(own))), **hits)
    expected = dict.fromkeys(limits.limits, 0)
    for _ in range(rounds):
        wanted = {str(at): expected[str(at)] + n for at, (_, n) in enumerate(own)}
        passes = all(wanted[name] <= (limits.limits[name] or 0) for name in wanted)
        assert sent(limits, data).overall_code == (OK if passes else OVER)
        expected = wanted if passes else expected
        assert {name: limits.used.get(name, 0) for name in expected} == expected


FAILED = {
    "an adapter that failed": Decision(Verdict.ERROR, ("q",), "q", "trapped"),
    "one that denied": Decision(Verdict.DENY, ("q",), "q", "no", code=14),
    "one that says no amount": Decision(Verdict.ALLOW, ("q",), "q"),
    "one that grants too little": Decision(Verdict.ALLOW, ("q",), "q", granted=0),
}
PASSED = {
    "no adapter for the domain": Decision(Verdict.ERROR, code=5),
    "no limit configured": Decision(Verdict.ALLOW, ("q",), "q", granted=1),
    "nobody to ask": Decision(Verdict.ALLOW),
    "one that failed open": Decision(Verdict.ALLOW, failed_open=("q",)),
}


@pytest.mark.parametrize(
    ("decision", "code"),
    [*((one, OVER) for one in FAILED.values()), *((one, OK) for one in PASSED.values())],
    ids=[*FAILED, *PASSED],
)
def test_what_is_no_clear_yes(decision: Decision, code: int) -> None:
    """It is over the limit, with the reason; no limit at all is none."""
    found = answer(decode(request_bytes(ONE)), lambda _request, _quota: decision)
    message = response(encode(found, V10))
    assert codes(message) == [code, code]
    told = dict(message.dynamic_metadata.items())
    assert told["adapter"] == decision.adapter
    assert bool(told["reason"]) == (code == OVER)
    assert not message.response_headers_to_add


def test_a_status_has_the_limit() -> None:
    """Name, number, unit, what is left, and the seconds until the window ends."""
    [status] = sent(Limits({"a": 3}), request_bytes(ONE)).statuses
    limit = status.current_limit
    assert (limit.name, limit.requests_per_unit) == ("a", 3)
    assert limit.unit == rls_pb2.RateLimitResponse.RateLimit.MINUTE
    assert (status.limit_remaining, status.duration_until_reset.seconds) == (2, 30)


def test_no_number_is_too_large() -> None:
    """Numbers beyond 32 bits are the largest, and a window that is no unit has none."""
    huge = QuotaStanding(1 << 60, 1 << 60, 1, 7, "p")
    decision = Decision(Verdict.ALLOW, ("q",), "q", granted=1, quota=huge)
    found = answer(decode(request_bytes(ONE)), lambda _request, _quota: decision)
    [status] = response(encode(found, OFF)).statuses
    assert status.limit_remaining == status.current_limit.requests_per_unit == (1 << 32) - 1
    assert status.current_limit.unit == 0


def fields(message: Any) -> dict[str, str]:
    return {one.key: one.value for one in message.response_headers_to_add}


def test_headers() -> None:
    """Each version of the draft as it is, and whoever is refused is told when to come again."""
    data = request_bytes(ONE, TWO)
    assert fields(sent(Limits({"a": 3, "b": 2}), data, V10)) == {
        "ratelimit-policy": '"b";q=2;w=60, "a";q=3;w=60',
        "ratelimit": '"b";r=1;t=30, "a";r=2;t=30',
    }
    assert fields(sent(Limits({"a": 3, "b": None}), data, V3)) == {
        "ratelimit-limit": "3, 3;w=60",
        "ratelimit-remaining": "2",
        "ratelimit-reset": "30",
    }
    assert fields(sent(Limits({"a": 3, "b": 0}), data, V3))["retry-after"] == "30"
    for limits in ({"a": 0, "b": 0}, {"a": None, "b": None}):
        version = OFF if limits["a"] == 0 else V10
        assert fields(sent(Limits(limits), data, version)) == {}


@given(st.text(max_size=30))
def test_a_policy_is_a_string_of_a_structured_field(policy: str) -> None:
    """No name breaks out of its quotes, and none is more than a header can hold."""
    standing = QuotaStanding(1, 1, 1, MINUTE, policy)
    for _, value in header_fields(V10, [standing]):
        name, quote, parameters = value[1:].rpartition('"')
        assert (value[0], quote, parameters[:1]) == ('"', '"', ";")
        assert name.isascii()
        assert name.isprintable()
        plain = name.replace("\\\\", "").replace('\\"', "")
        assert not {'"', "\\"} & set(plain)


def test_headers_are_bounded() -> None:
    """Of many limits those are told of which the least is left."""
    standings = [QuotaStanding(100, left, 1, MINUTE, str(left)) for left in range(40, 0, -1)]
    [_, (_, value)] = header_fields(V10, standings)
    assert value.startswith('"1";r=1;t=1, "2";r=2')
    assert value.count("r=") == MOST_ITEMS


def test_a_refusal() -> None:
    """It is OVER_LIMIT with the reason, and with the time to come again where there is one."""
    message = response(refuse("overload_rate", 3))
    assert (message.overall_code, fields(message)) == (OVER, {"retry-after": "3"})
    assert dict(message.dynamic_metadata.items())["reason"] == "overload_rate"
