"""Quota in advance: how much is asked for, and that no more is used than was granted."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from mixer.client import Quota, QuotaCacheSettings, RetrySettings
from mixer.client.retry import Failure
from mixer.wire import mixer_v1_pb2 as pb
from tests.client.answers import answer, exact, granted
from tests.client.offline import Offline

ONE = {"calls": 1}


MOST = (1 << 63) - 1


class Granter:
    """Grants of a quota as much as there is, and keeps what it granted."""

    def __init__(self, there: int = 1_000_000, seconds: float = 60.0) -> None:
        self.there, self.seconds = there, seconds
        self.down = False
        self.by: tuple[str, ...] = ()
        self.asked: list[tuple[int, bool]] = []
        self.granted: list[tuple[int, dict[str, Any]]] = []

    def __call__(
        self, attributes: dict[str, Any], request: pb.CheckRequest
    ) -> pb.CheckResponse | Failure:
        if self.down:
            return Failure(14, "down")
        quotas = {}
        for name, params in request.quotas.items():
            self.asked.append((params.amount, params.best_effort))
            enough = self.there >= params.amount or params.best_effort
            amount = min(self.there, params.amount) if enough else 0
            self.there -= amount
            self.granted.append((amount, attributes))
            quotas[name] = granted(amount, self.seconds if amount else 0.0, exact(*self.by))
        return answer(quotas=quotas)


def test_a_grant_holds_from_the_first_try() -> None:
    """Its answer may be lost, and Mixer says of the same deduplication id the same once more."""
    granter = Granter(seconds=1.0)
    client = Offline(granter, retry=RetrySettings(retries=1, base=0.8, most=0.8))
    client.check({}, ONE)
    client.clock.advance(2.0)
    exchange = client.checks.ask_quotas(
        client.checks.kept({}), {}, {"calls": Quota(1)}, timeout=5.0
    )
    client.server = _once(Failure(14, "lost"), granter)
    assert client.drive(exchange).quotas["calls"].granted == 1
    assert granter.asked[-1] == (10, True)
    client.clock.advance(0.1)
    assert client.check({}, ONE).quotas["calls"].from_cache
    client.clock.advance(0.1)
    assert not client.check({}, ONE).quotas["calls"].from_cache


def _once(first: Failure, then: Granter) -> Callable[..., Any]:
    replies = [first]
    return lambda *asked: replies.pop() if replies else then(*asked)


def test_the_largest_amounts_are_asked_for() -> None:
    """What was asked for lately comes to more than a request can tell."""
    granter = Granter(there=MOST)
    client = Offline(granter, quota_cache=QuotaCacheSettings(close_wait=0.0))
    client.check({}, ONE)
    for _ in range(4):
        assert client.check({}, {"calls": MOST}).code == 8
    assert client.check({}, ONE).ok
    assert max(amount for amount, _ in granter.asked) == MOST


def test_the_amount_follows_what_is_asked_for() -> None:
    """As much as in the last second; the least again once that is over."""
    granter = Granter()
    client = Offline(granter)
    for _ in range(400):
        assert client.check({}, ONE).ok
        client.finish_started()
        client.clock.advance(0.005)
    busy = [amount for amount, _ in granter.asked]
    assert busy[:2] == [1, 10]
    assert busy == sorted(busy)
    assert 180 <= busy[-1] <= 201
    assert len(busy) < 30
    client.clock.advance(61)
    assert client.check({}, ONE).ok
    assert granter.asked[-1] == (10, True)


def test_a_large_amount_is_asked_for_as_it_is() -> None:
    """More than in the last second."""
    granter = Granter()
    client = Offline(granter)
    for amount in (1, 50):
        assert client.check({}, {"calls": amount}).quotas["calls"].granted == amount
    assert granter.asked == [(1, False), (50, True)]


def test_after_less_was_granted_the_server_rests() -> None:
    """For half a second requests are refused without it; then it is asked again."""
    granter = Granter(there=3)
    client = Offline(granter)
    assert [client.check({}, ONE).ok for _ in range(5)] == [True, True, True, False, False]
    assert len(granter.asked) == 2
    granter.there = 100
    client.clock.advance(0.499)
    assert not client.check({}, ONE).ok
    client.clock.advance(0.001)
    assert client.check({}, ONE).ok
    assert len(granter.asked) == 3


def test_grants_expire() -> None:
    """What was granted in advance is used no longer than the server said."""
    granter = Granter(seconds=2.0)
    client = Offline(granter)
    for _ in range(3):
        client.check({}, ONE)
    assert len(granter.asked) == 2
    client.clock.now += 2_000_000_000 - 1
    assert client.check({}, ONE).quotas["calls"].from_cache
    client.clock.now += 1
    assert not client.check({}, ONE).quotas["calls"].from_cache


def test_what_holds_for_no_time_is_not_asked_for_in_advance() -> None:
    """Each check asks for its own amount, and wastes nothing."""
    granter = Granter(seconds=0.0)
    client = Offline(granter)
    client.check({}, ONE)
    client.check({}, ONE)
    for _ in range(3):
        assert client.check({}, {"calls": 2}).quotas["calls"].granted == 2
    assert granter.asked[2:] == [(2, False)] * 3


def test_each_combination_of_values_has_its_own_pool() -> None:
    """One tenant's quota is never another's, from the first request on."""
    granter = Granter()
    granter.by = ("source.user",)
    client = Offline(granter)
    for number in range(60):
        client.check({"source.user": f"user-{number % 3}", "request.id": number}, ONE)
        client.finish_started()
    for user in ("user-0", "user-1", "user-2"):
        total = sum(amount for amount, asked in granter.granted if asked["source.user"] == user)
        assert total >= 20
    client.checks.measure()
    assert client.metrics.quota_cache_entries == 3


def test_pools_of_an_old_configuration_are_forgotten() -> None:
    """Once the quota depends on something else, what was granted to all is used by nobody."""
    granter = Granter()
    client = Offline(granter)
    for _ in range(2):
        client.check({"source.user": "ann"}, ONE)
    granter.by = ("source.user",)
    for _ in range(30):
        client.check({"source.user": "ann"}, ONE)
        client.finish_started()
    before = len(granter.asked)
    client.check({"source.user": "bob"}, ONE)
    assert granter.granted[before:] == [(1, {"source.user": "bob"})]


def test_less_than_wanted_is_given_only_where_it_is_welcome() -> None:
    """From the pool as from the server; the rest stays for those who want less."""
    client = Offline(Granter(there=5))
    client.check({}, ONE)
    assert client.check({}, {"calls": 9}).code == 8
    assert client.check({}, {"calls": Quota(3, best_effort=True)}).quotas["calls"].granted == 3
    some = client.check({}, {"calls": Quota(3, best_effort=True)})
    assert (some.ok, some.quotas["calls"].granted) == (True, 1)
    assert client.check({}, {"calls": Quota(3, best_effort=True)}).code == 8


def test_a_quota_is_given_back_if_another_refuses() -> None:
    """Neither the pool's share nor the server's is lost."""
    granter = Granter(there=20)

    def server(attributes: dict[str, Any], request: pb.CheckRequest) -> Any:
        response = granter(attributes, request)
        if isinstance(response, pb.CheckResponse) and "none" in response.quotas:
            response.quotas["none"].CopyFrom(granted(0, 0.0))
        return response

    client = Offline(server)
    client.check({}, ONE)
    client.check({}, ONE)
    there = _available(client)
    for _ in range(3):
        assert client.check({}, {"calls": 5, "none": 1}).message == "Quota is exhausted for: none"
        client.clock.advance(1.0)
    assert _available(client) == there


def _available(client: Offline) -> int:
    pool = client.checks.pools.find("calls", {})
    return pool.available(client.clock.now) if pool else 0


def test_a_refused_check_takes_no_quota() -> None:
    """Although its answer comes while quota is asked for: the refusal counts at once."""
    refuses = False
    granter = Granter()

    def server(attributes: dict[str, Any], request: pb.CheckRequest) -> Any:
        return answer(code=7) if refuses else granter(attributes, request)

    client = Offline(server)
    client.check({}, ONE)
    refuses = True
    assert client.check({}, ONE).code == 7
    assert client.check({}).code == 7
    refuses = False
    client.clock.advance(3600)
    assert client.check({}, ONE).ok
    assert client.check({}, ONE).ok


@pytest.mark.parametrize("policy", ["FAIL_OPEN", "FAIL_CLOSE"])
def test_without_a_server_the_policy_decides_about_quota(policy: str) -> None:
    """Once the pool is used up; and the server is asked again by the next check."""
    granter = Granter()
    client = Offline(granter, network_fail_policy=policy)
    for _ in range(2):
        client.check({}, ONE)
    granter.down = True
    results = [client.check({}, ONE) for _ in range(20)]
    client.finish_started()
    assert [result.failure is None for result in results] == [True] * 9 + [False] * 11
    for result in results[9:]:
        if policy == "FAIL_OPEN":
            assert (result.ok, result.quotas["calls"].granted) == (True, 1)
        else:
            assert (result.code, dict(result.quotas)) == (14, {})
    granter.down = False
    assert client.check({}, ONE).failure is None


@pytest.mark.parametrize("policy", ["FAIL_OPEN", "FAIL_CLOSE"])
def test_a_quota_that_the_server_does_not_tell_of_follows_the_policy(policy: str) -> None:
    """It is not taken to be granted, as Istio's client does."""
    client = Offline(lambda *_: answer(), network_fail_policy=policy)
    result = client.check({}, ONE)
    assert result.code == (0 if policy == "FAIL_OPEN" else 14)
    assert result.quotas["calls"].granted == (1 if policy == "FAIL_OPEN" else 0)


@pytest.mark.parametrize("policy", ["FAIL_OPEN", "FAIL_CLOSE"])
def test_a_quota_that_the_server_does_not_know_is_refused(policy: str) -> None:
    """With the server's code, whatever the policy."""
    unknown = granted(0, 0.0, code=5)
    unknown.status.message = "no adapter serves this quota"
    client = Offline(lambda *_: answer(quotas={"calls": unknown}), network_fail_policy=policy)
    for _ in range(3):
        result = client.check({}, ONE)
        assert (result.code, result.message) == (5, "no adapter serves this quota")


def test_a_failed_prefetch_is_not_repeated_at_once() -> None:
    """The pool serves on, and the server is left in peace for a while."""
    granter = Granter()
    client = Offline(granter, quota_cache=QuotaCacheSettings(min_prefetch=100))
    for _ in range(60):
        client.check({}, ONE)
    granter.down = True
    for _ in range(20):
        client.check({}, ONE)
        client.finish_started()
    assert client.metrics.remote_failures == 1
    client.clock.advance(0.5)
    client.check({}, ONE)
    client.finish_started()
    assert client.metrics.remote_failures == 2


def test_a_check_that_is_given_up_leaves_the_pool_usable() -> None:
    """Its caller went away while the server was asked."""
    client = Offline(Granter())
    client.check({}, ONE)
    kept = client.checks.kept({})
    assert kept
    exchange = client.checks.ask_quotas(kept, {}, {"calls": Quota(1)}, 5.0)
    next(exchange)
    exchange.close()
    assert client.check({}, ONE).ok
    assert client.check({}, ONE).quotas["calls"].from_cache


class NeverTooMuch(RuleBasedStateMachine):
    """Any checks at any time, against a server that grants, refuses and fails."""

    @initialize(
        there=st.integers(0, 50), seconds=st.sampled_from([0.0, 0.3, 2.0]), least=st.integers(1, 20)
    )
    def start(self, there: int, seconds: float, least: int) -> None:
        self.granter = Granter(there, seconds)
        self.granter.by = ("user",)
        self.client = Offline(
            self.granter, quota_cache=QuotaCacheSettings(min_prefetch=least, entries=2)
        )
        self.ledger: dict[str, list[list[int]]] = {"ann": [], "bob": [], "eve": []}

    @rule(
        user=st.sampled_from(["ann", "bob", "eve"]),
        amount=st.integers(1, 12),
        best_effort=st.booleans(),
        meanwhile=st.booleans(),
    )
    def check(self, user: str, amount: int, best_effort: bool, meanwhile: bool) -> None:
        """What is used was granted to this user, has not expired, and was used by nobody before."""
        result = self.client.check({"user": user}, {"calls": Quota(amount, best_effort)})
        self._book()
        used = result.quotas["calls"].granted if result.quotas else 0
        assert used in {0, amount} or (best_effort and used < amount)
        assert result.ok == bool(used)
        for grant in sorted(self.ledger[user], key=lambda one: one[1]):
            if self.client.clock.now <= grant[1]:
                part = min(grant[0], used)
                grant[0] -= part
                used -= part
        assert used == 0
        if meanwhile:
            self.client.finish_started()
            self._book()

    def _book(self) -> None:
        expires = self.client.clock.now + round(self.granter.seconds * 1e9)
        for amount, asked in self.granter.granted:
            self.ledger[asked["user"]].append([amount, expires])
        self.granter.granted.clear()

    @rule(seconds=st.sampled_from([0.1, 0.5, 3.0]), more=st.integers(0, 30))
    def wait(self, seconds: float, more: int) -> None:
        """Time goes by, and the quota grows."""
        self.client.clock.advance(seconds)
        self.granter.there += more

    @rule(down=st.booleans())
    def server(self, down: bool) -> None:
        """The server goes, or is back."""
        self.granter.down = down


TestNeverTooMuch = NeverTooMuch.TestCase
TestNeverTooMuch.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
