"""Streams of rate limit quota: who is told what, and that nothing is left of those that ended."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mixer.api.rlqs import Bucket, Hub, Stream, TooManyStreamsError, Usage
from mixer.api.rlqs.actions import Abandon, AllowAll, DenyAll, Share
from mixer.api.rlqs.standing import FAILED, RETRY_S, UNLIMITED, Rule, Standing
from mixer.attributes import NOBODY
from mixer.config import RateLimitQuota

S = 10**9
MINUTE = 60 * S
A, B = (Bucket("edge", (("name", name),)) for name in "ab")
HUNDRED = Standing(Rule.SHARED, 100, MINUTE)
EMPTY = Standing(Rule.EXHAUSTED, 100, MINUTE, ask_again=7)


class Clock:
    """Seconds that a test passes."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Office:
    """A hub with its clock; streams report, and what they are told is noted."""

    def __init__(self, **bounds: Any) -> None:
        self.clock = Clock()
        self.hub = Hub(RateLimitQuota(**bounds), self.clock)

    def open(self) -> Stream:
        return self.hub.open(NOBODY, lambda: None)

    def report(
        self, stream: Stream, bucket: Bucket = A, standing: Standing = HUNDRED, **usage: int
    ) -> int | None:
        """Report, and have the engine answer; the amount that it was asked to take."""
        question = self.hub.report(stream, Usage(bucket, **usage))
        if question is not None:
            self.hub.learn(bucket, standing)
        return None if question is None else question.amount

    def told(self, stream: Stream) -> dict[Bucket, Any]:
        return dict(self.hub.take(stream, 1000))


def test_those_who_come_share_and_those_who_go_leave_their_share() -> None:
    """Each change is told to all whose share it changes."""
    office = Office()
    one, other = office.open(), office.open()
    office.report(one)
    assert office.told(one) == {A: Share(100, MINUTE)}
    office.report(other)
    assert office.told(one) == office.told(other) == {A: Share(50, MINUTE)}
    office.report(one, B)
    assert office.told(one) == {B: Share(100, MINUTE)}
    assert office.told(other) == {}
    office.hub.close(one)
    assert office.told(other) == {A: Share(100, MINUTE)}
    assert office.hub.usage == (1, 1, 1)


def test_who_has_too_little_gets_what_others_leave() -> None:
    """Only once somebody refused requests: a new share is a full bucket again."""
    office = Office()
    one, other = office.open(), office.open()
    for stream in (one, other):
        office.report(stream)
    office.told(one), office.told(other)
    office.report(other, allowed=5, elapsed=MINUTE)
    office.report(one, allowed=50, elapsed=MINUTE)
    assert (office.told(one), office.told(other)) == ({}, {})
    office.report(one, allowed=50, denied=150, elapsed=MINUTE)
    assert (office.told(one), office.told(other)) == (
        {A: Share(95, MINUTE)},
        {A: Share(5, MINUTE)},
    )
    office.report(one, allowed=95, denied=100, elapsed=MINUTE)
    assert (office.told(one), office.told(other)) == ({}, {})
    for _ in range(2):
        office.report(other, allowed=5, denied=300, elapsed=MINUTE)
    assert (office.told(one), office.told(other)) == (
        {A: Share(50, MINUTE)},
        {A: Share(50, MINUTE)},
    )


def test_how_much_is_taken_of_the_quota() -> None:
    """What passed since the last report, unless that is longer ago than a window."""
    office = Office()
    stream = office.open()
    assert office.report(stream, allowed=1, denied=3) == 1
    assert office.report(stream, allowed=9, elapsed=MINUTE) == 9
    assert office.report(stream, allowed=9, elapsed=MINUTE + 1) == 0


def test_a_long_assignment_keeps_no_idle_bucket() -> None:
    """A bucket without requests is abandoned when it is time, and not when it is to be renewed."""
    office = Office(assignment_time_to_live="24h", abandon_after="10s")
    stream = office.open()
    office.report(stream)
    office.report(stream, B)
    office.told(stream)
    office.clock.now += 6
    office.report(stream, B, allowed=1, elapsed=MINUTE)
    office.clock.now += 6
    office.hub.tick()
    assert office.told(stream) == {A: Abandon()}
    assert office.hub.usage == (1, 1, 1)


def test_what_is_used_up_is_denied_until_the_window_ends() -> None:
    """Then the bucket is asked anew by itself, once, and shared again."""
    office = Office()
    stream = office.open()
    office.report(stream)
    office.report(stream, standing=EMPTY)
    assert office.told(stream) == {A: DenyAll()}
    office.clock.now += 6.9
    assert office.hub.tick() == []
    office.clock.now += 0.2
    [question] = office.hub.tick()
    assert (question.bucket, question.amount) == (A, 0)
    assert office.hub.tick() == []
    office.hub.learn(A, HUNDRED)
    assert office.told(stream) == {A: Share(100, MINUTE)}


def test_what_nobody_can_tell_is_denied_and_asked_again() -> None:
    """An adapter that failed lets nothing pass."""
    office = Office()
    stream = office.open()
    office.report(stream, standing=FAILED)
    assert office.told(stream) == {A: DenyAll()}
    office.clock.now += RETRY_S
    assert [one.bucket for one in office.hub.tick()] == [A]
    office.hub.learn(A, UNLIMITED)
    assert office.told(stream) == {A: AllowAll()}


def test_a_limit_of_fewer_than_there_are_proxies() -> None:
    """Who gets nothing of it is denied, not left to itself."""
    office = Office()
    streams = [office.open() for _ in range(3)]
    for stream in streams:
        office.report(stream, standing=Standing(Rule.SHARED, 1, MINUTE))
    told = [office.told(stream)[A] for stream in streams]
    assert sorted(map(str, told)) == sorted(map(str, [DenyAll(), DenyAll(), Share(1, MINUTE)]))


def test_assignments_are_renewed() -> None:
    """At half of their time, without a report."""
    office = Office(assignment_time_to_live="60s")
    stream = office.open()
    office.report(stream)
    assert office.told(stream) == {A: Share(100, MINUTE)}
    office.clock.now += 29.9
    office.hub.tick()
    assert office.told(stream) == {}
    office.clock.now += 0.2
    office.hub.tick()
    assert office.told(stream) == {A: Share(100, MINUTE)}


def test_an_idle_bucket_is_abandoned() -> None:
    """Both sides forget it; a later report asks for it again."""
    office = Office(abandon_after="100s")
    stream = office.open()
    office.report(stream, allowed=1)
    for _ in range(5):
        office.clock.now += 31
        office.hub.hear(stream)
        office.report(stream) if A in stream.assigned else None
        office.hub.tick()
    assert office.told(stream) == {A: Abandon()}
    assert office.hub.usage == (1, 0, 0)
    assert not stream.is_over
    office.report(stream, allowed=1)
    assert office.told(stream) == {A: Share(100, MINUTE)}


def test_a_silent_stream_is_over() -> None:
    """Who sends nothing for so long is gone, whether its connection is or not."""
    office = Office(abandon_after="100s")
    stream = office.open()
    office.clock.now += 99
    office.hub.tick()
    assert not stream.is_over
    office.clock.now += 1
    office.hub.tick()
    assert stream.is_over


def test_bounds() -> None:
    """A stream too many is refused; a bucket too many is denied, and nothing is kept of it."""
    office = Office(max_streams=2, max_buckets=1)
    one, other = office.open(), office.open()
    with pytest.raises(TooManyStreamsError, match="there are 2 streams"):
        office.open()
    office.report(one)
    for stream, bucket in ((one, B), (other, A)):
        assert office.report(stream, bucket) is None
        assert office.told(stream)[bucket] == DenyAll()
    huge = Bucket("edge", (("name", "x" * 5000),))
    office.hub.close(one)
    assert office.report(other, huge) is None
    assert office.hub.usage == (1, 0, 0)
    assert office.report(other) == 0
    office.open()


def test_a_proxy_that_does_not_read() -> None:
    """However often it is told something, one action for each bucket waits for it."""
    office = Office()
    stream = office.open()
    office.report(stream)
    for _ in range(100):
        other = office.open()
        office.report(other)
        office.hub.close(other)
    assert list(stream.outbox) == [A]


def test_streams_that_come_and_go_leave_nothing() -> None:
    """Whatever they asked for."""
    office = Office()
    for number in range(2000):
        stream = office.open()
        bucket = Bucket("edge", (("n", f"{number}"),))
        office.report(stream, bucket, EMPTY, allowed=1)
        office.hub.close(stream)
    assert office.hub.usage == (0, 0, 0)
    assert vars(office.hub)["_asks"] == {}
    office.hub.close(stream)


STANDINGS = st.sampled_from(
    [HUNDRED, Standing(Rule.SHARED, 3, S), EMPTY, FAILED, UNLIMITED, Standing(Rule.SHARED, 0, S)]
)


class Hubs(RuleBasedStateMachine):
    """Any order of what can happen."""

    @initialize()
    def begin(self) -> None:
        self.office = Office(max_streams=5, max_buckets=8, abandon_after="120s")
        self.streams: list[Stream] = []
        self.standings: dict[Bucket, Standing] = {}
        self.last: dict[tuple[Stream, Bucket], Any] = {}

    @precondition(lambda self: len(self.streams) < 5)
    @rule()
    def open(self) -> None:
        self.streams.append(self.office.open())

    @precondition(lambda self: self.streams)
    @rule(
        number=st.integers(0, 4),
        bucket=st.sampled_from([A, B, Bucket("other", A.entries)]),
        allowed=st.integers(0, 200),
        denied=st.integers(0, 200),
        elapsed=st.integers(0, 2 * MINUTE),
        standing=STANDINGS,
    )
    def report(
        self, number: int, bucket: Bucket, standing: Standing, allowed: int, denied: int,
        elapsed: int,
    ) -> None:  # fmt: skip
        stream = self.streams[number % len(self.streams)]
        usage = {"allowed": allowed, "denied": denied, "elapsed": elapsed}
        if self.office.report(stream, bucket, standing, **usage) is not None:
            self.standings[bucket] = standing

    @precondition(lambda self: self.streams)
    @rule(number=st.integers(0, 4))
    def close(self, number: int) -> None:
        self.office.hub.close(self.streams.pop(number % len(self.streams)))

    @rule(seconds=st.floats(0.1, 200))
    def wait(self, seconds: float) -> None:
        self.office.clock.now += seconds
        for question in self.office.hub.tick():
            self.office.hub.learn(question.bucket, self.standings[question.bucket])

    @invariant()
    def nothing_is_assigned_twice(self) -> None:
        """What is assigned of a limit together is never more than it."""
        for bucket, standing in self.standings.items():
            told = [s.assigned[bucket][0] for s in self.streams if bucket in s.assigned]
            shares = [one.requests for one in told if isinstance(one, Share)]
            if standing.rule is Rule.SHARED:
                assert sum(shares) == (standing.limit if told else 0)
            else:
                assert shares == []

    @invariant()
    def the_last_word_arrives(self) -> None:
        """Whoever reads knows what it is assigned now."""
        for stream in self.streams:
            for bucket, action in self.office.told(stream).items():
                self.last[stream, bucket] = action
            for bucket, (assignment, _) in stream.assigned.items():
                assert self.last[stream, bucket] == assignment

    @invariant()
    def what_is_kept_is_bounded(self) -> None:
        """By the streams and buckets that there are."""
        subscriptions = sum(len(stream.assigned) for stream in self.streams)
        held = {bucket for stream in self.streams for bucket in stream.assigned}
        assert self.office.hub.usage == (len(self.streams), len(held), subscriptions)
        assert subscriptions <= 8
        assert vars(self.office.hub)["_asks"].keys() <= held

    def teardown(self) -> None:
        """All have gone."""
        for stream in getattr(self, "streams", []):
            self.office.hub.close(stream)
        if hasattr(self, "office"):
            assert self.office.hub.usage == (0, 0, 0)


TestHubs = Hubs.TestCase
TestHubs.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
