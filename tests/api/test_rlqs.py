"""The messages of rate limit quota, and how a limit is divided."""

from typing import Any

import pytest
from envoy.service.rate_limit_quota.v3 import rlqs_pb2
from envoy.type.v3 import ratelimit_strategy_pb2, ratelimit_unit_pb2
from hypothesis import given
from hypothesis import strategies as st

from mixer.api.rlqs import Bucket, Domain, MalformedReportError, decode, encode, standing_of
from mixer.api.rlqs.actions import Abandon, AllowAll, DenyAll, Share
from mixer.api.rlqs.questions import Question
from mixer.api.rlqs.shares import divide
from mixer.api.rlqs.standing import FAILED, UNLIMITED, UNSERVED, Rule, Standing
from mixer.attributes import Caller
from mixer.config import QuotaStrategy
from mixer.engine import Decision, QuotaStanding, Verdict
from tests.api.rate_limit_calls import MINUTE

TOKENS, PER_UNIT = QuotaStrategy
BUCKET = Bucket("edge", (("a", "1"), ("b", "2")))
S = 10**9


def report(domain: str = "edge", **entries: str) -> Any:
    message = rlqs_pb2.RateLimitQuotaUsageReports(domain=domain)
    usage = message.bucket_quota_usages.add(num_requests_allowed=3, num_requests_denied=1)
    usage.bucket_id.bucket.update(entries)
    usage.time_elapsed.seconds = 2
    return message


def test_a_report() -> None:
    """The order of a bucket's keys does not count."""
    [one] = decode(report(b="2", a="1").SerializeToString(), Domain())
    [other] = decode(report(a="1", b="2").SerializeToString(), Domain())
    assert (one.bucket, one.elapsed, one.allowed, one.denied) == (BUCKET, 2 * S, 3, 1)
    assert one == other


def test_the_domain_is_that_of_the_first_message() -> None:
    """Later messages may repeat it, and may leave it out; another one is refused."""
    domain = Domain()
    for told in ("edge", "", "edge"):
        [usage] = decode(report(told, a="1").SerializeToString(), domain)
        assert usage.bucket.domain == "edge"
    with pytest.raises(MalformedReportError, match="another one than in the first message"):
        decode(report("other", a="1").SerializeToString(), domain)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff", "no usage reports"),
        (b"", "domain: must be 1 to 253 characters"),
        (report("d" * 254, a="1").SerializeToString(), "domain: must be 1 to 253 characters"),
        (report().SerializeToString(), "bucket_id: it is empty"),
    ],
)
def test_what_cannot_be_answered(data: bytes, message: str) -> None:
    """It is told what is wrong, and the bound."""
    with pytest.raises(MalformedReportError, match=message):
        list(decode(data, Domain()))


def test_usages_are_read_one_at_a_time() -> None:
    """A message with hundreds of thousands keeps nobody waiting; those before a bad one count."""
    good = report(a="1").SerializeToString()
    usages = decode(good + b"\x12\x01\xff" + good, Domain())
    assert len(usages) == 3
    given_ = iter(usages)
    assert next(given_).allowed == 3
    with pytest.raises(MalformedReportError, match="usage 2 of 3: no usage of a bucket"):
        next(given_)


def test_a_domain_that_is_no_text() -> None:
    """It is refused as any other that is no name: such bytes match nobody's configuration."""
    with pytest.raises(MalformedReportError, match="no usage reports"):
        decode(b"\x0a\x01\xff", Domain())


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """They are reports, or refused as none."""
    try:
        usages = list(decode(data, Domain()))
    except MalformedReportError:
        return
    assert all(one.elapsed >= 0 and one.allowed < 1 << 63 for one in usages)


@pytest.mark.parametrize(
    ("entries", "too_large"),
    [
        ((("k", "x" * 4095),), False),
        ((("k", "x" * 4096),), True),
        (tuple((f"{n}", "") for n in range(64)), False),
        (tuple((f"{n}", "") for n in range(65)), True),
    ],
)
def test_an_id_that_is_too_large(entries: tuple[tuple[str, str], ...], too_large: bool) -> None:
    """Nothing is kept of it."""
    assert Bucket("d", entries).is_too_large is too_large


def strategy(action: Any, told: QuotaStrategy = TOKENS) -> Any:
    message = rlqs_pb2.RateLimitQuotaResponse.FromString(encode([(BUCKET, action)], 60.9, told))
    [one] = message.bucket_action
    assert dict(one.bucket_id.bucket) == {"a": "1", "b": "2"}
    assert one.quota_assignment_action.assignment_time_to_live.seconds == 60
    return one.quota_assignment_action.rate_limit_strategy


def test_blanket_rules() -> None:
    """No limit allows all, nothing left denies all."""
    rules = ratelimit_strategy_pb2.RateLimitStrategy
    assert strategy(AllowAll()).HasField("blanket_rule")
    assert strategy(AllowAll()).blanket_rule == rules.ALLOW_ALL
    assert strategy(DenyAll()).blanket_rule == rules.DENY_ALL


@pytest.mark.parametrize(
    ("share", "bucket"),
    [
        (Share(5, 60 * S), (5, 5, 60)),
        (Share(10, S // 2), (10, 20, 1)),
        (Share(1, 3 * S // 2), (1, 1, 2)),
        (Share(9, 3 * S // 2), (9, 12, 2)),
        (Share(1 << 40, S), ((1 << 32) - 1, (1 << 32) - 1, 1)),
    ],
)
def test_token_buckets(share: Share, bucket: tuple[int, int, int]) -> None:
    """Envoy takes no part of a second for an interval: less than one would be no limit."""
    told = strategy(share).token_bucket
    found = told.max_tokens, told.tokens_per_fill.value, told.fill_interval.seconds
    assert (found, told.fill_interval.nanos) == (bucket, 0)


def test_requests_per_time_unit() -> None:
    """For clients that know it; a window that is no unit is a token bucket nevertheless."""
    told = strategy(Share(5, 60 * S), PER_UNIT).requests_per_time_unit
    assert (told.requests_per_time_unit, told.time_unit) == (5, ratelimit_unit_pb2.MINUTE)
    assert strategy(Share(5, 2 * S), PER_UNIT).HasField("token_bucket")


def test_abandoning() -> None:
    """It is no assignment."""
    message = rlqs_pb2.RateLimitQuotaResponse.FromString(encode([(BUCKET, Abandon())], 60, TOKENS))
    assert message.bucket_action[0].WhichOneof("bucket_action") == "abandon_action"


def test_what_the_engine_is_asked() -> None:
    """The bucket with its domain, and as much of the amount as there is."""
    request = Question(BUCKET, 7, Caller("10.0.0.1")).request()
    assert request.attributes.get("mixer.quota") == {
        "name": "edge", "amount": 7, "best_effort": True,
    }  # fmt: skip
    told: Any = request.attributes.get("mixer.rate_limit")
    assert (told["domain"], dict(told["bucket"])) == ("edge", {"a": "1", "b": "2"})
    assert request.attributes.get("mixer.caller") == "10.0.0.1"


def said(**standing: Any) -> Decision:
    quota = QuotaStanding(**standing)
    return Decision(Verdict.ALLOW, ("q",), "q", granted=0, quota=quota)


@pytest.mark.parametrize(
    ("decision", "standing"),
    [
        (Decision(Verdict.ERROR, ("q",)), FAILED),
        (Decision(Verdict.DENY, ("q",), code=14), FAILED),
        (Decision(Verdict.ALLOW, ("q",), "q"), FAILED),
        (said(limit=5, remaining=5), FAILED),
        (Decision(Verdict.ERROR, code=5), UNSERVED),
        (Decision(Verdict.ALLOW), UNLIMITED),
        (Decision(Verdict.ALLOW, ("q",), "q", granted=0), UNLIMITED),
        (said(remaining=99), UNLIMITED),
        (said(limit=5, window=MINUTE), Standing(Rule.SHARED, 5, MINUTE)),
        (said(limit=5, remaining=1, window=MINUTE), Standing(Rule.SHARED, 5, MINUTE)),
        (
            said(limit=5, remaining=0, reset=7, window=MINUTE),
            Standing(Rule.EXHAUSTED, 5, MINUTE, ask_again=7),
        ),
        (
            said(limit=5, remaining=0, window=MINUTE),
            Standing(Rule.EXHAUSTED, 5, MINUTE, ask_again=1),
        ),
    ],
)
def test_what_a_decision_says(decision: Decision, standing: Standing) -> None:
    """What is no clear answer denies, and is asked again."""
    assert standing_of(decision) == standing


@given(st.integers(0, 10**6), st.lists(st.none() | st.integers(0, 10**7), min_size=1, max_size=20))
def test_shares(limit: int, wants: list[int | None]) -> None:
    """They are the limit together; who wants an equal share has it, to the unit."""
    shares = divide(limit, wants)
    assert sum(shares) == limit
    equal = limit // len(wants)
    for share, want in zip(shares, wants, strict=True):
        assert share >= min(equal, limit if want is None else want)


def test_what_others_do_not_want() -> None:
    """It goes to those who want more; who wants nothing keeps a little, and nobody has nothing."""
    assert divide(100, [1000, 10]) == (90, 10)
    assert divide(100, [1000, 0]) == (95, 5)
    assert divide(100, [10, 10]) == (50, 50)
    assert divide(10, [None] * 3) == (3, 3, 4)
    assert divide(1, [0, 9]) == (0, 1)
    assert divide(5, []) == ()
